"""Manifest: a CSV or JSON-lines file with one row a sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from onepeace_pl.data.labels.checking import checked
from onepeace_pl.data.source import Fields, Labels, Row, Source
from onepeace_pl.data.sources.choices import TEMPLATE, choice_texts
from onepeace_pl.data.sources.columns import check_unique, column_number, media, shared_by_id
from onepeace_pl.data.sources.existence import paths_of
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.data.sources.label_columns import number_classes, read_labels, read_list
from onepeace_pl.data.sources.tables import read_csv, read_json_lines
from onepeace_pl.errors import UserError

KNOWN = ("image", "audio", "text")


class ManifestSource(Source):
    """Rows of a ``.csv`` or ``.jsonl`` file; columns that serve nothing else become labels as they are.

    With `labels` a custom file works for every task: columns of any name become the labels that tasks
    read (:class:`~onepeace_pl.data.source.Row` lists them), text in them becomes what the label needs:

    * ``class``: a name, or a number from 0; ``classes``: a list, a JSON list, or names with commas;
    * ``box``: a column (a list, JSON, or numbers with commas) or four, x0, y0, x1, y1 in pixels; ``image_size``
      likewise, width and height, else read from the image when a row is asked for;
    * ``answer``: the words of the right choice, or its number from 0;
    * ``answers``: one answer, a JSON list of right ones, or a JSON object answer -> confidence;
    * ``truth``: true or false, yes or no, 1 or 0.

    Args:
        path: The file. CSV has a header and may quote; JSON lines has one object a line.
        columns: Modality to column, or to several columns, which give a row several values of it (the two
            images of a statement). None takes the columns named image, audio and text that are there.
        id_column: Column of ids; None gives each row its number.
        root: Folder that media paths start from; None takes the file's own.
        text: Modalities whose values are text; all others are paths, or images in base64.
        unique_ids: Raise an error for duplicate ids.
        labels: Label to column, or to several. None leaves the other columns as they are.
        classes: Names of the classes, or of the answers, in the order of their indices. None takes those of
            the file in alphabetical order; give all splits the same.
        choices: Columns of the choices of a question, or one with a list; the text of a row is then one text
            a choice, made of its text column and the choice.
        template: Template of the text of a choice.

    Raises:
        UserError: If the file is missing or of another format, a column is not there, a row is ragged, an id
            occurs twice or a label is of no use.
    """

    def __init__(
        self,
        path: str,
        columns: dict[str, str | list[str]] | None = None,
        id_column: str | None = None,
        root: str | None = None,
        text: Sequence[str] = ("text",),
        unique_ids: bool = False,
        labels: dict[str, str | list[str]] | None = None,
        classes: list[str] | None = None,
        choices: str | list[str] | None = None,
        template: str = TEMPLATE,
    ) -> None:
        self.path = Path(path)
        self.root = Path(root) if root is not None else self.path.parent
        self.text = tuple(text)
        self.template = template
        lines, self._rows = _read(self.path)
        header = list(self._rows[0])
        if columns is None:
            columns = {name: name for name in KNOWN if name in header}
            if not columns:
                raise UserError(f"{path}: no column named image, audio or text; name yours in `columns`")
        self.columns, self.id_column, self.choices = dict(columns), id_column, choices
        if choices is not None and self.text[0] not in self.columns:
            raise UserError(f"{path}: choices, and no column of the question; name it in `columns`")
        self._used = {*_flat(self.columns), *_flat({"": choices or []}), *_flat(labels or {})}
        for column in [*self._used, *([id_column] if id_column else [])]:
            column_number(self.path, header, column)
        self.modalities = tuple(self.columns)
        if unique_ids and id_column:
            check_unique(self.path, (str(row[id_column]) for row in self._rows), lines[0])
        self.classes = tuple(classes or ())
        self._labels: list[Labels] | None = None
        if labels:
            places = [f"{path}:{line}" for line in lines]
            read = [
                (place, self._read_labels(labels, place, row))
                for place, row in zip(places, self._rows, strict=True)
            ]
            self.classes, self._labels = number_classes(read, classes)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        row, fields, labels = self._rows[index], self._fields(index), dict(self._labels_at(index))
        if self._labels and "box" in labels and isinstance(fields.get("image"), str | bytes):
            labels.setdefault("image_size", read_image_size(fields["image"]))
            checked(f"{self.path}: row {index}", labels, self.classes)
        return Row(self._id(row, index), fields, labels)

    def files(self, index: int) -> list[str]:
        """Return the media files of a row, whether or not they exist."""
        return paths_of(self._fields(index), self.text)

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        return (self._id(row, index) for index, row in enumerate(self._rows))

    def labels(self) -> Iterator[Labels]:
        """Return the labels of each row."""
        return map(self._labels_at, range(len(self)))

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        return shared_by_id(self)

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer."""
        columns = [_flat({name: column}) for name, column in self.columns.items() if name in self.text]
        for row in self._rows:
            yield from (str(row[column]) for group in columns for column in group)
            yield from self._choices_of(row) or ()

    def _id(self, row: Mapping[str, object], index: int) -> str:
        return str(row[self.id_column]) if self.id_column else str(index)

    def _fields(self, index: int) -> Fields:
        row, fields = self._rows[index], {}
        for name, column in self.columns.items():
            several = [row[one] for one in ([column] if isinstance(column, str) else column)]
            if name not in self.text:
                several = [media(v, self.root) if isinstance(v, str) else v for v in several]
            fields[name] = several[0] if isinstance(column, str) else tuple(several)
        if self.choices is not None:
            name = self.text[0]
            fields[name] = choice_texts(str(fields[name]), self._choices_of(row) or (), self.template)
        return fields

    def _labels_at(self, index: int) -> Labels:
        row = self._rows[index]
        rest = {name: v for name, v in row.items() if name not in self._used and name != self.id_column}
        return rest if self._labels is None else {**rest, **self._labels[index]}

    def _read_labels(
        self, labels: Mapping[str, str | list[str]], place: str, row: Mapping[str, object]
    ) -> Labels:
        try:
            return read_labels(labels, row, self._choices_of(row))
        except ValueError as error:
            raise UserError(f"{place}: {error}") from error

    def _choices_of(self, row: Mapping[str, object]) -> list[str] | None:
        if self.choices is None:
            return None
        if isinstance(self.choices, str):
            return [str(choice) for choice in read_list(row[self.choices])]
        return [str(row[column]) for column in self.choices]


def _read(path: Path) -> tuple[list[int], list[Mapping[str, object]]]:
    """Return the numbers of lines, and the rows."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        numbered: Sequence[tuple[int, Mapping[str, object]]] = list(read_csv(path))
    elif suffix == ".jsonl":
        numbered = list(read_json_lines(path))
    else:
        raise UserError(f"{path}: a manifest ends in .csv or .jsonl; rename or convert it")
    first, names = numbered[0][0], set(numbered[0][1])
    for line, row in numbered:
        if missing := names - set(row):
            raise UserError(
                f"{path}:{line}: no {min(missing)!r}, which line {first} has; give every row the same keys"
            )
    return [line for line, _ in numbered], [row for _, row in numbered]


def _flat(columns: Mapping[str, str | Sequence[str]]) -> list[str]:
    return [name for column in columns.values() for name in ([column] if isinstance(column, str) else column)]
