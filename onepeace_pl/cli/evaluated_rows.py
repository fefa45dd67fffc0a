"""Rows of ``evaluate`` and ``calibrate``: of tables and folders, or of a config; and their options."""

import argparse
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onepeace_pl.cli.shipped import ENDINGS, find_config
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.data.evaluation.directions import Direction
    from onepeace_pl.data.source import Source


@dataclass(frozen=True)
class TableOptions:
    """Options of tables.

    Attributes:
        columns: Field to column, where they have other names.
        id_columns: Columns of ids, of which each table has one; empty for the default.
        root: Folder that media paths start from; None for that of each table.
        incomplete: Handling of ids that one of several tables lacks.
    """

    columns: Mapping[str, str]
    id_columns: Sequence[str]
    root: str | None
    incomplete: Literal["raise", "skip"]


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows that are evaluated together.

    Attributes:
        name: Name of the set.
        rows: The rows.
        directions: Directions that are evaluated on them.
    """

    name: str
    rows: "Source"
    directions: "Sequence[Direction]"

    @property
    def fields(self) -> list[str]:
        """Fields that are read."""
        return list(dict.fromkeys(field for direction in self.directions for field in direction.fields))

    def groups(self, column: str) -> list[str]:
        """Return the value of a column for each row.

        Raises:
            UserError: The rows have no such column, or it is read as a field.
        """
        from onepeace_pl.data.source import labels_of

        found = []
        for labels in labels_of(self.rows):
            if column not in labels:
                known = ", ".join(labels) or "none"
                raise UserError(
                    f"{self.name}: no column {column!r} of groups; beside fields and ids there are: {known}"
                )
            found.append(str(labels[column]))
        return found


def add_data_options(parser: "argparse._ActionsContainer") -> None:
    """Add ``--data`` and the options of tables."""
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="FILE",
        required=True,
        help="tables (.tsv, .csv, .jsonl) or folders of files, several merged by id; or a config of a source, a data "
        "module, of a run, or the name of a shipped one",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="FIELD=COLUMN",
        default=[],
        help="columns with other names: text=caption; further values of a modality: image:reference=before",
    )
    parser.add_argument(
        "--id-column",
        nargs="+",
        metavar="COLUMN",
        default=[],
        help="ids: rows of equal id belong together; several names where tables differ; default: id, and row numbers "
        "in a single table without it",
    )
    parser.add_argument("--root", metavar="FOLDER", help="start of media paths; default: the table's folder")
    parser.add_argument(
        "--incomplete",
        choices=("raise", "skip"),
        default="raise",
        help="ids that one of several files lacks: stop, or leave them out",
    )


def table_options(options: argparse.Namespace) -> TableOptions:
    """Return the options of tables.

    Raises:
        UserError: A column is named wrongly, or the data are a config.
    """
    columns = dict(map(parse_column, options.columns))
    if is_config(options.data):
        for flag, value in (("columns", columns), ("id-column", options.id_column), ("root", options.root)):
            if value:
                raise UserError(f"--{flag} is for tables; set it for the sources of {options.data[0]}")
    return TableOptions(columns, options.id_column, options.root, options.incomplete)


def is_config(paths: Sequence[str]) -> bool:
    """Return whether ``--data`` names a config: a YAML file, or a shipped one by its name."""
    from onepeace_pl.data.sources.opening import TABLES

    path = Path(paths[0])
    if len(paths) > 1 or path.is_dir() or path.suffix.lower() in TABLES:
        return False
    return path.suffix in ENDINGS or not path.exists()


def rows_of_tables(
    paths: Sequence[str],
    names: Sequence[str] | None,
    modalities: Sequence[str],
    options: TableOptions,
    groups: str | None = None,
) -> EvaluatedRows:
    """Return the rows of tables or folders, merged by id where there are several.

    Args:
        paths: The tables.
        names: Names of directions; None for all pairs.
        modalities: Modalities of the model.
        options: Options of the tables.
        groups: Column of groups.

    Raises:
        UserError: A file or column is missing, no id is in all tables, or there is no direction.
    """
    from onepeace_pl.data.sources.opening import TableFiles

    files = TableFiles(paths, modalities, options.columns, options.id_columns, options.root, usual=True)
    for field, column in files.usual_columns.items():
        print(f"note: {field} is read from the column {column!r} (--columns {field}={column})")
    directions = _directions(names, files.fields, modalities)
    where, known = ", ".join(paths), ", ".join(files.columns)
    if not directions:
        raise UserError(
            f"{where}: a pair takes two modalities, and there are columns of {', '.join(files.fields) or 'none'}; name "
            f"yours, such as image=COLUMN; the columns are {known}, the model has {', '.join(modalities)}"
        )
    for name, direction in zip(names or map(str, directions), directions, strict=True):
        for field in direction.fields:
            if field not in files.fields:
                raise UserError(
                    f"direction {name!r}: {where} has no column {field!r}; name yours: --columns {field}=COLUMN; the "
                    f"columns are {known}"
                )
    fields = list(dict.fromkeys(field for direction in directions for field in direction.fields))
    with printed_warnings():
        rows = files.source(fields, [] if groups is None else [groups], options.incomplete)
    return EvaluatedRows(files.name, rows, directions)


def rows_of_config(
    config: str, names: Sequence[str] | None, modalities: Sequence[str], split: str
) -> list[EvaluatedRows]:
    """Return the rows of a config, without the sets that have none of the directions.

    Args:
        config: Config of a run, of a data module or of a source, or the name of a shipped one.
        names: Names of directions; None for all pairs of each set.
        modalities: Modalities of the model.
        split: Split of a run or of a data module.

    Raises:
        UserError: There is no such config or split, a source cannot be made, or no set has any of the directions.
    """
    from onepeace_pl.cli.data_sources import rows_of

    try:
        file = find_config(config, kind="parts/data")
    except UserError as error:
        raise UserError(f"--data {config}: no such table or folder, and {error}") from None
    with printed_warnings():
        sources = rows_of(file, split)
    found = []
    for name, rows in sources.items():
        directions = [
            direction
            for direction in _directions(names, rows.modalities, modalities)
            if set(direction.fields) <= set(rows.modalities)
        ]
        if directions:
            found.append(EvaluatedRows(name, rows, directions))
    if not found:
        have = "; ".join(f"{name} has {', '.join(rows.modalities)}" for name, rows in sources.items())
        raise UserError(
            f"{config}: no rows for {', '.join(names or ['a pair of modalities'])}: {have}; the model has "
            f"{', '.join(modalities)}"
        )
    return found


def parse_column(text: str) -> tuple[str, str]:
    """Return field and column of ``FIELD=COLUMN``.

    Raises:
        UserError: It is written otherwise.
    """
    field, equals, column = text.partition("=")
    if not equals or not field or not column:
        raise UserError(f"--columns {text}: write FIELD=COLUMN, such as text=caption")
    return field, column


def _directions(
    names: Sequence[str] | None, fields: Sequence[str], modalities: Sequence[str]
) -> "list[Direction]":
    from onepeace_pl.data.evaluation.directions import all_pairs, parse_direction

    if names is None:
        return all_pairs([field for field in fields if field in modalities])
    return [parse_direction(name, modalities, fields) for name in names]


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print warnings as notes of one line."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for each in said:
        print(f"note: {each.message}")
