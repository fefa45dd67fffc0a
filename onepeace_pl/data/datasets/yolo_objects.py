"""Object detection annotations in YOLO's format: a YAML file, and a text file of boxes or polygons for each image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import yaml

from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.source import Labels, Row
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.errors import UserError

Shape = tuple[int, tuple[float, ...]]  # class; x_center, y_center, width, height, or the corners of a polygon
Record = tuple[str, str, tuple[Shape, ...]]  # id, image, objects

_BOX = 4  # numbers
_SLACK = 1e-3  # of coordinates outside of the image, by rounding


class YoloObjects(Listing[Record]):
    """Object detection annotations in YOLO's format: classes and boxes, or polygons.

    The labels of ``images/a.jpg`` are in ``labels/a.txt``; an image without such a file has no objects. A line is the
    class's number and ``x_center y_center width height``, or the corners of a polygon, in shares of the image's sides.
    The id of a row is the path of its image below the data set, without ending.

    Args:
        path: The YAML file, with ``names``, ``train``, ``val`` and perhaps ``test`` and ``path``.
        part: ``train``, ``val`` or ``test``: a folder, a file of image paths, or a list of these.
        keep_empty: Keep images without objects, which give no loss.
        missing: Handling of rows whose image file is missing.

    Raises:
        UserError: A file or part is missing, or a line is none of an object; names the place.

    Source: https://docs.ultralytics.com/datasets/detect (format only).
    """

    layout: ClassVar[str] = """
        data.yaml              path: ., train: images/train, val: images/val, names: [cat, dog]
        images/train/a.jpg     and labels/train/a.txt: class x_center y_center width height, in shares of the image"""

    modalities = ("image",)

    def __init__(
        self, path: str, part: str = "train", keep_empty: bool = True, missing: Missing = "keep"
    ) -> None:
        file = Path(path)
        content = read_yolo(file)
        self.classes = _classes(file, content)
        root = _root(file, content)
        records = []
        for image in _images(file, content, root, part):
            objects = _objects(label_file(image), len(self.classes))
            if objects or keep_empty:
                records.append((_id(image, root), str(image), objects))
        super().__init__(file, records, missing)

    def row(self, record: Record) -> Row:
        """Make the row of (id, image, objects); the image's size is read from its header."""
        name, image, objects = record
        size = read_image_size(image)
        labels = {"objects": [_object(each, size) for each in objects], "image_size": size}
        return Row(name, {"image": image}, labels)

    def id_of(self, record: Record) -> str:
        """Return the id of the row of a record."""
        return record[0]

    def files_of(self, record: Record) -> list[str]:
        """Return the image."""
        return [record[1]]


def read_yolo(file: Path) -> Mapping[str, object]:
    """Read the YAML file of a data set.

    Raises:
        UserError: It is missing, no YAML, or has no ``names``.
    """
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, Mapping) or "names" not in content:
        raise UserError(f"{file}: no `names` of classes; this is not YOLO's format")
    return content


def label_file(image: Path) -> Path:
    """Return the file of an image's labels: in ``labels`` instead of the last ``images`` of its path."""
    steps = list(image.parts)
    for place in range(len(steps) - 2, -1, -1):
        if steps[place] == "images":
            steps[place] = "labels"
            break
    return Path(*steps).with_suffix(".txt")


def _classes(file: Path, content: Mapping[str, object]) -> tuple[str, ...]:
    names = content["names"]
    if isinstance(names, Mapping):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise UserError(
                f"{file}: numbers of `names` are not 0 to {len(names) - 1}; give each class its own"
            )
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        raise UserError(f"{file}: names {shown(names)} is neither a list nor number: name")
    try:
        return read_classes([str(name) for name in names])
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _root(file: Path, content: Mapping[str, object]) -> Path:
    """Return the folder that paths start from; one that is nowhere is that of the YAML file, moved since."""
    given = content.get("path")
    if not isinstance(given, str):
        return file.parent
    return next((each for each in (file.parent / given, Path(given)) if each.is_dir()), file.parent)


def _images(file: Path, content: Mapping[str, object], root: Path, part: str) -> list[Path]:
    given = content.get(part)
    places = given if isinstance(given, list) else [given]
    if not given or not all(isinstance(place, str) for place in places):
        there = [name for name in ("train", "val", "test") if content.get(name)]
        raise UserError(f"{file}: no part {part!r}; it has {', '.join(there) or 'none'}")
    found: list[Path] = []
    for place in map(str, places):
        # exports often lie one folder nearer than their YAML says
        tried = [root / place, *([root / place.removeprefix("../")] if place.startswith("../") else [])]
        at = next((each for each in tried if each.exists()), None)
        if at is None:
            raise UserError(f"{file}: {part}: {tried[0]}: no such file or folder; mend `path` or `{part}`")
        if at.is_dir():
            found += sorted(each for each in at.rglob("*") if ENDINGS.get(each.suffix.lower()) == "image")
        else:
            lines = (line.strip() for line in read_text(at).splitlines())
            found += [root / line.removeprefix("./") for line in lines if line]
    return found


def _id(image: Path, root: Path) -> str:
    below = image.relative_to(root) if image.is_relative_to(root) else image
    return below.with_suffix("").as_posix()


def _objects(file: Path, classes: int) -> tuple[Shape, ...]:
    """Read the labels of one image; each object once."""
    if not file.is_file():
        return ()
    found: dict[Shape, None] = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split()
        if words:
            found[_shape(words, classes, f"{file}:{number}")] = None
    return tuple(found)


def _shape(words: list[str], classes: int, place: str) -> Shape:
    label = whole(words[0])
    if label is None or label >= classes:
        raise UserError(f"{place}: class {shown(words[0])} is none of 0 to {classes - 1}")
    try:
        numbers = tuple(map(float, words[1:]))
    except ValueError:
        numbers = ()
    if len(numbers) != _BOX and (len(numbers) < 6 or len(numbers) % 2):
        raise UserError(
            f"{place}: after the class there must be x_center y_center width height, or the corners of a polygon"
        )
    if not all(-_SLACK <= each <= 1 + _SLACK for each in numbers):  # NaN, too
        wrong = next(each for each in numbers if not -_SLACK <= each <= 1 + _SLACK)
        raise UserError(f"{place}: {wrong:g} is no share of the image's side, 0 to 1")
    sides = (
        numbers[2:]
        if len(numbers) == _BOX
        else [max(each) - min(each) for each in (numbers[::2], numbers[1::2])]
    )
    if not min(sides) > 0:
        raise UserError(f"{place}: an object without area; remove the line")
    return label, numbers


def _object(shape: Shape, size: tuple[int, int]) -> Labels:
    label, numbers = shape
    sides = size * (len(numbers) // 2)
    pixels = [number * side for number, side in zip(numbers, sides, strict=True)]
    if len(pixels) == _BOX:
        x, y, width, height = pixels
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        box = tuple(min(max(edge, 0.0), float(side)) for edge, side in zip(edges, size * 2, strict=True))
        return {"class": label, "box": box, "crowd": False}
    xs, ys = pixels[::2], pixels[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    return {"class": label, "box": box, "crowd": False, "segmentation": [pixels]}
