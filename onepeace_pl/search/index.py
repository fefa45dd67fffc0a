"""Vector index of embeddings in a folder: incremental, filtered, exact or approximate, with full-text search."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.backbone import Fuse
from onepeace_pl.embedding.embedder import ItemEmbedder, OnError
from onepeace_pl.embedding.item import TEXT, Item, MetadataValue
from onepeace_pl.embedding.stamp import Stamp
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.hub import OnePeace
from onepeace_pl.hub.preparation import check_batch_size, chunked
from onepeace_pl.metrics.bootstrap import Interval, mean_interval
from onepeace_pl.modalities import RawInput
from onepeace_pl.search.item import Added, Hit
from onepeace_pl.search.lance import (
    OWN,
    TABLE,
    VECTOR,
    create_table,
    id_filter,
    importing_lancedb,
    metadata_columns,
    open_table,
    rows_of,
)
from onepeace_pl.utils.claim import Claim
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject, read_json_object
from onepeace_pl.version import VERSION

FACTS: Final = "index.json"
FORMAT: Final = 1
EXACT_BELOW: Final = 100_000
"""Rows below which an index of the vectors is not worth it: search is exact."""

PROBES: Final = 32
"""Partitions that approximate search reads."""

KEEP: Final = timedelta(minutes=10)
"""Age up to which older versions of the table are kept, which a search may be reading."""


class Index:
    """Index of embeddings in a folder: a LanceDB table and ``index.json``, the fingerprint of the model.

    Made by :meth:`create` or :meth:`open`. ``len`` gives the number of rows.

    Attributes:
        path: The folder.
        stamp: Fingerprint of the model that its vectors are of.
    """

    def __init__(self, path: Path, facts: JsonObject, model: OnePeace | None = None) -> None:
        table = open_table(path)
        if table is None:
            raise UserError(f"{path}: half-written index without a table; delete the folder and index again")
        self.path, self._facts, self._model, self._table = path, facts, model, table
        self.stamp = Stamp.from_json(facts["stamp"])
        if model is not None:
            self._check(model)

    @classmethod
    def create(
        cls,
        path: str | Path,
        model: OnePeace | str | Path,
        *,
        truncate_dim: int | None = None,
        calibrate: bool | None = None,
        model_folder: str | Path | None = None,
    ) -> Self:
        """Make an empty index.

        Args:
            path: Its folder; must not exist, or be empty.
            model: The model, or its folder.
            truncate_dim: Number of leading values that vectors are cut to, for a model trained that way; None for
                all.
            calibrate: Calibrate vectors, so that modalities share one scale; None where the model has a calibration.
            model_folder: Folder that is noted in the index, for later searches; None takes ``model`` where it is one.

        Raises:
            UserError: The folder has files, the model has no calibration, or ``truncate_dim`` is out of range.
            LibraryError: LanceDB is not installed.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; give a folder")
        if is_index(path):
            raise UserError(f"{path} is an index already; Index.open opens it")
        others = {each.name for each in path.iterdir()} if path.is_dir() else set()
        if any(name != f"{TABLE}.lance" and not name.startswith(".") for name in others):
            raise UserError(f"{path} has other files; give a new folder")
        loaded = _load(model)
        if calibrate and loaded.calibration is None:
            raise UserError(
                "the model has no calibration; `python -m onepeace_pl calibrate` adds one to its folder"
            )
        used = None if calibrate is False else loaded.calibration
        stamp = Stamp.of(loaded, truncate_dim, used)
        noted = model if model_folder is None and not isinstance(model, OnePeace) else model_folder
        facts: JsonObject = {
            "format": FORMAT,
            "onepeace_pl": VERSION,
            "model": None if noted is None else os.path.abspath(noted),
            "stamp": stamp.to_json(),
        }
        create_table(path, stamp.width)
        _write(path, facts)  # last: a folder without it is no index yet
        return cls(path, facts, loaded)

    @classmethod
    def open(cls, path: str | Path, model: OnePeace | str | Path | None = None) -> Self:
        """Open an index.

        Args:
            path: Its folder.
            model: The model, or its folder; None loads the folder that is noted in the index when it is needed.

        Raises:
            UserError: The folder is no index or damaged, or its vectors are of another model.
            LibraryError: LanceDB is not installed.
        """
        path = Path(path)
        facts = read_facts(path)
        return cls(path, facts, None if model is None else _load(model))

    @property
    def model(self) -> OnePeace:
        """The model; loaded from the noted folder if none was given.

        Raises:
            UserError: None is noted, or the one there is another model.
        """
        if self._model is None:
            folder = self._facts["model"]
            if folder is None:
                raise UserError(f"{self.path} notes no model folder; give the model: Index.open(path, model)")
            if not Path(folder).is_dir():
                raise UserError(f"{folder}, the model of {self.path}, is not there; give it (--model)")
            self._model = _load(folder)
            self._check(self._model)
        return self._model

    @property
    def is_exact(self) -> bool:
        """Whether search is exact by default: no index of the vectors was made."""
        return f"{VECTOR}_idx" not in {each.name for each in self._table.list_indices()}

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def refresh(self) -> None:
        """Take in what other processes have written since the index was opened."""
        self._table.checkout_latest()

    def count(self, where: str | None = None) -> int:
        """Return the number of rows that a filter keeps.

        Raises:
            UserError: The filter is invalid.
        """
        with _query_errors(where):
            return int(self._table.count_rows(where))

    def counts(self) -> dict[str, int]:
        """Return the number of rows by modality."""
        names = self._table.search().select(["modality"]).to_arrow()["modality"]
        found = {str(each["values"]): int(each["counts"]) for each in names.value_counts().to_pylist()}
        return dict(sorted(found.items()))

    def add(
        self,
        items: Iterable[Item],
        *,
        fuse: Fuse | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        on_error: OnError = "raise",
        resample: bool = True,
        progress: Callable[[Added], None] | None = None,
    ) -> Added:
        """Embed items and store them; one of equal id replaces the row.

        Items whose row is up to date are not embedded again: those of a file of the same size and modification time,
        or of the same text, with the same metadata. Rows are stored every few batches, each time as a whole, so that
        after a kill the same call goes on.

        Args:
            items: The items; not all are held in memory at once.
            fuse: Fusion of items of several modalities; None for what the model was trained for.
            batch_size: Items per forward pass.
            num_workers: Threads that read and prepare items while the model embeds those before them.
            on_error: ``skip`` leaves out items that cannot be embedded, and lists them.
            resample: Resample audio of another rate than the model's; False rejects it.
            progress: Called after each commit.

        Raises:
            UserError: An item cannot be embedded, metadata have a reserved name or another type than before, or another
                process writes to the index.
        """
        calibrate = bool(self.stamp.calibration)
        embedder = ItemEmbedder(
            self.model, self.stamp.width, calibrate, fuse, batch_size, num_workers, on_error, resample
        )
        check_batch_size(batch_size)
        found, waiting = Added(), deque[_Chunk]()

        def chunks() -> Iterator[list[Item]]:
            for several in chunked(items, embedder.chunk_size):
                chunk = self._chunk(list({item.id: item for item in several}.values()))
                waiting.append(chunk)
                yield chunk.fresh

        with self._writing(), closing(embedder(chunks())) as embedded:
            for vectors in embedded:
                self._add(waiting.popleft(), vectors, found)
                if progress is not None:
                    progress(found)
        return found

    def delete(self, ids: Sequence[str]) -> int:
        """Delete rows by id; return how many there were."""
        deleted = 0
        with self._writing():
            for first in range(0, len(ids), 1000):
                deleted += self._table.delete(id_filter(list(ids[first : first + 1000]))).num_deleted_rows
        return deleted

    def search(
        self,
        *,
        vector: Tensor | np.ndarray[tuple[int], np.dtype[np.float32]] | None = None,
        words: str | None = None,
        k: int = 10,
        where: str | None = None,
        exact: bool = False,
        fuse: Literal["sum", "joint"] | None = None,
        **inputs: RawInput,
    ) -> list[Hit]:
        """Return the k best rows for a query, best first.

        Args:
            vector: (D,) query vector; instead of inputs.
            words: Full-text search in texts and captions, ranked by BM25; together with a vector or inputs, both
                rankings are merged by reciprocal rank fusion.
            k: Number of rows.
            where: SQL filter, applied before ranking: ``modality = 'image' AND year > 2000``.
            exact: Do not use the index of the vectors.
            fuse: Fusion of several inputs; None for what the model was trained for.
            inputs: One value by modality, such as ``text="a dog"``; several are fused to one query vector.

        Raises:
            UserError: The query is empty, the vector is of another width, or the filter is invalid.
        """
        if k < 1:
            raise UserError(f"k={k} must be at least 1")
        if vector is not None and inputs:
            raise UserError("a query is a vector or inputs, not both")
        if vector is None and not inputs and not (words or "").strip():
            raise UserError("empty query; give a vector, words, or inputs such as text='a dog'")
        query: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None
        if inputs:
            vector = self._embed_query(inputs, fuse)
        if vector is not None:
            query = torch.as_tensor(vector).float().cpu().numpy()
            if query.shape != (self.stamp.width,):
                raise UserError(f"a query vector of shape {query.shape} instead of ({self.stamp.width},)")
        with _query_errors(where):
            return self._hits(query, words, k, where, exact)

    def build(self, partitions: int | None = None) -> None:
        """Make the index of the vectors (IVF-flat, cosine) for approximate search, or make it anew.

        Args:
            partitions: Number of clusters; None takes the square root of the number of rows.

        Raises:
            UserError: There are no rows.
        """
        if not len(self):
            raise UserError(f"{self.path} has no rows; add some first")
        with importing_lancedb():
            from lancedb.index import IvfFlat
        count = round(len(self) ** 0.5) if partitions is None else partitions
        with self._writing():
            self._table.create_index(
                VECTOR, config=IvfFlat(distance_type="cosine", num_partitions=max(count, 1)), replace=True
            )

    def compact(self) -> None:
        """Merge the files of small commits, take new rows into the indices, and remove older versions."""
        with self._writing():
            self._table.optimize(cleanup_older_than=KEEP)

    def recall(self, k: int = 10, queries: Tensor | None = None) -> Interval:
        """Return the recall@k of approximate search against exact search, with its 95 % bootstrap interval.

        Args:
            k: Number of neighbours.
            queries: (Q, D) query vectors; None takes 200 rows of the index, which do not count as their own
                neighbours. Queries of other modalities may be harder.

        Raises:
            UserError: There are no rows.
        """
        ids: list[str | None]
        if queries is None:
            if not len(self):
                raise UserError(f"{self.path} has no rows; add some first")
            numbers = np.unique(np.linspace(0, len(self) - 1, 200).astype(int))
            rows = self._table.take_offsets(numbers.tolist()).select(["id", VECTOR]).to_arrow()
            ids, queries = rows["id"].to_pylist(), torch.tensor(rows[VECTOR].to_pylist())
        else:
            ids = [None] * len(queries)
        shares = []
        for own, query in zip(ids, queries, strict=True):
            exact, found = (
                [hit.id for hit in self.search(vector=query, k=k + 1, exact=exact) if hit.id != own][:k]
                for exact in (True, False)
            )
            shares.append(len({*exact} & {*found}) / max(len(exact), 1))
        return mean_interval(np.array(shares))

    def _hits(
        self,
        vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None,
        words: str | None,
        k: int,
        where: str | None,
        exact: bool,
    ) -> list[Hit]:
        if vector is None:
            query, score = self._table.search(words, query_type="fts", fts_columns="text"), "_score"
        elif words is None:
            query, score = self._table.search(vector, vector_column_name=VECTOR), "_distance"
        else:
            from lancedb.rerankers import RRFReranker

            query = self._table.search(query_type="hybrid", vector_column_name=VECTOR, fts_columns="text")
            query, score = query.vector(vector).text(words).rerank(RRFReranker()), "_relevance_score"
        if vector is not None:
            query = query.distance_type("cosine").nprobes(PROBES)
            query = query.bypass_vector_index() if exact else query
        if where is not None:
            query = query.where(where)
        metadata = metadata_columns(self._table)
        if score != "_relevance_score":  # a column of the merged ranking alone, which cannot be selected
            query = query.select(["id", "modality", "path", "text", *metadata, score])
        rows = query.limit(k).to_list()
        return [
            Hit(
                row["id"],
                row["modality"],
                1 - row[score] if score == "_distance" else row[score],
                row["path"] or "",
                row["text"] or "",
                {name: row[name] for name in metadata if row[name] is not None},
            )
            for row in rows
        ]

    def _embed_query(self, inputs: Mapping[str, RawInput], fuse: Literal["sum", "joint"] | None) -> Tensor:
        embedder = ItemEmbedder(self.model, self.stamp.width, bool(self.stamp.calibration))
        return embedder.query(inputs, fuse)

    def _check(self, model: OnePeace) -> None:
        used = model.calibration if self.stamp.calibration else None
        width = None if self.stamp.width > model.dim else self.stamp.width
        self.stamp.check(Stamp.of(model, width, used), str(self.path))

    def _chunk(self, items: list[Item]) -> _Chunk:
        """Find out which items have no row that is up to date."""
        self._add_columns(items)
        metadata = metadata_columns(self._table)
        columns = [name for name in OWN if name != VECTOR] + metadata
        there = {row["id"]: row for row in rows_of(self._table, [i.id for i in items], columns).to_pylist()}
        rows = [(item, _row(item, metadata)) for item in items]
        fresh = [(item, row) for item, row in rows if there.get(item.id) != row or not _is_kept(item, row)]
        return _Chunk([item for item, _ in fresh], [row for _, row in fresh], len(rows) - len(fresh))

    def _add(self, chunk: _Chunk, vectors: Sequence[Tensor | str], found: Added) -> None:
        by_id = {item.id: found for item, found in zip(chunk.fresh, vectors, strict=True)}
        good = {name: vector for name, vector in by_id.items() if isinstance(vector, Tensor)}
        new = [row for row in chunk.rows if row["id"] in good]
        if new:
            self._extend_stamp({name for item in chunk.fresh if item.id in good for name in item.inputs})
            there = len(rows_of(self._table, list(good), ["id"]))
            self._store(new, good)
            found.added += len(new) - there
            found.updated += there
        found.unchanged += chunk.unchanged
        found.failed |= {name: why for name, why in by_id.items() if isinstance(why, str)}

    def _store(
        self, rows: Sequence[Mapping[str, MetadataValue | None]], vectors: Mapping[str, Tensor]
    ) -> None:
        import pyarrow as pa

        schema = self._table.schema
        try:
            columns = {
                field.name: pa.array([row.get(field.name) for row in rows], field.type)
                for field in schema
                if field.name != VECTOR
            }
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise UserError(f"metadata of another type than in {self.path}: {first_line(error)}") from error
        values = torch.stack([vectors[str(row["id"])] for row in rows]).numpy()
        columns[VECTOR] = pa.FixedSizeListArray.from_arrays(values.ravel(), self.stamp.width)
        batch = pa.table({field.name: columns[field.name] for field in schema}, schema=schema)
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(batch)

    def _add_columns(self, items: Sequence[Item]) -> None:
        """Add a column for each new name of metadata; its type is that of the first value."""
        import pyarrow as pa

        known = self._table.schema.names
        new: dict[str, pa.Field] = {}
        for item in items:
            for name, value in item.metadata.items():
                if name in OWN or name.startswith("_"):
                    raise UserError(
                        f"{item.id}: {name!r} is a column of the index itself; rename the metadata"
                    )
                if name not in known and value is not None:
                    new.setdefault(name, pa.field(name, pa.scalar(value).type))
        if new:
            self._table.add_columns(list(new.values()))

    def _extend_stamp(self, modalities: Iterable[str]) -> None:
        """Note the fingerprint of modalities that the model was extended by."""
        if not {*modalities} <= self.stamp.modalities.keys():
            self.stamp = self.stamp.extended(Stamp.of(self.model, self.stamp.width))
            self._facts["stamp"] = self.stamp.to_json()
            _write(self.path, self._facts)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with Claim(self.path / ".claim") as claim:
            if not claim.held:
                raise UserError(f"{self.path} is being written to by {claim.owner}; wait for it")
            yield


@dataclass(frozen=True)
class _Chunk:
    """Items to embed together, with their rows, and the number of those that are up to date."""

    fresh: list[Item]
    rows: list[dict[str, MetadataValue | None]]
    unchanged: int


def is_index(path: Path) -> bool:
    """Return whether a folder holds an index; one that a kill left without ``index.json`` is made anew."""
    return (path / FACTS).is_file()


def read_facts(path: Path) -> JsonObject:
    """Read ``index.json`` of an index.

    Raises:
        UserError: The folder is no index, or one of another format.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such index; `python -m onepeace_pl index` makes one")
    if not (path / FACTS).is_file():
        raise UserError(f"{path} is no index: {FACTS} is missing; index again into a new folder")
    facts = read_json_object(path / FACTS)
    if facts.get("format") != FORMAT or not {"model", "stamp"} <= facts.keys():
        raise UserError(f"{path / FACTS}: no index of format {FORMAT}; index again into a new folder")
    return facts


def _write(path: Path, facts: JsonObject) -> None:
    write_text(path / FACTS, json.dumps(facts, indent=2) + "\n")


def _load(model: OnePeace | str | Path) -> OnePeace:
    return model if isinstance(model, OnePeace) else OnePeace.from_pretrained(model)


def _row(item: Item, metadata: Sequence[str]) -> dict[str, MetadataValue | None]:
    """Return the columns of an item, without its vector."""
    row: dict[str, MetadataValue | None] = {
        "id": item.id,
        "modality": item.modality,
        "path": item.path,
        "text": item.words,
        "file_size": None,
        "file_modified": None,
    }
    if item.file:
        facts = os.stat(item.file)
        row |= {"file_size": facts.st_size, "file_modified": facts.st_mtime_ns}
    return row | {name: item.metadata.get(name) for name in metadata}


def _is_kept(item: Item, row: Mapping[str, MetadataValue | None]) -> bool:
    """Return whether a row says all that its vector depends on: an array may have changed."""
    media = [name for name in item.inputs if name != TEXT]
    return item.inputs.get(TEXT, row["text"]) == row["text"] and (
        not media or (len(media) == 1 and row["file_size"] is not None)
    )


@contextmanager
def _query_errors(where: str | None) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (ValueError, RuntimeError) as error:
        if where is None:
            raise
        raise UserError(f"filter {where!r}: {first_line(error)}") from error
