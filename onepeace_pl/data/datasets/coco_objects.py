"""Objects in COCO's JSON: COCO itself, and any user's own annotations in that format."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from onepeace_pl.data.batches import Row
from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import are_numbers, shown
from onepeace_pl.data.labels.outlines import check_outline
from onepeace_pl.data.sources.tables import entries, need, need_text, read_json
from onepeace_pl.modalities.image.decoding import check_sides

Record = tuple[int, str, tuple[int, int], tuple[Mapping[str, Any], ...]]
Picture = tuple[str, tuple[int, int]]  # name of the file; width and height
Box = tuple[float, float, float, float]

MOST_AREA = 1e12


class CocoObjects(Listing[Record]):
    """A picture and its objects: classes, boxes and, where the file has them, outlines.

    Classes are numbered in the order of COCO's category numbers. The id of a row is the number of its picture.

    Args:
        path: The JSON file, with ``images``, ``annotations`` and ``categories``.
        images: Folder that names of pictures are seen from.
        empty: Whether pictures without objects are rows too, or with crowds alone, which teach nothing.
        degenerate: What to do with boxes without area: "raise", or "drop" them.
        missing: What to do with rows whose picture is not there.
        dataset: Name under which the size of its splits is known, such as ``coco_objects``.

    Raises:
        ValueError: The file is missing or of another shape, an id is there twice, an annotation names a picture or a
            category that is not there, or a size, box, area or outline cannot be; names the place.
    """

    layout: ClassVar[str] = """
        coco/annotations/instances_train2017.json, instances_val2017.json    annotations_trainval2017.zip
        coco/train2017/*.jpg, val2017/*.jpg                                  118,287 and 5,000 pictures
        Any file in COCO's format will do; boxes are x, y, width, height in pixels."""

    modalities = ("image",)

    def __init__(
        self,
        path: str,
        images: str,
        empty: bool = True,
        degenerate: str = "raise",
        missing: Missing = "keep",
        dataset: str | None = None,
    ) -> None:
        if degenerate not in ("raise", "drop"):
            raise ValueError(f"degenerate={degenerate!r} is unknown; choose raise or drop")
        file, self.images = Path(path), images
        content = read_json(file)
        for key in ("images", "annotations", "categories"):
            if not isinstance(content, Mapping) or not isinstance(content.get(key), list):
                raise ValueError(f"{path}: no list {key!r}; this is not COCO's format of objects")
        numbers = _categories(file, content)
        self.classes, self.category_ids = tuple(numbers.values()), tuple(numbers)
        pictures = _pictures(file, content)
        objects = _objects(file, content, pictures, {number: place for place, number in enumerate(numbers)})
        records = [(number, *picture, tuple(objects[number])) for number, picture in pictures.items()]
        kept = [record for record in records if empty or any(not thing["crowd"] for thing in record[3])]
        super().__init__(file, _checked(path, kept, degenerate), missing)
        self.published = published(dataset, file.stem.rpartition("_")[2]) if dataset else None

    def row(self, record: Record) -> Row:
        """Make the row of (number, name, extent, objects)."""
        number, name, extent, objects = record
        fields = {"image": os.path.join(self.images, name)}
        return Row(str(number), fields, {"objects": list(objects), "extent": extent})


def _categories(file: Path, content: Any) -> dict[int, str]:
    """Return number -> name, in the order of the numbers."""
    names: dict[int, str] = {}
    known: set[str] = set()
    for place, entry in entries(file, content, "categories"):
        name = need_text(entry, "name", place)
        if name in known:
            raise ValueError(f"{place}: category {shown(name)} is there twice; give each its own name")
        known.add(name)
        names[_new_id(entry, names, place)] = name
    return dict(sorted(names.items()))


def _pictures(file: Path, content: Any) -> dict[int, Picture]:
    """Return number -> name of the file, width and height."""
    pictures: dict[int, Picture] = {}
    for place, entry in entries(file, content, "images"):
        number = _new_id(entry, pictures, place)
        width, height = (_whole(entry, side, place) for side in ("width", "height"))
        check_sides(width, height, place)
        pictures[number] = (need_text(entry, "file_name", place), (width, height))
    return pictures


def _objects(
    file: Path, content: Any, pictures: Mapping[int, Picture], classes: Mapping[int, int]
) -> dict[int, list[Mapping[str, Any]]]:
    """Return number of a picture -> its objects, their classes numbered."""
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    known: set[int] = set()
    if not content["annotations"]:
        return found
    for place, note in entries(file, content, "annotations"):
        if "id" in note:
            number = _new_id(note, known, place)
            known.add(number)
            place = f"{file}: annotation {number}"
        picture, category = _whole(note, "image_id", place), _whole(note, "category_id", place)
        if picture not in pictures:
            raise ValueError(f"{place} is of picture {picture}, which `images` does not list")
        if category not in classes:
            raise ValueError(f"{place} is of category {category}, which `categories` does not list")
        found[picture].append(
            {
                "class": classes[category],
                "box": _box(note, place),
                "crowd": _crowd(note, place),
                **_outline(note, pictures[picture][1], place),
                **_area(note, place),
            }
        )
    return found


def _whole(entry: Mapping[str, Any], key: str, place: str) -> int:
    value = need(entry, key, place)
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 or abs(value) >= 2**63:
        raise ValueError(f"{place}: {key} {shown(value)} is no whole number; write one without quotes")
    return int(value)


def _new_id(entry: Mapping[str, Any], known: Collection[int], place: str) -> int:
    number = _whole(entry, "id", place)
    if number in known:
        raise ValueError(f"{place}: id {number} is there already; give each entry its own")
    return number


def _box(note: Mapping[str, Any], place: str) -> Box:
    box = need(note, "bbox", place)
    if are_numbers(box, 4):
        x, y, width, height = map(float, box)
        corners = (x, y, x + width, y + height)
        if are_numbers(corners, 4):
            return corners
    raise ValueError(f"{place}: bbox {shown(box)} is not four finite numbers x, y, width, height")


def _crowd(note: Mapping[str, Any], place: str) -> bool:
    crowd = note.get("iscrowd", 0)
    if not isinstance(crowd, int) or crowd not in (0, 1):
        raise ValueError(f"{place}: iscrowd {shown(crowd)} is neither 0 nor 1")
    return bool(crowd)


def _outline(note: Mapping[str, Any], extent: tuple[int, int], place: str) -> dict[str, Any]:
    outline = note.get("segmentation")
    if outline is None or outline == []:
        return {}
    try:
        check_outline(outline, extent[1], extent[0])
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return {"outline": outline}


def _area(note: Mapping[str, Any], place: str) -> dict[str, Any]:
    area = note.get("area")
    if area is None:
        return {}
    if not are_numbers([area], 1) or not 0 <= area <= MOST_AREA:
        raise ValueError(f"{place}: area {shown(area)} is no number of pixels")
    return {"area": area}


def _checked(path: str, records: list[Record], degenerate: str) -> list[Record]:
    """Refuse or drop boxes without area."""
    checked = []
    for number, name, extent, objects in records:
        flat = [o for o in objects if o["box"][2] <= o["box"][0] or o["box"][3] <= o["box"][1]]
        if flat and degenerate == "raise":
            raise ValueError(
                f"{path}: picture {number} ({name}) has a box without area, {flat[0]['box']}; mend it, or set "
                "degenerate: drop"
            )
        checked.append(
            (number, name, extent, tuple(o for o in objects if o not in flat) if flat else objects)
        )
    return checked
