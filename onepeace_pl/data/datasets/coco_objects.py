"""Object detection annotations in COCO's JSON format."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import are_numbers, shown
from onepeace_pl.data.labels.segmentations import check_segmentation
from onepeace_pl.data.source import Labels, Row
from onepeace_pl.data.sources.tables import entries, need, need_text, read_json
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.decoding import check_sides

Record = tuple[int, str, tuple[int, int], tuple[Labels, ...]]
ImageEntry = tuple[str, tuple[int, int]]  # name of the file; width and height
Box = tuple[float, float, float, float]

MOST_AREA = 1e12


class CocoObjects(Listing[Record]):
    """Object detection annotations: classes, boxes and, where the file has them, segmentations.

    Classes are numbered in the order of COCO's category numbers. The id of a row is the number of its image.

    Args:
        path: The JSON file, with ``images``, ``annotations`` and ``categories``.
        images: Folder that image file names are relative to.
        keep_empty: Keep images without objects, or with crowds alone, which give no loss.
        degenerate: Handling of boxes without area: "raise", or "drop" them.
        missing: Handling of rows whose image file is missing.
        dataset: Name under which the size of its splits is known, such as ``coco_objects``.

    Raises:
        UserError: The file is missing or of another shape, an id is there twice, an annotation names an image or a
            category that is not there, or a size, box, area or segmentation is invalid; names the place.
    """

    layout: ClassVar[str] = """
        coco/annotations/instances_train2017.json, instances_val2017.json    annotations_trainval2017.zip
        coco/train2017/*.jpg, val2017/*.jpg                                  118,287 and 5,000 images
        Any file in COCO's format will do; boxes are x, y, width, height in pixels."""

    modalities = ("image",)

    def __init__(
        self,
        path: str,
        images: str,
        keep_empty: bool = True,
        degenerate: str = "raise",
        missing: Missing = "keep",
        dataset: str | None = None,
    ) -> None:
        if degenerate not in ("raise", "drop"):
            raise UserError(f"degenerate={degenerate!r} is unknown; choose raise or drop")
        file, self.images = Path(path), images
        content = read_json(file)
        for key in ("images", "annotations", "categories"):
            if not isinstance(content, Mapping) or not isinstance(content.get(key), list):
                raise UserError(f"{path}: no list {key!r}; this is not COCO's format of objects")
        numbers = _categories(file, content)
        self.classes, self.category_ids = tuple(numbers.values()), tuple(numbers)
        images_of = _images(file, content)
        objects = _objects(file, content, images_of, {number: place for place, number in enumerate(numbers)})
        records = [(number, *picture, tuple(objects[number])) for number, picture in images_of.items()]
        kept = [record for record in records if keep_empty or any(not thing["crowd"] for thing in record[3])]
        super().__init__(file, _checked(path, kept, degenerate), missing)
        self.published = published(dataset, file.stem.rpartition("_")[2]) if dataset else None

    def row(self, record: Record) -> Row:
        """Make the row of (number, name, image_size, objects)."""
        number, name, image_size, objects = record
        fields = {"image": os.path.join(self.images, name)}
        return Row(str(number), fields, {"objects": list(objects), "image_size": image_size})


def _categories(file: Path, content: object) -> dict[int, str]:
    """Return number -> name, in the order of the numbers."""
    names: dict[int, str] = {}
    known: set[str] = set()
    for place, entry in entries(file, content, "categories"):
        name = need_text(entry, "name", place)
        if name in known:
            raise UserError(f"{place}: category {shown(name)} is there twice; give each its own name")
        known.add(name)
        names[_new_id(entry, names, place)] = name
    return dict(sorted(names.items()))


def _images(file: Path, content: object) -> dict[int, ImageEntry]:
    """Return number -> name of the file, width and height."""
    images_of: dict[int, ImageEntry] = {}
    for place, entry in entries(file, content, "images"):
        number = _new_id(entry, images_of, place)
        width, height = (_whole(entry, side, place) for side in ("width", "height"))
        check_sides(width, height, place)
        images_of[number] = (need_text(entry, "file_name", place), (width, height))
    return images_of


def _objects(
    file: Path, content: object, images_of: Mapping[int, ImageEntry], classes: Mapping[int, int]
) -> dict[int, list[Labels]]:
    """Return number of an image -> its objects, their classes numbered."""
    found: dict[int, list[Labels]] = defaultdict(list)
    known: set[int] = set()
    if not need(content, "annotations", str(file)):
        return found
    for place, note in entries(file, content, "annotations"):
        if "id" in note:
            number = _new_id(note, known, place)
            known.add(number)
            place = f"{file}: annotation {number}"
        picture, category = _whole(note, "image_id", place), _whole(note, "category_id", place)
        if picture not in images_of:
            raise UserError(f"{place} is of image {picture}, which `images` does not list")
        if category not in classes:
            raise UserError(f"{place} is of category {category}, which `categories` does not list")
        found[picture].append(
            {
                "class": classes[category],
                "box": _box(note, place),
                "crowd": _crowd(note, place),
                **_segmentation(note, images_of[picture][1], place),
                **_area(note, place),
            }
        )
    return found


def _whole(entry: Mapping[str, object], key: str, place: str) -> int:
    value = need(entry, key, place)
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 or abs(value) >= 2**63:
        raise UserError(f"{place}: {key} {shown(value)} is no whole number; write one without quotes")
    return int(value)


def _new_id(entry: Mapping[str, object], known: Collection[int], place: str) -> int:
    number = _whole(entry, "id", place)
    if number in known:
        raise UserError(f"{place}: id {number} is there already; give each entry its own")
    return number


def _box(note: Mapping[str, object], place: str) -> Box:
    box = need(note, "bbox", place)
    if are_numbers(box, 4):
        x, y, width, height = map(float, box)
        corners = (x, y, x + width, y + height)
        if are_numbers(corners, 4):
            return corners
    raise UserError(f"{place}: bbox {shown(box)} is not four finite numbers x, y, width, height")


def _crowd(note: Mapping[str, object], place: str) -> bool:
    crowd = note.get("iscrowd", 0)
    if not isinstance(crowd, int) or crowd not in (0, 1):
        raise UserError(f"{place}: iscrowd {shown(crowd)} is neither 0 nor 1")
    return bool(crowd)


def _segmentation(note: Mapping[str, object], image_size: tuple[int, int], place: str) -> dict[str, object]:
    segmentation = note.get("segmentation")
    if segmentation is None or segmentation == []:
        return {}
    try:
        check_segmentation(segmentation, image_size[1], image_size[0])
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    return {"segmentation": segmentation}


def _area(note: Mapping[str, object], place: str) -> dict[str, object]:
    area = note.get("area")
    if area is None:
        return {}
    values = [area]
    if not are_numbers(values, 1) or not 0 <= values[0] <= MOST_AREA:
        raise UserError(f"{place}: area {shown(area)} is no number of pixels")
    return {"area": area}


def _checked(path: str, records: list[Record], degenerate: str) -> list[Record]:
    """Reject or drop boxes without area."""
    checked = []
    for number, name, image_size, objects in records:
        flat = [o for o in objects if o["box"][2] <= o["box"][0] or o["box"][3] <= o["box"][1]]
        if flat and degenerate == "raise":
            raise UserError(
                f"{path}: image {number} ({name}) has a box without area, {flat[0]['box']}; mend it, or set "
                "degenerate: drop"
            )
        checked.append(
            (number, name, image_size, tuple(o for o in objects if o not in flat) if flat else objects)
        )
    return checked
