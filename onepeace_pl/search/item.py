"""What adding to an index and searching it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onepeace_pl.embedding.item import MetadataValue


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
