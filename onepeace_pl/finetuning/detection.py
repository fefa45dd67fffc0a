"""Object detection: annotations in COCO's JSON, YOLO's or Pascal VOC's format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from onepeace_pl.data.datasets import CocoObjects, VocObjects, YoloObjects
from onepeace_pl.data.datasets.yolo_objects import read_yolo
from onepeace_pl.data.sources.tables import read_json
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.dense import PROCESSOR, SMALL, dense_size, joint_transform
from onepeace_pl.finetuning.parts import SHARE, Parts, find_parts, rows_of, split_share
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject

ENDINGS: Final = (".json",)
YAML: Final = (".yaml", ".yml")
_VOC_IMAGES: Final = ("JPEGImages", "images")
_SOURCES: Final[dict[str, type[CocoObjects | VocObjects | YoloObjects]]] = {
    kind.__name__: kind for kind in (CocoObjects, VocObjects, YoloObjects)
}
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
    name, parts, make = _found(request)
    model.require("image", str(parts.train))
    options = make(parts.train)
    rows = _SOURCES[options["class_path"]](**options["init_args"])
    labels = list(rows.labels())
    objects = [each for row in labels for each in row["objects"] if not each["crowd"]]
    masks = bool(objects) and all("segmentation" in each for each in objects)
    count = f"{len(objects):,} objects of {len(rows.classes)} classes in {len(rows):,} images"
    request.guesses.add("format", name, f"{count} of {request.data}")
    if "images" in options["init_args"]:
        request.guesses.add(
            "images", options["init_args"]["images"], "files of the annotations are found there", "--root"
        )
    request.guesses.add(
        "masks", "yes" if masks else "no", "all objects have some" if masks else "some objects have none"
    )
    size = dense_size(model, [min(row["image_size"]) for row in labels], request.size, request.guesses)
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


def _found(request: Request) -> tuple[str, Parts, Callable[[Path], JsonObject]]:
    """Return the name of the format, the parts of the data, and what makes the source of one."""
    data = request.data
    yolo = _yolo_file(data)
    if yolo is not None:
        return (
            "YOLO",
            _yolo_parts(yolo, request),
            lambda part: spec(YoloObjects, path=str(yolo), part=str(part)),
        )
    if (data / "Annotations").is_dir() and any((data / "Annotations").glob("*.xml")):
        return _voc(data, request)

    def make(path: Path) -> JsonObject:
        return spec(CocoObjects, path=str(path), images=_images(path, request.root), degenerate="drop")

    return "COCO JSON", _parts(request), make


def _yolo_file(data: Path) -> Path | None:
    """Return the YAML file that is given, or the only one of a folder."""
    if data.suffix.lower() in YAML:
        return data
    files = [each for each in sorted(data.glob("*")) if each.suffix.lower() in YAML] if data.is_dir() else []
    return files[0] if len(files) == 1 else None


def _yolo_parts(file: Path, request: Request) -> Parts:
    """Return the parts that the YAML file names, by name."""
    content = read_yolo(file)
    there = [part for part in ("val", "test") if content.get(part)]
    share = split_share(request.val)
    if share is not None or not there:
        return Parts(Path("train"), share=share or SHARE, reason="--val" if share else "no val or test part")
    test = Path("test") if there == ["val", "test"] else None
    return Parts(Path("train"), Path(there[0]), test, reason=f"train, {', '.join(there)} in {file}")


def _voc(data: Path, request: Request) -> tuple[str, Parts, Callable[[Path], JsonObject]]:
    annotations, lists = data / "Annotations", data / "ImageSets" / "Main"
    images = request.root or next(
        (str(data / each) for each in _VOC_IMAGES if (data / each).is_dir()), str(data)
    )
    share = split_share(request.val)
    if share is not None or not (lists / "train.txt").is_file():
        parts = Parts(
            annotations, share=share or SHARE, reason="--val" if share else "no ImageSets/Main/train.txt"
        )
    else:
        val, test = (each if each.is_file() else None for each in (lists / "val.txt", lists / "test.txt"))
        parts = Parts(lists / "train.txt", val or test, test if val else None, reason=f"lists in {lists}")
    whole = VocObjects(str(annotations), images)

    def make(path: Path) -> JsonObject:
        ids = None if path == annotations else str(path)
        return spec(
            VocObjects, annotations=str(annotations), images=images, ids=ids, classes=list(whole.classes)
        )

    return "Pascal VOC", parts, make


def _parts(request: Request) -> Parts:
    """Find the JSON files: given, in the folder, in its ``annotations``, or one in each part's folder."""
    data = request.data
    inside = data / "annotations"
    beside = inside.is_dir() and not any(data.glob("*.json")) and any(inside.glob("*.json"))
    parts = find_parts(inside if beside else data, request.val, ENDINGS)
    if not parts.train.is_file():
        raise UserError(
            f"{data}: no annotations; give COCO's JSON file, YOLO's data.yaml, or the folder that holds one of them "
            "or Pascal VOC's Annotations"
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
