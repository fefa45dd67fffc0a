"""Files to predict: their modalities by their endings, and rows of them."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.columns import read_text
from onepeace_pl.data.sources.folder import ENDINGS as TRAINED_ON
from onepeace_pl.errors import UserError

ENDINGS: Final = {**TRAINED_ON, **dict.fromkeys((".tif", ".tiff", ".gif"), "image")}
"""File ending to modality."""


def find_files(
    words: Sequence[str], modalities: Sequence[str], endings: Mapping[str, str] | None = None
) -> dict[str, list[Path]]:
    """Return the files of each modality.

    Args:
        words: Files, folders (with those below them) and glob patterns, of which the last two may hold other files.
        modalities: Modalities that are read.
        endings: Ending to modality, for files of other modalities.

    Raises:
        UserError: There is no such file, none that is read, or one that is not.
    """
    found: dict[str, list[Path]] = {}
    known = ENDINGS | dict(endings or {})
    for word in words:
        path = Path(word)
        if path.is_dir():
            files, named = sorted(file for file in path.rglob("*") if file.is_file()), False
        elif path.exists():
            files, named = [path], True
        elif glob.has_magic(word):
            matches = map(Path, sorted(glob.glob(word, recursive=True)))
            files, named = [file for file in matches if file.is_file()], False
        else:
            raise UserError(f"{word}: no such file or folder")
        read = [(file, known.get(file.suffix.lower())) for file in files]
        kept = [(file, name) for file, name in read if name in modalities]
        if not kept:
            raise UserError(f"{word}{' is' if named else ':'} no file of {_wanted(modalities, known)}")
        for file, name in kept:
            assert name is not None
            found.setdefault(name, []).append(file)
    return found


def file_rows(
    files: Sequence[Path], field: str, values: int, given: Mapping[str, str | tuple[str, ...]]
) -> list[Row]:
    """Return rows of files; their ids are the names of the files.

    Args:
        files: The files.
        field: Their modality.
        values: Files of a row, in their order.
        given: Values of other modalities, the same in all rows.

    Raises:
        UserError: The files do not fill the rows.
    """
    if len(files) % values:
        raise UserError(f"{len(files)} files of {field}, and a row has {values}; give {values} for each row")
    rows = []
    for first in range(0, len(files), values):
        group = tuple(map(str, files[first : first + values]))
        fields = {field: group if values > 1 else group[0], **given}
        rows.append(Row("+".join(group), fields))
    return rows


def text_rows(files: Sequence[Path], texts: Sequence[str]) -> list[Row]:
    """Return a row for each text, and for each line of files that is not empty; the id is file and number of the line.

    Raises:
        UserError: A file is no text, or has none.
    """
    rows = [Row(str(number), {"text": text}) for number, text in enumerate(texts)]
    for file in files:
        lines = list(_lines(file))
        if not lines:
            raise UserError(f"{file}: no text; write one a line")
        rows += lines
    return rows


def _lines(file: Path) -> Iterator[Row]:
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            yield Row(f"{file}:{number}", {"text": line.strip()})


def _wanted(modalities: Sequence[str], endings: Mapping[str, str]) -> str:
    known = {
        name: [ending for ending, modality in endings.items() if modality == name] for name in modalities
    }
    return " or ".join(
        f"{name} ({', '.join(each) or 'no known ending: --endings'})" for name, each in known.items()
    )
