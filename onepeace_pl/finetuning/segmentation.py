"""Semantic segmentation: folders of images and of masks of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from onepeace_pl.data.datasets import MaskFolder
from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.labels.masks import IGNORED, open_mask
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.dense import PROCESSOR, dense_size, joint_transform
from onepeace_pl.finetuning.parts import SHARE, Parts, find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject

IMAGES: Final = ("images", "image", "imgs", "img", "jpegimages")
MASKS: Final = ("masks", "mask", "labels", "label", "annotations", "segmentationclass", "gt")
CLASS_FILES: Final = ("classes.txt", "labels.txt", "classes.json", "labels.json")
OPENED: Final = 500  # masks whose values are read
WIDTHS: Final = ((128, 64), (768, 256))  # width of the model up to which, width of the head
LARGEST_WIDTH: Final = 512


def plan(request: Request) -> Plan:
    """Return task and data of semantic segmentation."""
    model, guesses = request.model, request.guesses
    parts, masks_of = _parts(request)
    model.require("image", str(parts.train))
    suffix = _suffix(parts.train, masks_of[parts.train])
    files = sorted(each for each in masks_of[parts.train].rglob(f"*{suffix}") if each.is_file())
    guesses.add("format", "images and masks", f"{len(files):,} masks *{suffix} in {masks_of[parts.train]}")
    classes, values = _classes(request, files)

    def make(path: Path) -> JsonObject:
        return spec(
            MaskFolder,
            images=str(path),
            masks=str(masks_of[path]),
            classes=list(classes),
            class_values=values,
            mask_suffix=suffix,
        )

    sides = [min(read_image_size(str(each))) for each in _spread(_media(parts.train), OPENED)]
    size = dense_size(model, sides, request.size, guesses)
    width = next((own for most, own in WIDTHS if model.backbone.config.width <= most), LARGEST_WIDTH)
    return Plan(
        title="Semantic segmentation",
        task={
            "class_path": "Segmentation",
            "init_args": {
                "neck": {"class_path": "BlockFeaturePyramid"},
                "head": {"class_path": "UPerNet", "init_args": {"width": width}},
            },
        },
        modalities=["image"],
        rows=rows_of(parts, make, guesses),
        processors={"image": PROCESSOR},
        transform=joint_transform(size, 0.75, 1.5, IGNORED),
        image_size=size,
        batch_size=8,
        updates=1000,
    )


def _parts(request: Request) -> tuple[Parts, dict[Path, Path]]:
    """Return the folders of images, and that of the masks of each: ``images/train`` or ``train/images``."""
    data = request.data
    if not data.is_dir():
        raise UserError(f"--data {data}: no such folder; give one that holds images/ and masks/")
    images, masks = (_child(data, names) for names in (IMAGES, MASKS))
    if images is not None and masks is not None:
        parts = find_parts(images, None, ())
        of = {each: masks / each.relative_to(images) for each in _folders(parts)}
    else:
        parts = find_parts(data, None, ())
        found = {each: [_child(each, names) for names in (IMAGES, MASKS)] for each in _folders(parts)}
        lacking = next((each for each, pair in found.items() if None in pair), None)
        if lacking is not None:
            raise UserError(
                f"{lacking} holds no folders of images ({', '.join(IMAGES)}) and masks ({', '.join(MASKS)})"
            )
        inner = {each: pair[0] for each, pair in found.items()}
        of = {image: mask for image, mask in found.values() if image is not None and mask is not None}
        parts = Parts(
            inner[parts.train] or parts.train,
            None if parts.validation is None else inner[parts.validation],
            None if parts.test is None else inner[parts.test],
            parts.share,
            parts.reason,
        )
    if request.val is not None:
        parts, of = _with_validation(request.val, parts, of)
    missing = next((mask for mask in of.values() if not mask.is_dir()), None)
    if missing is not None:
        raise UserError(f"{missing}: no such folder of masks; images and masks need the same folders")
    return parts, of


def _with_validation(val: str, parts: Parts, of: dict[Path, Path]) -> tuple[Parts, dict[Path, Path]]:
    """Return the parts with the validation data, or their share, of the command line."""
    path = Path(val)
    if not path.is_dir():
        share = find_parts(parts.train, val, ()).share
        return Parts(parts.train, None, parts.test, share, "--val"), of
    images, masks = (_child(path, names) for names in (IMAGES, MASKS))
    if images is None or masks is None:
        raise UserError(f"--val {path} holds no folders of images and masks")
    return Parts(parts.train, images, parts.test, SHARE, "--val"), {**of, images: masks}


def _folders(parts: Parts) -> list[Path]:
    return [each for each in (parts.train, parts.validation, parts.test) if each is not None]


def _child(folder: Path, names: Sequence[str]) -> Path | None:
    found = {each.name.lower(): each for each in folder.iterdir() if each.is_dir()}
    return next((found[name] for name in names if name in found), None)


def _media(folder: Path) -> list[Path]:
    found = sorted(each for each in folder.rglob("*") if ENDINGS.get(each.suffix.lower()) == "image")
    if not found:
        raise UserError(f"{folder}: no images")
    return found


def _suffix(images: Path, masks: Path) -> str:
    """Return what stands in the name of a mask in place of its image's ending: ``.png``, ``_mask.png``."""
    first = _media(images)[0].relative_to(images)
    beside = sorted((masks / first.parent).glob(f"{first.stem}*"))
    if not beside:
        raise UserError(f"{images / first}: no mask of that name in {masks}; add it, or move the image away")
    shortest = min(beside, key=lambda each: len(each.name))
    return shortest.name.removeprefix(first.stem)


def _classes(request: Request, files: Sequence[Path]) -> tuple[Sequence[str], list[int] | None]:
    """Return names of the classes, and the value of each in the masks; None for 0, 1, 2 and so on."""
    opened = _spread(files, OPENED)
    values = sorted({int(value) for each in opened for value in np.unique(open_mask(each))})
    binary = values == [0, IGNORED]
    used = values if binary else [value for value in values if value != IGNORED]
    names, where = request.classes, "--classes"
    if names is None:
        file = next((f for name in CLASS_FILES if (f := request.data / name).is_file()), None)
        names, where = (None, "") if file is None else (read_classes(str(file)), str(file))
    if names is None:
        names = ("background", "object") if binary else tuple(map(str, used))
        where = f"values of {len(opened):,} masks: {', '.join(map(str, values[:12]))}"
    contiguous = not binary and (not used or used[-1] < len(names))
    if not contiguous and len(names) != len(used):
        raise UserError(
            f"masks have the values {', '.join(map(str, used[:12]))}, and there are {len(names)} classes; give a name "
            "for each value in their order (--classes)"
        )
    request.guesses.add(
        "classes",
        len(names),
        f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}; {where}",
        "--classes",
    )
    return names, None if contiguous else used


def _spread(files: Sequence[Path], most: int) -> list[Path]:
    step = max(1, -(-len(files) // most))
    return list(files[::step])
