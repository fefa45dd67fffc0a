"""Map-style datasets of raw rows: :class:`Row` and the base class :class:`Source`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from onepeace_pl.modalities.base import RawValue

Fields = dict[str, Any]
"""Field (a modality, or ``modality:role``) to raw value, or a tuple of several (:class:`Row` lists their types)."""

Labels = Mapping[str, Any]
"""Label to value, of a type that the task's target reader takes (:class:`Row` lists them)."""


class Frames(tuple[Any, ...]):
    """Frames of a clip: several values of one modality that share one random augmentation."""


@dataclass(frozen=True)
class Row:
    """One row of a source: raw, nothing decoded.

    Labels that tasks read:

    ==============  =============================================================================
    ``class``       Class index (int) or name (str).
    ``classes``     Any number of classes: a sequence, or a str with commas.
    ``box``         Box of the object that the text refers to: x0, y0, x1, y1 in pixels of the image.
    ``image_size``  Width and height of that image in pixels: upright, as its EXIF orientation turns it, or as
                    stored, in which case it is not turned.
    ``answer``      Index of the right choice (several texts a row).
    ``answers``     Answer (index or text) to confidence, 0 to 1.
    ``truth``       Whether the text holds, bool.
    ``group``       Group that metrics are also reported for, str.
    ``objects``     Objects of the image: mappings with ``class``, ``box`` and, where known, ``segmentation``
                    (polygons, RLE or an array) and ``crowd``.
    ``mask``        Class index of each pixel: an image (path, encoded bytes, PIL image) or an array (H, W).
    ==============  =============================================================================

    Attributes:
        id: Rows with equal id belong together (five captions of one image).
        fields: Field to raw value. A field is a modality, or a further value of one that another part of a task reads,
            such as ``image:reference``. Text is str; image path, encoded bytes, PIL image or uint8 array (H, W,
            3); audio path or (float32 array, rate in Hz). A tuple holds several values of that modality: the
            choices of a question, the two images of a statement; :class:`Frames` the frames of a clip.
        labels: Whatever a task needs besides.
    """

    id: str
    fields: Fields
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedSize:
    """Size of one split of a benchmark as its authors publish it.

    Attributes:
        rows: Number of rows, one for each version of the dataset; empty where it is not known for sure.
        ids: The same of ids (images, clips); empty where there is one a row.
        classes: Number of classes; None where there are none.
    """

    rows: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    classes: int | None = None


class Source(ABC):
    """Base class of map-style datasets of :class:`Row`. Picklable; the same index gives the same row.

    A subclass sets ``modalities`` and defines ``__len__`` and ``__getitem__``. All else is metadata that can be read
    without loading rows; where it cannot, the methods return None, and whoever needs it loads rows. A source that
    selects or joins rows of others extends :class:`~onepeace_pl.data.sources.SourceView`, which passes it on; rows
    that are in memory are wrapped by :func:`as_source`.

    Attributes:
        modalities: Modalities of every row: the names of its fields.
        classes: Names of the classes in the order of their indices; empty where there are none.
        published: Published size of this split; None where that is not known.
        layout: File layout of a benchmark, for ``data layout``.
    """

    modalities: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    published: PublishedSize | None = None
    layout: ClassVar[str] = ""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def __getitem__(self, index: int, /) -> Row:
        """Return a row."""

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row for training; a source may sample it in each epoch (another caption, another clip)."""
        return self[index]

    def ids(self) -> Iterable[str] | None:
        """Return the id of each row; None where rows must be loaded for it."""
        return None

    def labels(self) -> Iterable[Labels] | None:
        """Return the labels of each row, checked before training starts; None where rows must be loaded for it."""
        return None

    def texts(self) -> Iterable[str] | None:
        """Return all texts, for training a tokenizer; None where rows must be loaded for it."""
        return None

    def files(self, index: int) -> list[str] | None:
        """Return the media files of a row, whether or not they exist; None where the row must be loaded for it."""
        return None

    def lengths(self) -> Sequence[float] | None:
        """Return the length of each row in any unit, for batches of similar length; None where it is not known."""
        return None

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value; empty where that is not known."""
        return ()


class RowList(Source):
    """Rows in memory, or any sequence that makes them.

    Args:
        rows: The rows.
        modalities: Modalities of every row; None takes those of the first row.
        classes: Names of the classes in the order of their indices.
    """

    def __init__(
        self, rows: Sequence[Row], modalities: Sequence[str] | None = None, classes: Sequence[str] = ()
    ) -> None:
        self.rows = rows
        self.modalities = tuple(rows[0].fields if modalities is None else modalities)
        self.classes = tuple(classes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Row:
        return self.rows[index]


def as_source(rows: Source | Sequence[Row]) -> Source:
    """Return a source as it is, and a plain sequence of rows as a :class:`RowList`."""
    return rows if isinstance(rows, Source) else RowList(rows)


def ids_of(source: Source) -> Iterable[str]:
    """Return the id of each row, loading rows only where the source cannot do without."""
    known = source.ids()
    return (source[index].id for index in range(len(source))) if known is None else known


def labels_of(source: Source) -> Iterator[Labels]:
    """Return the labels of each row, loading rows only where the source cannot do without.

    After one that raises, the iterator goes on with the next.
    """

    def loaded(index: int) -> Labels:
        return source[index].labels

    known = source.labels()
    return map(loaded, range(len(source))) if known is None else iter(known)


def texts_of(source: Source, modality: str = "text") -> Iterable[str]:
    """Return all texts, loading rows only where the source cannot do without."""
    known = source.texts()
    if known is not None:
        return known
    return (text for index in range(len(source)) for text in values_of(source[index].fields[modality]))


def values_of(raw: object) -> tuple[RawValue, ...]:
    """Return the raw values of a field one by one; (samples, rate) is one audio."""
    is_audio = isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[1], int | float | np.number)
    return raw if isinstance(raw, tuple) and not is_audio else (raw,)
