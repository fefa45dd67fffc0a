"""Embedding of sources into a folder of Parquet files, part by part; a second call goes on."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice

from onepeace_pl.embedding.embedder import ItemEmbedder
from onepeace_pl.embedding.item import Item
from onepeace_pl.embedding.parts import DamagedPartError, EmbeddingFolder, Part, PartFacts, digest_of
from onepeace_pl.errors import UserError
from onepeace_pl.hub.preparation import chunked
from onepeace_pl.utils.claim import Claim
from onepeace_pl.utils.files import recover


@dataclass
class Progress:
    """Account of a job.

    Attributes:
        embedded: Items that this call has embedded.
        kept: Items of parts that were there already.
    """

    embedded: int = 0
    kept: int = 0
    _failed: dict[int, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Id and reason of each item that has no vector, in the order of the sources."""
        return [each for number in sorted(self._failed) for each in self._failed[number]]

    @property
    def seen(self) -> int:
        """Number of items."""
        return self.embedded + self.kept + sum(map(len, self._failed.values()))

    def count(self, number: int, facts: PartFacts, kept: bool) -> None:
        """Count a part."""
        good = facts.items - len(facts.failed)
        self.kept += good if kept else 0
        self.embedded += 0 if kept else good
        self._failed[number] = facts.failed


def embed_parts(
    items: Iterable[Item],
    embedder: ItemEmbedder,
    folder: EmbeddingFolder,
    retry_failed: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Embed items into a folder; parts that are there are kept.

    Items of a part are embedded together, and independently of all others, so that the vectors are those of a run that
    nothing has interrupted, bit by bit, for the same batch size.

    Args:
        items: The items, in the same order in each call; not all are in memory at once.
        embedder: Embeds them.
        folder: The folder.
        retry_failed: Embed parts with failed items again.
        progress: Called after each part.

    Raises:
        UserError: An item cannot be embedded and is not to be skipped, the items are others than before, there are
            none, or another process writes to the folder.
        OSError: A part cannot be written.
    """
    found = Progress()
    with writing(folder):
        new = deque[tuple[Part, list[Item], bool]]()

        def chunks() -> Iterator[list[Item]]:
            for number, ahead in missing_parts(items, folder, found, retry_failed):
                part, last = Part(number), None
                for chunk in chunked(ahead, embedder.chunk_size):
                    if last is not None:
                        new.append((part, last, False))
                        yield last
                    last = chunk
                if last is not None:
                    new.append((part, last, True))
                    yield last

        with closing(embedder(chunks())) as embedded:
            for vectors in embedded:
                part, chunk, is_last = new.popleft()
                part.add(chunk, vectors)
                if is_last:
                    folder.write(part)
                    found.count(part.number, part.facts, kept=False)
                    if progress is not None:
                        progress(found)
        folder.list_failed(found.failed)
    return found


def embed_part(
    number: int, items: Sequence[Item], embedder: ItemEmbedder, folder: EmbeddingFolder
) -> PartFacts:
    """Embed the items of one part and write it, as :func:`embed_parts` does.

    Raises:
        UserError: An item cannot be embedded and is not to be skipped.
        OSError: The part cannot be written.
    """
    part, chunks = Part(number), list(chunked(items, embedder.chunk_size))
    with closing(embedder(chunks)) as embedded:
        for chunk, vectors in zip(chunks, embedded, strict=True):
            part.add(chunk, vectors)
    folder.write(part)
    return part.facts


def missing_parts(
    items: Iterable[Item], folder: EmbeddingFolder, found: Progress, retry_failed: bool = False
) -> Iterator[tuple[int, Iterator[Item]]]:
    """Yield number and items of each part that is not there; the others are counted.

    Args:
        items: All items. Those of a part that was yielded must have been read when the next one is asked for.
        folder: The folder.
        found: Counts parts that are there.
        retry_failed: Yield parts with failed items, too.

    Raises:
        UserError: The items are others than before, or there are none.
    """
    iterator, number = iter(items), 0
    while (first := next(iterator, None)) is not None:
        part = chain([first], islice(iterator, folder.part_size - 1))
        known = _known(folder, number)
        if known is None:
            yield number, part
        else:
            again = list(part)
            _check(folder, number, known, again)
            if known.items < len(again) or (retry_failed and known.failed):
                yield number, iter(again)
            else:
                found.count(number, known, kept=True)
        number += 1
    if not number:
        raise UserError("nothing to embed: the sources are empty")
    if number < folder.count():
        raise UserError(
            f"{folder.path} has {folder.count()} parts and the sources fill {number}: they have changed since; "
            "embed into a new folder"
        )


@contextmanager
def writing(folder: EmbeddingFolder) -> Iterator[None]:
    """Keep other processes from writing to a folder.

    Raises:
        UserError: Another one does.
    """
    with Claim(folder.path / ".claim") as claim:
        if not claim.held:
            raise UserError(f"{folder.path} is being written to by {claim.owner}; wait for it")
        recover(folder.path)  # what a kill has left half-written
        yield


def _known(folder: EmbeddingFolder, number: int) -> PartFacts | None:
    try:
        return folder.read(number)
    except DamagedPartError as error:
        warnings.warn(f"{error}; it is made again", stacklevel=2)
        return None


def _check(folder: EmbeddingFolder, number: int, known: PartFacts, items: list[Item]) -> None:
    """Reject items that are not those of a part; more of them may have come since."""
    if known.items > len(items) or known.digest != digest_of(items[: known.items]):
        raise UserError(
            f"{folder.part(number)} holds other items than the sources have now, from {items[0].id} on: they have "
            "changed since; embed into a new folder"
        )
