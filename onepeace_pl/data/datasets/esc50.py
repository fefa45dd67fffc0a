"""ESC-50 and ESC-10: environmental sounds in five folds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.source import PublishedSize, Row
from onepeace_pl.data.sources.tables import read_csv
from onepeace_pl.errors import UserError


class Esc50(Listing[tuple[str, str]]):
    """Rows of ``esc50.csv``: filename, fold, target, category.

    Classes are the categories in the order of their targets, whichever folds are taken, with blanks for
    underscores, as prompts need them (docs/reference/tasks.md, section 5).

    Args:
        path: The CSV.
        audio: Folder of the audio files.
        folds: Take these folds, of 1 to 5; None takes all, as zero-shot classification does.
        missing: "skip" leaves out rows whose audio file is missing.

    Raises:
        UserError: If the CSV is missing, lacks a column or has a ragged row, targets and categories
            contradict each other, or a fold has no rows.
    """

    layout: ClassVar[str] = """
        esc50/meta/esc50.csv    2,000 rows (repository karolpiczak/ESC-50)
        esc50/audio/*.wav       2,000 clips of 5 seconds at 44.1 kHz"""

    modalities = ("audio",)

    def __init__(
        self, path: str, audio: str, folds: Sequence[int] | None = None, missing: Missing = "keep"
    ) -> None:
        file, self.audio = Path(path), audio
        names: dict[int, str] = {}
        found: dict[str, int] = {}
        records = []
        for line, row in read_csv(file, ("filename", "fold", "target", "category")):
            if (target := whole(row["target"])) is None:
                raise UserError(f"{path}:{line}: target {shown(row['target'])} is no number; count from 0")
            if names.setdefault(target, row["category"]) != row["category"]:
                raise UserError(
                    f"{path}:{line}: target {target} is {shown(row['category'])} here and {shown(names[target])} "
                    "above; give each category its own"
                )
            found[row["fold"]] = found.get(row["fold"], 0) + 1
            if folds is None or row["fold"] in map(str, folds):
                records.append((row["filename"], _words(row["category"])))
        if sorted(names) != list(range(len(names))):
            raise UserError(f"{path}: targets are not 0 to {len(names) - 1}; the file is not whole")
        gone = next((fold for fold in folds or () if str(fold) not in found), None)
        if gone is not None:
            raise UserError(f"{path}: no rows of fold {gone}; it has {', '.join(sorted(found))}")
        self.classes = tuple(_words(names[number]) for number in range(len(names)))
        super().__init__(file, records, missing)
        per_fold = {50: 400, 10: 80}.get(len(self.classes))
        if per_fold:
            rows = per_fold * (5 if folds is None else len(set(folds)))
            self.published = PublishedSize((rows,), classes=len(self.classes))

    def row(self, record: tuple[str, str]) -> Row:
        """Make the row of (file name, category)."""
        name, category = record
        fields = {"audio": os.path.join(self.audio, name)}
        return Row(os.path.splitext(name)[0], fields, {"class": category})


def _words(category: str) -> str:
    return category.replace("_", " ")
