"""TSV tables of ONE-PEACE: tab-separated, a header, UTF-8, no quoting.

Source: docs/reference/tasks.md, section 1. Rows are read when asked for, so a table may be larger than memory.
"""

from __future__ import annotations

import math
import os
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Fields, Labels, Row, Source
from onepeace_pl.data.sources.columns import check_unique, column_number, media, shared_by_id
from onepeace_pl.data.sources.existence import paths_of
from onepeace_pl.data.sources.tables import read_json
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing
from onepeace_pl.utils.regular_files import require_regular


class TsvSource(Source):
    """Rows of one table.

    Each line is split at most (columns - 1) times, so the last column may hold tabs. Columns are found by
    name; those that serve no modality become labels. A subclass parses labels in `labels_of`.

    Args:
        path: The table.
        columns: Modality to column; several columns give a row several values of that modality.
        id_column: Column of ids; None gives each row its number.
        root: Folder that media paths start from; None takes the table's own.
        text: Modalities whose values are text; all others are paths, or images in base64.
        captions: JSON ``{id: [caption, ...]}``: each row then becomes as many rows as its id has captions
            (evaluation files with one row an image).
        unique_ids: Raise an error for duplicate ids.

    Raises:
        UserError: If a file is missing, a column is not there, a row is ragged or an id occurs twice.
    """

    def __init__(
        self,
        path: str,
        columns: dict[str, str | Sequence[str]],
        id_column: str | None = None,
        root: str | None = None,
        text: Sequence[str] = ("text",),
        captions: str | None = None,
        unique_ids: bool = False,
    ) -> None:
        self.path = Path(path)
        self.root = Path(root) if root is not None else self.path.parent
        self.text = tuple(text)
        self.header, self._starts = _index(self.path)
        self._numbers: dict[str, int | tuple[int, ...]] = {
            name: column_number(self.path, self.header, column)
            if isinstance(column, str)
            else tuple(column_number(self.path, self.header, one) for one in column)
            for name, column in columns.items()
        }
        self._id = None if id_column is None else column_number(self.path, self.header, id_column)
        self.modalities = tuple(columns)
        self._descriptor: tuple[int, int] | None = None
        if unique_ids:
            check_unique(self.path, (self.id(line) for line in range(len(self._starts) - 1)))
        self._captions = None if captions is None else self._read_captions(Path(captions))

    def __len__(self) -> int:
        return len(self._starts) - 1 if self._captions is None else len(self._captions)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        caption = None
        if self._captions is not None:
            index, caption = self._captions[index]
        values = self.values(index)
        fields = self.fields_of(values, f"{self.path}:{index + 2}")
        if caption is not None:
            fields[self.text[0]] = caption
        return Row(self._id_of(values, index), fields, self.labels_of(values, f"{self.path}:{index + 2}"))

    def fields_of(self, values: list[str], place: str) -> Fields:
        """Return the fields of a line; `place` begins a complaint about it."""
        fields: Fields = {}
        for name, number in self._numbers.items():
            several = [values[i] for i in ((number,) if isinstance(number, int) else number)]
            found = several if name in self.text else [media(value, self.root) for value in several]
            fields[name] = found[0] if isinstance(number, int) else tuple(found)
        return fields

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the labels of a line; `place` begins a complaint about it."""
        used = {self._id, *self._used()}
        return {name: values[i] for i, name in enumerate(self.header) if i not in used}

    def value(self, values: list[str], column: str) -> str:
        """Return the value of a column of a line."""
        return values[column_number(self.path, self.header, column)]

    def files(self, index: int) -> list[str]:
        """Return the media files of a row, whether or not they exist."""
        line = index if self._captions is None else self._captions[index][0]
        return paths_of(self.fields_of(self.values(line), f"{self.path}:{line + 2}"), self.text)

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        return map(self.id, self._lines())

    def labels(self) -> Iterator[Labels]:
        """Return the labels of each row."""
        return map(self._labels_at, self._lines())

    def values(self, line: int) -> list[str]:
        """Return the values of a line; the first after the header is 0."""
        start, stop = int(self._starts[line]), int(self._starts[line + 1])
        try:
            text = os.pread(self._open(), stop - start, start).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}:{line + 2}: not UTF-8; convert the file") from error
        return text.rstrip("\r\n").split("\t", len(self.header) - 1)

    def id(self, line: int) -> str:
        """Return the id of a line."""
        return self._id_of(self.values(line), line)

    def column(self, name: str) -> Iterator[str]:
        """Yield the values of a column, line by line."""
        number = column_number(self.path, self.header, name)
        for line in range(len(self._starts) - 1):
            yield self.values(line)[number]

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer."""
        names = [name for name in self.modalities if name in self.text]
        if self._captions is not None:
            yield from (caption for _, caption in self._captions)
            return
        for line in range(len(self._starts) - 1):
            fields = self.fields_of(self.values(line), f"{self.path}:{line + 2}")
            for name in names:
                yield from (fields[name],) if isinstance(fields[name], str) else fields[name]

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        return shared_by_id(self)

    def _lines(self) -> Iterable[int]:
        """Return the line of each row."""
        return range(len(self._starts) - 1) if self._captions is None else (i for i, _ in self._captions)

    def _used(self) -> Iterator[int]:
        for number in self._numbers.values():
            yield from (number,) if isinstance(number, int) else number

    def _labels_at(self, line: int) -> Labels:
        return self.labels_of(self.values(line), f"{self.path}:{line + 2}")

    def _id_of(self, values: list[str], line: int) -> str:
        return str(line) if self._id is None else values[self._id]

    def _read_captions(self, path: Path) -> list[tuple[int, str]]:
        captions = read_json(path)
        if not isinstance(captions, dict):
            raise UserError(f"{path}: a {type(captions).__name__}, not JSON {{id: [caption, ...]}}")
        for identity, texts in captions.items():
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise UserError(
                    f"{path}: {shown(texts)} of id {identity!r} is no list of captions; write one"
                )
        pairs: list[tuple[int, str]] = []
        ids = [self.id(line) for line in range(len(self._starts) - 1)]
        for line, identity in enumerate(ids):
            if not captions.get(identity):
                raise UserError(f"{path}: no caption for id {identity!r} of {self.path}:{line + 2}; add it")
            pairs.extend((line, text) for text in captions[identity])
        if unused := set(captions) - set(ids):
            warnings.warn(
                f"{path}: {len(unused)} ids have no row in {self.path} (first: {min(unused)!r}), not used",
                stacklevel=3,
            )
        return pairs

    def _open(self) -> int:
        # One descriptor a process, read by position: a forked worker shares no cursor with its parent.
        if self._descriptor is None or self._descriptor[0] != os.getpid():
            self._descriptor = (os.getpid(), os.open(self.path, os.O_RDONLY))
        return self._descriptor[1]

    def __getstate__(self) -> Labels:
        mapped = isinstance(self._starts, np.memmap)  # which would travel to a worker as a whole
        return {**self.__dict__, "_descriptor": None, **({"_starts": None} if mapped else {})}

    def __setstate__(self, state: Labels) -> None:
        self.__dict__.update(state)
        if state["_starts"] is None:
            self._starts = _index(self.path)[1]


class ImageTextTsv(TsvSource):
    """Image-caption pairs: columns ``image_id``, ``image``, ``caption``. Options as in `TsvSource`."""

    layout: ClassVar[str] = """
        <split>.tsv             image_id, image, caption
        <split>_texts.json      {image_id: [caption, ...]}, for evaluation files with one row an image
        images                  where the column `image` says, seen from the table's folder or `root`"""

    def __init__(
        self, path: str, root: str | None = None, captions: str | None = None, unique_ids: bool = False
    ) -> None:
        columns: dict[str, str | Sequence[str]] = {"image": "image", "text": "caption"}
        super().__init__(path, columns, "image_id", root, captions=captions, unique_ids=unique_ids)


class AudioTsv(TsvSource):
    """Audio files with a column ``duration``."""

    def lengths(self) -> list[float]:
        """Return the duration of every row in seconds, for batches of similar length.

        Raises:
            UserError: If a duration is no number.
        """
        seconds: list[float] = []
        for line, value in enumerate(self.column("duration")):
            try:
                seconds.append(float(value))
            except ValueError as error:
                raise UserError(
                    f"{self.path}:{line + 2}: duration {shown(value)} is no number of seconds"
                ) from error
            if not 0 <= seconds[-1] < math.inf:
                raise UserError(
                    f"{self.path}:{line + 2}: duration {shown(value)} is no number of seconds from 0"
                )
        return seconds if self._captions is None else [seconds[line] for line, _ in self._captions]


class AudioTextTsv(AudioTsv):
    """Audio-caption pairs: ``uniq_id``, ``audio``, ``text``, ``duration``. Options as in `TsvSource`."""

    layout: ClassVar[str] = """
        <split>.tsv             uniq_id, audio, text, duration
        <split>_texts.json      {uniq_id: [caption, ...]}, for evaluation files with one row a clip
        audio files             where the column `audio` says, seen from the table's folder or `root`"""

    def __init__(
        self, path: str, root: str | None = None, captions: str | None = None, unique_ids: bool = False
    ) -> None:
        columns: dict[str, str | Sequence[str]] = {"audio": "audio", "text": "text"}
        super().__init__(path, columns, "uniq_id", root, captions=captions, unique_ids=unique_ids)


def write_index(path: Path) -> tuple[Path, int]:
    """Write where each line of a table begins to a file beside it, which :class:`TsvSource` maps into memory.

    Returns:
        The file, and the number of rows.

    Raises:
        UserError: The table is missing, has no rows, or a row is ragged.
    """
    _, starts = _scan(path)
    with replacing(_index_file(path)) as new, new.open("wb") as file:
        np.save(file, np.concatenate([_version(path), starts]))
    return _index_file(path), len(starts) - 1


def _index_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.index.npy")


def _version(path: Path) -> NDArray[np.int64]:
    """Return numbers that change with a table."""
    status = path.stat()
    return np.array([status.st_size, status.st_mtime_ns], dtype=np.int64)


def _index(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Return the header, and where each line after it begins, the end of the file included."""
    file = _index_file(path)
    if not file.is_file():
        return _scan(path)
    try:
        known = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file}: damaged; make it again (data index {path}), or remove it") from error
    if known.ndim != 1 or len(known) < 4 or not np.array_equal(known[:2], _version(path)):
        raise UserError(f"{file}: of another version of the table; make it again (data index {path})")
    return _header(path)[0], known[2:]


def _scan(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    header, position = _header(path)
    starts, tabs = array("q", [position]), len(header) - 1  # 8 bytes a row, unlike a list
    with path.open("rb") as file:
        file.readline()
        for number, line in enumerate(file, start=2):
            if (found := line.count(b"\t")) < tabs:
                raise UserError(
                    f"{path}:{number}: {found + 1} columns instead of {len(header)}; "
                    "separate columns with tabs, or delete the line"
                )
            starts.append(position := position + len(line))
    if len(starts) == 1:
        raise UserError(f"{path}: a header and no rows; check that the file was written whole")
    return header, np.frombuffer(starts, dtype=np.int64)


def _header(path: Path) -> tuple[list[str], int]:
    """Return the columns, and the bytes of their line."""
    try:
        require_regular(path)
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; check the path of the table") from error
    try:
        return first.decode("utf-8-sig").rstrip("\r\n").split("\t"), len(first)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:1: not UTF-8; convert the file") from error
