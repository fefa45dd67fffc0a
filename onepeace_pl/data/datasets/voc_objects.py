"""Object detection annotations in Pascal VOC's format: an XML file for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from onepeace_pl.data.datasets.class_names import class_number, read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.labels.checking import are_numbers, shown
from onepeace_pl.data.source import Labels, Row
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.errors import UserError

Object = tuple[str, tuple[float, float, float, float], bool]  # class, box, whether it is difficult
Record = tuple[str, str, tuple[Object, ...]]  # id, image, objects

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocObjects(Listing[Record]):
    """Object detection annotations in Pascal VOC's format: classes and boxes.

    Pixels are counted from 1, and the last one belongs to the box. Objects that are marked as difficult are neither
    trained on nor evaluated, as COCO's crowds. The id of a row is the name of its file.

    Args:
        annotations: Folder of the XML files.
        images: Folder of the images, named like the XML files.
        ids: File with one name a line, such as ``ImageSets/Main/train.txt``; None for all XML files.
        classes: Names of the classes: a list, or a file with one a line; None for those of all XML files of the
            folder, in alphabetical order.
        keep_empty: Keep images without objects, which give no loss.
        missing: Handling of rows whose image file is missing.

    Raises:
        UserError: A folder or file is missing, an XML file is broken, or an object lacks a name or a box.

    Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (format only).
    """

    layout: ClassVar[str] = """
        Annotations/a.xml, JPEGImages/a.jpg, ImageSets/Main/train.txt, val.txt     or any two folders like these"""

    modalities = ("image",)

    def __init__(
        self,
        annotations: str,
        images: str,
        ids: str | None = None,
        classes: Sequence[str] | str | None = None,
        keep_empty: bool = True,
        missing: Missing = "keep",
    ) -> None:
        folder = Path(annotations)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of XML files")
        files = {each.stem: each for each in sorted(folder.glob("*.xml"))}
        wanted = list(files) if ids is None else [line.split()[0] for line in _lines(Path(ids))]
        lacking = next((name for name in wanted if name not in files), None)
        if lacking is not None:
            raise UserError(f"{ids}: {lacking} has no file {folder / lacking}.xml")
        read = {name: _objects(files[name]) for name in (files if classes is None else wanted)}
        if classes is None:
            self.classes = tuple(sorted({kind for objects in read.values() for kind, _, _ in objects}))
        else:
            self.classes = read_classes(classes)
        self._numbers = {name: number for number, name in enumerate(self.classes)}
        pictures = _images(Path(images))
        records = []
        for name in wanted:
            for kind, _, _ in read[name]:
                class_number(kind, self._numbers, str(files[name]))
            if read[name] or keep_empty:
                records.append((name, pictures.get(name, f"{Path(images, name)}.jpg"), read[name]))
        super().__init__(folder if ids is None else Path(ids), records, missing)

    def row(self, record: Record) -> Row:
        """Make the row of (id, image, objects); the image's size is read from its header."""
        name, image, objects = record
        labels: Labels = {
            "objects": [
                {"class": self._numbers[kind], "box": box, "crowd": difficult}
                for kind, box, difficult in objects
            ],
            "image_size": read_image_size(image, upright=False),
        }
        return Row(name, {"image": image}, labels)

    def id_of(self, record: Record) -> str:
        """Return the id of the row of a record."""
        return record[0]

    def files_of(self, record: Record) -> list[str]:
        """Return the image."""
        return [record[1]]


def _lines(file: Path) -> list[str]:
    return [line for line in read_text(file).splitlines() if line.strip()]


def _images(folder: Path) -> dict[str, str]:
    """Return name without ending -> path."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images")
    return {each.stem: str(each) for each in folder.iterdir() if ENDINGS.get(each.suffix.lower()) == "image"}


def _objects(file: Path) -> tuple[Object, ...]:
    try:
        root = ElementTree.fromstring(read_text(file))
    except ElementTree.ParseError as error:
        raise UserError(f"{file}: broken XML ({error})") from error
    return tuple(
        _object(each, f"{file}: object {number}") for number, each in enumerate(root.iter("object"), 1)
    )


def _object(element: ElementTree.Element, place: str) -> Object:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise UserError(f"{place} has no name of a class")
    said = [element.findtext(f"bndbox/{corner}") for corner in _CORNERS]
    try:
        corners = [float(each or "") for each in said]
    except ValueError:
        corners = []
    if not are_numbers(corners, 4) or corners[2] < corners[0] or corners[3] < corners[1]:
        raise UserError(f"{place}: bndbox {shown(said)} is not xmin, ymin, xmax, ymax in pixels")
    box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])
    return name, box, (element.findtext("difficult") or "0").strip() == "1"
