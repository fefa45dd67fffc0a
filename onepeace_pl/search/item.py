"""Items of an index, and what adding and searching them returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from onepeace_pl.modalities.base import RawValue

MetadataValue = str | int | float | bool

TEXT: Final = "text"


@dataclass(frozen=True)
class Item:
    """One item to index.

    Attributes:
        id: Its key: an item of equal id replaces it.
        modality: Its modality.
        value: Raw value that the modality's processor takes: text, a path, an array.
        text: Text that full-text search finds it by, such as a caption; that of a text is itself.
        metadata: Further columns, for filters.
    """

    id: str
    modality: str
    value: RawValue
    text: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Absolute path of the item's file; empty where it has none."""
        may_be = isinstance(self.value, str | Path) and self.modality != TEXT
        return os.path.abspath(self.value) if may_be and os.path.isfile(self.value) else ""

    @property
    def words(self) -> str:
        """Text of full-text search."""
        return self.value if self.modality == TEXT and isinstance(self.value, str) else self.text


@dataclass
class Added:
    """Outcome of adding items.

    Attributes:
        added: Number of new rows.
        updated: Number of rows that were replaced.
        unchanged: Number of items that were there already: their file, text and metadata are as they were.
        failed: Id of each item that could not be embedded, and the reason.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """Number of items."""
        return self.added + self.updated + self.unchanged + len(self.failed)


@dataclass(frozen=True)
class Hit:
    """One search result.

    Attributes:
        id: Id of the item.
        modality: Its modality.
        score: Cosine similarity; BM25 of full-text search, and the reciprocal rank fusion score of both together.
        path: Its file; empty where it has none.
        text: Its text or caption.
        metadata: Its further columns, without those that it has no value for.
    """

    id: str
    modality: str
    score: float
    path: str
    text: str
    metadata: Mapping[str, MetadataValue]


@dataclass(frozen=True)
class Query:
    """What was searched for.

    Attributes:
        inputs: Text, or path of a file, by modality.
        words: Words of full-text search.
        where: The filter.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    words: str | None = None
    where: str | None = None
