"""RefCOCO, RefCOCO+, RefCOCOg: referring expressions and their boxes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.plain_pickle import read_plain_pickle
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import are_numbers, checked, shown
from onepeace_pl.data.source import Labels, Row
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.data.sources.tables import (
    entries,
    need,
    need_list,
    need_number,
    need_text,
    need_value,
    read_json,
    read_json_lines,
)
from onepeace_pl.errors import UserError


class Expression(NamedTuple):
    """One referring expression; box in pixels, image_size (width, height) or None where it is not known."""

    id: str
    image: str
    text: str
    box: tuple[float, ...]
    image_size: tuple[float, ...] | None


class RefCoco(Listing[Expression]):
    """Expressions of one split, one row a sentence; the id is the number of the sentence.

    Boxes are stored as left, top, width, height and given as corners x0, y0, x1, y1; both are pixels of the
    image, turned as the sizes of `instances` say (:class:`~onepeace_pl.data.source.Row`).

    Args:
        path: ``refs(unc).p`` (RefCOCOg: ``refs(umd).p``), the same as JSON, or JSON lines with ``file_name``,
            ``text`` and ``bbox_xyxy``. A pickle is read without running anything in it.
        images: Folder of the images, COCO's ``train2014``.
        instances: ``instances.json`` beside it, with boxes and sizes of images. None where the refs hold
            ``bbox`` themselves; sizes are then read from the images when a row is asked for.
        split: Split of the rows; None for all.
        missing: "skip" leaves out rows whose image file is missing.

    Raises:
        UserError: If a file is missing, of another shape or no plain data, a box is unknown, reversed or
            outside its image, or there are no rows of that split.
    """

    layout: ClassVar[str] = """
        refcoco/refs(unc).p, instances.json     train, val, testA, testB (repository lichengunc/refer)
        refcoco+/refs(unc).p, instances.json    train, val, testA, testB
        refcocog/refs(umd).p, instances.json    train, val, test
        coco/train2014/*.jpg                    images of all three (train2014.zip)"""

    modalities = ("image", "text")

    def __init__(
        self,
        path: str,
        images: str,
        instances: str | None = None,
        split: Literal["train", "val", "test", "testA", "testB"] | None = None,
        missing: Missing = "keep",
    ) -> None:
        file, self.images = Path(path), images
        if file.suffix == ".jsonl":
            found = _flat(file, split)
        else:
            content = read_plain_pickle(file) if file.suffix == ".p" else read_json(file)
            found = _refs(file, content, split, _Instances(instances))
        records = []
        for place, record in found:
            checked(place, self.labels_of(record))
            records.append(record)
        if not records:
            raise UserError(f"{path}: no rows of split {split!r}; RefCOCOg has test, the others testA, testB")
        super().__init__(file, records, missing)
        self.published = published(file.resolve().parent.name, split or "")

    def row(self, record: Expression) -> Row:
        """Make the row of an expression; reads the size of an image where the files do not know it."""
        image = os.path.join(self.images, record.image)
        labels = {"box": record.box, "image_size": record.image_size or read_image_size(image)}
        return Row(record.id, {"image": image, "text": record.text}, labels)

    def id_of(self, record: Expression) -> str:
        """Return the number of the sentence."""
        return record.id

    def labels_of(self, record: Expression) -> Labels:
        """Return box and, where the files know it, image_size."""
        return {"box": record.box} | ({"image_size": record.image_size} if record.image_size else {})

    def files_of(self, record: Expression) -> list[str]:
        """Return the image of an expression."""
        return [os.path.join(self.images, record.image)]

    def texts(self) -> Iterator[str]:
        """Yield every expression, for training a tokenizer; no media file is touched."""
        return (record.text for record in self.records)


class _Instances:
    """Boxes and images of ``instances.json``; empty without a file."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.boxes: dict[str | int | float, object] = {}
        self.pictures: dict[str | int | float, tuple[str, tuple[float, float]]] = {}
        if path is None:
            return
        file = Path(path)
        content = read_json(file)
        for place, entry in entries(file, content, "annotations"):
            self.boxes[need_value(entry, "id", place)] = need(entry, "bbox", place)
        for place, entry in entries(file, content, "images"):
            name = need_text(entry, "file_name", place)
            self.pictures[need_value(entry, "id", place)] = (name, _image_size(entry, place))


def _image_size(entry: Mapping[str, object], place: str) -> tuple[float, float]:
    return need_number(entry, "width", place), need_number(entry, "height", place)


def _refs(
    file: Path, content: object, split: str | None, instances: _Instances
) -> Iterator[tuple[str, Expression]]:
    for place, ref in entries(file, content):
        if split is not None and need(ref, "split", place) != split:
            continue
        box = ref["bbox"] if "bbox" in ref else instances.boxes.get(need_value(ref, "ann_id", place))
        if box is None:
            where = instances.path or "no `instances` file is given"
            raise UserError(
                f"{place}: no box for ann_id {shown(ref['ann_id'])} ({where}); give the right file"
            )
        if not are_numbers(box, 4):
            raise UserError(f"{place}: bbox {shown(box)} is not left, top, width, height")
        left, top, width, height = box
        known = instances.pictures.get(need_value(ref, "image_id", place))
        name, image_size = known if known else (need_text(ref, "file_name", place), None)
        if image_size is None and "width" in ref and "height" in ref:
            image_size = _image_size(ref, place)
        corners = (left, top, left + width, top + height)
        for sentence in need_list(ref, "sentences", place):
            identity, text = need_text(sentence, "sent_id", place), need_text(sentence, "sent", place)
            yield place, Expression(identity, name, text, corners, image_size)


def _flat(file: Path, split: str | None) -> Iterator[tuple[str, Expression]]:
    for line, row in read_json_lines(file):
        place = f"{file}:{line}"
        if split is not None and row.get("split", split) != split:
            continue
        image_size = _image_size(row, place) if "width" in row and "height" in row else None
        box = need(row, "bbox_xyxy", place)
        if not are_numbers(box, 4):
            raise UserError(f"{place}: bbox_xyxy {shown(box)} is not x0, y0, x1, y1")
        yield (
            place,
            Expression(
                need_text(row, "uniq_id", place) if "uniq_id" in row else str(line),
                need_text(row, "file_name", place),
                need_text(row, "text", place),
                tuple(box),
                image_size,
            ),
        )
