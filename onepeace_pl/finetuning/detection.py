"""Object detection: annotations in COCO's JSON format."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from onepeace_pl.data.datasets import CocoObjects
from onepeace_pl.data.sources.tables import read_json
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.dense import PROCESSOR, SMALL, dense_size, joint_transform
from onepeace_pl.finetuning.parts import Parts, find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject

ENDINGS: Final = (".json",)
WINDOW: Final = 14  # patches of a side of an attention window in deep models
SMALL_HEAD: Final[JsonObject] = {
    "convolutions": 1,
    "width": 256,
    "anchor_scale": 4.0,
    "proposals": 150,
    "samples": 64,
    "rpn_convolutions": 1,
}


def plan(request: Request) -> Plan:
    """Return task and data of object detection, with masks where all objects have some."""
    model = request.model
    parts = _parts(request)
    model.require("image", str(parts.train))

    def make(path: Path) -> JsonObject:
        return spec(CocoObjects, path=str(path), images=_images(path, request.root), degenerate="drop")

    options = make(parts.train)["init_args"]
    rows = CocoObjects(**options)
    objects = [each for _, _, _, found in rows.records for each in found if not each["crowd"]]
    masks = bool(objects) and all("segmentation" in each for each in objects)
    count = f"{len(objects):,} objects of {len(rows.classes)} classes in {len(rows):,} images"
    request.guesses.add("format", "COCO JSON", f"{count} of {parts.train}")
    request.guesses.add("images", options["images"], "file names of the JSON are found there", "--root")
    request.guesses.add(
        "masks", "yes" if masks else "no", "all objects have some" if masks else "some objects have none"
    )
    size = dense_size(
        model, [min(image_size) for _, _, image_size, _ in rows.records], request.size, request.guesses
    )
    config = model.backbone.config
    small = config.width <= SMALL
    neck: JsonObject = {"class_path": "SimpleFeaturePyramid"}
    head: JsonObject = {"class_path": "CascadeRCNN"}
    if small:
        neck["init_args"], head["init_args"] = {"channels": 64}, SMALL_HEAD
    else:
        quarter = config.depth // 4
        blocks = [quarter * number - 1 for number in range(1, 5)]
        neck["init_args"] = {"window_size": WINDOW, "global_blocks": blocks}
    return Plan(
        title="Object detection",
        task={"class_path": "Detection", "init_args": {"masks": masks, "neck": neck, "head": head}},
        modalities=["image"],
        rows=rows_of(parts, make, request.guesses),
        processors={"image": PROCESSOR},
        transform=joint_transform(size, 0.8, 1.25),
        image_size=size,
        batch_size=4,
        updates=1000,
    )


def _parts(request: Request) -> Parts:
    """Find the JSON files: given, in the folder, in its ``annotations``, or one in each part's folder."""
    data = request.data
    inside = data / "annotations"
    beside = inside.is_dir() and not any(data.glob("*.json")) and any(inside.glob("*.json"))
    parts = find_parts(inside if beside else data, request.val, ENDINGS)
    if not parts.train.is_file():
        other = "; Pascal VOC's XML must be converted" if any(data.rglob("*.xml")) else ""
        raise UserError(
            f"{data}: no annotations in COCO's JSON format; give the file, or a folder that holds it{other}"
        )
    return parts


def _images(path: Path, root: str | None) -> str:
    """Return the folder that the file names of a JSON start from: near it, where the first image is."""
    if root is not None:
        return root
    content = read_json(path)
    entries = content.get("images") if isinstance(content, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    name = first.get("file_name") if isinstance(first, dict) else None
    if not isinstance(name, str):
        raise UserError(f"{path}: no list 'images' with file names; this is not COCO's format of objects")
    for base in (path.parent, path.parent.parent):
        below = sorted(each for each in base.glob("*") if each.is_dir())
        deeper = sorted(each for folder in below for each in folder.glob("*") if each.is_dir())
        for folder in (base, *below, *deeper):
            if (folder / name).is_file():
                return str(folder)
    raise UserError(
        f"{path}: its first image, {name}, is not near it; name the folder of the images (--root)"
    )
