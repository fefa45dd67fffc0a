"""Folder of files that belong together by name (a.jpg, a.txt)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from onepeace_pl.data.source import Row, Source
from onepeace_pl.data.sources.columns import read_text, shared_by_id
from onepeace_pl.errors import UserError

ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".bmp"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".opus", ".mp3"), "audio"),
    ".txt": "text",
}


class FolderSource(Source):
    """Rows of a folder and the folders below it, in alphabetical order.

    A text file holds one caption a line; a file with several lines gives as many rows with one id (the name
    without its ending).

    Args:
        path: The folder.
        incomplete: Handling of names without one of the modalities: "raise", or "skip" with a
            warning that counts them.
        endings: Ending to modality, for files of other modalities: ``{.npy: motion}``.

    Raises:
        UserError: If the folder is missing or empty, two files compete for one modality, or names are
            incomplete.
    """

    def __init__(
        self,
        path: str,
        incomplete: Literal["raise", "skip"] = "raise",
        endings: dict[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        found = _files(self.path, ENDINGS | (endings or {}))
        self.modalities = tuple(sorted({name for files in found.values() for name in files}))
        lacking = [stem for stem, files in found.items() if len(files) < len(self.modalities)]
        if lacking:
            missing = next(name for name in self.modalities if name not in found[lacking[0]])
            message = (
                f"{self.path}: {len(lacking)} of {len(found)} names lack a file: {lacking[0]!r} no {missing}"
            )
            if incomplete == "raise":
                raise UserError(f"{message}; add it, or set incomplete: skip")
            warnings.warn(f"{message}; they are left out", stacklevel=2)
        self._rows: list[tuple[str, dict[str, Any]]] = []
        for stem in sorted(found.keys() - set(lacking)):
            files = found[stem]
            media = {name: str(file) for name, file in files.items() if name != "text"}
            self._rows.extend((stem, {**media, **text}) for text in _captions(files.get("text")))
        if not self._rows:
            raise UserError(f"{self.path}: no complete rows; put files such as a.jpg and a.txt side by side")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        stem, fields = self._rows[index]
        return Row(stem, dict(fields))

    def ids(self) -> Iterator[str]:
        """Return the id of each row."""
        return (stem for stem, _ in self._rows)

    def one_per_id(self) -> tuple[str, ...]:
        """Return the modalities of which rows with equal id have the same value."""
        return shared_by_id(self)

    def texts(self) -> Iterator[str]:
        """Return all texts, for training a tokenizer."""
        yield from (fields["text"] for _, fields in self._rows if "text" in fields)


def _files(folder: Path, endings: Mapping[str, str]) -> dict[str, dict[str, Path]]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check the path")
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.rglob("*")):
        modality = endings.get(file.suffix.lower())
        if modality is None or not file.is_file():
            continue
        stem = file.relative_to(folder).with_suffix("").as_posix()
        other = found.setdefault(stem, {}).setdefault(modality, file)
        if other != file:
            raise UserError(
                f"{file}: {other.name} is the {modality} of that name already; rename one of them"
            )
    return found


def _captions(file: Path | None) -> list[dict[str, str]]:
    if file is None:
        return [{}]
    captions = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if not captions:
        raise UserError(f"{file}: no caption; write one a line, or delete the file")
    return [{"text": caption} for caption in captions]
