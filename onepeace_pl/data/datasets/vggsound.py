"""VGGSound: 309 classes of sounds in videos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal

from onepeace_pl.data.datasets.class_names import class_number, read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import csv_rows, read_csv
from onepeace_pl.errors import UserError

_FULL = ("ytid", "start", "label", "split")


class VggSound(Listing[tuple[str, str, int]]):
    """Rows of ``vggsound.csv`` (id, start, label, split) or of ``train.csv``, ``test.csv`` (file, label).

    Numbers of classes are the lines of ``stat.csv``, which are the original's. Its own list of names
    (``vggsound_id2label.json``) cuts 23 of them at the first comma; where `classes` is that list, rows carry
    its names.

    Args:
        path: The CSV; none of the three has a header.
        audio: Folder of the audio files.
        split: Split of ``vggsound.csv``; the other files are one split.
        classes: File of the names: ``stat.csv``, or the original's JSON.
        pattern: Name of an audio file, from ``name`` (id and start in six digits, as the videos are
            called), ``ytid`` and ``start`` in seconds.
        missing: "skip" leaves out rows whose audio file is missing (many are gone from YouTube).

    Raises:
        UserError: If a file is missing or a row is ragged, a class is unknown or a start is no number.
    """

    layout: ClassVar[str] = """
        vggsound/vggsound.csv             199,176 rows: 183,730 train, 15,446 test (VGGSound's page)
        vggsound/stat.csv                 names of the 309 classes (repository hche11/VGGSound, folder data)
        vggsound/audio/<ytid>_<start in six digits>.wav   10 seconds each; for other names set `pattern`"""

    modalities = ("audio",)

    def __init__(
        self,
        path: str,
        audio: str,
        classes: str,
        split: Literal["train", "test"] | None = None,
        pattern: str = "{name}.wav",
        missing: Missing = "keep",
    ) -> None:
        file, self.audio = Path(path), audio
        self.classes = read_classes(classes)
        # both names of a class lead to its number; the first parts are unique, too
        numbers = {name.partition(",")[0]: number for number, name in enumerate(self.classes)}
        numbers |= {name: number for number, name in enumerate(self.classes)}
        records = []
        for line, row in _rows(file):
            if split and row.get("split", split) != split:
                continue
            label = row["label"] if row["label"] in numbers else row["label"].partition(",")[0]
            number = class_number(label, numbers, f"{path}:{line}")
            records.append((row["name"], file_name(pattern, row), number))
        super().__init__(file, records, missing)
        self.published = published("vggsound", split or file.stem)

    def row(self, record: tuple[str, str, int]) -> Row:
        """Make the row of (id, file name, class index)."""
        identity, name, number = record
        fields = {"audio": os.path.join(self.audio, name)}
        return Row(identity, fields, {"class": self.classes[number]})


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    first = next(csv_rows(file), (1, []))[1]
    rows = []
    for line, row in read_csv(file, header=_FULL if len(first) == len(_FULL) else ("file", "label")):
        if "file" in row:  # <ytid>_<start in six digits>.mp4
            row["name"] = os.path.splitext(row["file"])[0]
            row["ytid"], _, row["start"] = row["name"].rpartition("_")
        start = row["start"]
        if (seconds := whole(start)) is None or not row["ytid"]:
            raise UserError(
                f"{file}:{line}: start {shown(start)} is no number of seconds; is this the right file?"
            )
        row["start"] = str(seconds)
        row.setdefault("name", f"{row['ytid']}_{seconds:06d}")
        rows.append((line, row))
    return rows
