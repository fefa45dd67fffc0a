"""Semantic segmentation: images and masks of the same names in two folders, ADE20K, COCO-Stuff."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.datasets.listing import Listing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.labels.masks import IGNORED, StoredMask
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.errors import UserError


class MaskFolder(Listing[tuple[str, str]]):
    """Images and their semantic masks.

    Args:
        images: Folder of the images; they may lie deeper.
        masks: Folder of the masks: lossless images of one value a pixel, named like the images.
        classes: Names of the classes: a list, or a file with one a line (or JSON).
        class_values: Pixel value of each class in the masks, in the order of ``classes``; None for 0, 1, 2 and so on.
        ignored_values: Pixel values that are neither trained on nor evaluated, besides 255.
        mask_suffix: Replacement of the image's suffix in the name of its mask.
        dataset: Name under which the size of its splits is known, such as ``ade20k``.

    Raises:
        UserError: A folder is missing or empty, an image has no mask or a mask no image, or a number is
            given twice.
    """

    layout: ClassVar[str] = """
        Any two folders with images and masks of the same names: IMAGES/a.jpg, MASKS/a.png."""

    modalities = ("image",)

    def __init__(
        self,
        images: str,
        masks: str,
        classes: Sequence[str] | str,
        class_values: Sequence[int] | None = None,
        ignored_values: Sequence[int] = (),
        mask_suffix: str = ".png",
        dataset: str | None = None,
    ) -> None:
        self.classes = read_classes(classes)
        self.table = _table(self.classes, class_values, ignored_values)
        self.masks = masks
        super().__init__(Path(images), _pairs(Path(images), Path(masks), mask_suffix))
        self.published = published(dataset, Path(images).name) if dataset else None

    def row(self, record: tuple[str, str]) -> Row:
        """Make the row of (path below the image folder, path below the mask folder)."""
        image, mask = record
        stored = StoredMask(os.path.join(self.masks, mask), self.table)
        return Row(os.path.splitext(image)[0], {"image": os.path.join(self.path, image)}, {"mask": stored})

    def files_of(self, record: tuple[str, str]) -> list[str]:
        """Return the image and its mask."""
        return [os.path.join(self.path, record[0]), os.path.join(self.masks, record[1])]


class Ade20k(MaskFolder):
    """ADE20K with its 150 classes (ADEChallengeData2016).

    Args:
        root: Folder of ``images``, ``annotations`` and ``objectInfo150.txt``.
        split: ``training`` or ``validation``.
    """

    layout: ClassVar[str] = """
        ade20k/objectInfo150.txt               names of the classes (ADEChallengeData2016.zip, as the rest)
        ade20k/images/training/*.jpg           20,210 images
        ade20k/images/validation/*.jpg         2,000 images
        ade20k/annotations/training/*.png      masks: 0 other, 1 to 150 the classes
        ade20k/annotations/validation/*.png"""

    def __init__(self, root: str, split: str) -> None:
        place = Path(root) / "objectInfo150.txt"
        lines = [line.split("\t") for line in read_text(place).splitlines()[1:] if line.strip()]
        if any(len(line) < 5 for line in lines):
            raise UserError(f"{place}: a line has fewer than five columns; download the file again")
        names = [line[4].strip() for line in lines]
        super().__init__(
            f"{root}/images/{split}",
            f"{root}/annotations/{split}",
            names,
            range(1, len(names) + 1),
            [0],
            dataset="ade20k",
        )


# numbers of COCO's labels that no image has
UNUSED_LABELS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91})


class CocoStuff(MaskFolder):
    """COCO-Stuff 164k with its 171 classes.

    Args:
        root: Folder of ``images``, ``masks`` and ``labels.txt``.
        split: ``train2017`` or ``val2017``.
    """

    layout: ClassVar[str] = """
        coco_stuff/labels.txt                  numbers and names of labels (github.com/nightrome/cocostuff)
        coco_stuff/images/train2017/*.jpg      118,287 images of COCO
        coco_stuff/images/val2017/*.jpg        5,000 images
        coco_stuff/masks/train2017/*.png       masks (stuffthingmaps_trainval2017.zip): number of the label less 1
        coco_stuff/masks/val2017/*.png"""

    def __init__(self, root: str, split: str) -> None:
        place, names, numbers = Path(root) / "labels.txt", [], []
        for line in read_text(place).splitlines():
            number, colon, name = line.partition(":")
            if not line.strip():
                continue
            label = whole(number) if colon else None
            if label is None:
                raise UserError(f"{place}: {shown(line)} is no number and name; download the file again")
            if label and label not in UNUSED_LABELS:
                numbers.append(label - 1)
                names.append(name.strip())
        super().__init__(
            f"{root}/images/{split}", f"{root}/masks/{split}", names, numbers, dataset="coco_stuff"
        )


def _table(
    classes: Sequence[str], numbers: Sequence[int] | None, ignored: Sequence[int]
) -> NDArray[np.int16]:
    said = list(range(len(classes))) if numbers is None else list(numbers)
    if len(said) != len(classes):
        raise UserError(f"{len(said)} numbers for {len(classes)} classes; give one for each, in their order")
    every = [*said, *ignored]
    twice = next((number for number in every if every.count(number) > 1), None)
    if twice is not None:
        raise UserError(
            f"number {twice} stands twice in `class_values` and `ignored_values`; a pixel has one class or none"
        )
    wrong = next((number for number in every if not 0 <= number <= IGNORED), None)
    if wrong is not None:
        raise UserError(f"number {wrong} does not fit a byte; masks have 0 to 255")
    table = np.full(256, -1, dtype=np.int16)
    table[IGNORED] = IGNORED
    table[list(ignored)] = IGNORED
    table[said] = np.arange(len(classes))
    return table


def _pairs(images: Path, masks: Path, ending: str) -> list[tuple[str, str]]:
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; check the path") from FileNotFoundError(str(folder))
    there = {name for name in _files(masks) if name.endswith(ending)}
    pairs = []
    for image in _files(images):
        stem, extension = os.path.splitext(image)
        if ENDINGS.get(extension.lower()) != "image":
            continue
        if stem + ending not in there:
            raise UserError(
                f"{images / image}: no mask {masks / (stem + ending)}; add it, or move the image away"
            )
        pairs.append((image, stem + ending))
    left = there - {mask for _, mask in pairs}
    if pairs and left:
        raise UserError(
            f"{masks / min(left)}: no image of that name in {images}; add it, or move the mask away"
        )
    return pairs


def _files(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
    )
