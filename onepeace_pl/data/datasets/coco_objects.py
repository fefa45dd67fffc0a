"""Objects in COCO's JSON: COCO itself, and any user's own annotations in that format."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from onepeace_pl.data.batches import Row
from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.sources.tables import read_json

Record = tuple[int, str, tuple[int, int], tuple[Mapping[str, Any], ...]]


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
        ValueError: The file is missing or of another shape, or an annotation names a picture or a category that is not
            there; names it.
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
        content = read_json(Path(path))
        lacking = [
            key
            for key in ("images", "annotations", "categories")
            if not isinstance(content, Mapping) or not isinstance(content.get(key), list)
        ]
        if lacking:
            raise ValueError(f"{path}: no list {lacking[0]!r}; this is not COCO's format of objects")
        categories = sorted(content["categories"], key=lambda category: int(category["id"]))
        self.classes = tuple(str(category["name"]) for category in categories)
        self.category_ids = tuple(int(category["id"]) for category in categories)
        self.images = images
        objects = self._objects(path, content)
        records = [
            (
                int(image["id"]),
                str(image["file_name"]),
                (int(image["width"]), int(image["height"])),
                tuple(objects[image["id"]]),
            )
            for image in content["images"]
        ]
        kept = [record for record in records if empty or any(not thing["crowd"] for thing in record[3])]
        super().__init__(Path(path), _checked(path, kept, degenerate), missing)
        self.published = published(dataset, Path(path).stem.rpartition("_")[2]) if dataset else None

    def row(self, record: Record) -> Row:
        """Make the row of (number, name, extent, objects)."""
        number, name, extent, objects = record
        fields = {"image": os.path.join(self.images, name)}
        return Row(str(number), fields, {"objects": list(objects), "extent": extent})

    def _objects(self, path: str, content: Mapping[str, Any]) -> dict[int, list[Mapping[str, Any]]]:
        numbers = {number: place for place, number in enumerate(self.category_ids)}
        pictures = {image["id"] for image in content["images"]}
        found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for note in content["annotations"]:
            where = f"{path}: annotation {note.get('id')}"
            for key in ("image_id", "category_id", "bbox"):
                if key not in note:
                    raise ValueError(f"{where} has no {key!r}; it has {', '.join(note)}")
            if note["image_id"] not in pictures:
                raise ValueError(f"{where} is of picture {note['image_id']}, which `images` does not list")
            if note["category_id"] not in numbers:
                raise ValueError(
                    f"{where} is of category {note['category_id']}, which `categories` does not list"
                )
            x, y, width, height = note["bbox"]
            outline = note.get("segmentation") or None
            found[note["image_id"]].append(
                {
                    "class": numbers[note["category_id"]],
                    "box": (x, y, x + width, y + height),
                    "crowd": bool(note.get("iscrowd")),
                    **({"outline": outline} if outline else {}),
                    **({"area": note["area"]} if "area" in note else {}),
                }
            )
        return found


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
