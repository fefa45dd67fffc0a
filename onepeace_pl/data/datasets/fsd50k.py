"""FSD50K: multi-label audio classification, 200 classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal

from onepeace_pl.data.datasets.class_names import class_number, read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import read_csv

Clip = tuple[str, str, tuple[int, ...]]  # id, file name, classes


class Fsd50k(Listing[Clip]):
    """Rows of the folder ``FSD50K.ground_truth``: ``dev.csv``, ``eval.csv`` and ``vocabulary.csv``.

    Args:
        path: The folder.
        audio: Folder of the audio files: ``FSD50K.dev_audio`` or ``FSD50K.eval_audio``.
        split: "train" and "val" are the two parts of "dev".
        pattern: Name of an audio file, from the columns of the CSV.
        missing: "skip" leaves out rows whose audio file is missing.

    Raises:
        UserError: If a file is missing, lacks a column or has a ragged row, or a class is none of the
            vocabulary.
    """

    layout: ClassVar[str] = """
        fsd50k/FSD50K.ground_truth/dev.csv, eval.csv, vocabulary.csv   (Zenodo 4060432)
        fsd50k/FSD50K.dev_audio/*.wav     40,966 clips: 36,796 train, 4,170 val
        fsd50k/FSD50K.eval_audio/*.wav    10,231 clips"""

    modalities = ("audio",)

    def __init__(
        self,
        path: str,
        audio: str,
        split: Literal["train", "val", "dev", "eval"] = "train",
        pattern: str = "{fname}.wav",
        missing: Missing = "keep",
    ) -> None:
        folder, self.audio = Path(path), audio
        self.classes = read_classes(str(folder / "vocabulary.csv"), column=1)
        numbers = {name: number for number, name in enumerate(self.classes)}
        file = folder / ("eval.csv" if split == "eval" else "dev.csv")
        needs = ("fname", "labels") if split in ("eval", "dev") else ("fname", "labels", "split")
        records: list[Clip] = []
        for line, row in read_csv(file, needs):
            if split in ("train", "val") and row["split"] != split:
                continue
            names = [name.strip() for name in row["labels"].split(",")]
            found = tuple(class_number(name, numbers, f"{file}:{line}") for name in names)
            records.append((row["fname"], file_name(pattern, row), found))
        super().__init__(file, records, missing)
        self.published = published("fsd50k", split)

    def row(self, record: Clip) -> Row:
        """Make the row of (id, file name, numbers of classes)."""
        identity, name, numbers = record
        labels = {"classes": tuple(self.classes[number] for number in numbers)}
        return Row(identity, {"audio": os.path.join(self.audio, name)}, labels)
