"""Audio captioning: AudioCaps and Clotho."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import read_csv
from onepeace_pl.errors import UserError

Caption = tuple[str, str, str]  # id of the clip, its path, the caption


class AudioCaptions(Listing[Caption]):
    """Audio-caption pairs, one row a caption; captions of one clip have one id."""

    modalities = ("audio", "text")
    shared: ClassVar[tuple[str, ...]] = ("audio",)

    def row(self, record: Caption) -> Row:
        """Make the row of (id, path of the audio file, caption)."""
        identity, audio, text = record
        return Row(identity, {"audio": audio, "text": text})


class AudioCaps(AudioCaptions):
    """AudioCaps: ``train.csv``, ``val.csv``, ``test.csv`` with audiocap_id, youtube_id, start_time, caption.

    The id is the clip, ``<youtube_id>_<start_time>``: its five captions in val and test belong together.

    Args:
        path: The CSV.
        audio: Folder of the audio files.
        pattern: Name of an audio file, from the columns of the CSV.
        missing: "skip" leaves out rows whose audio file is missing (many are gone from YouTube).

    Raises:
        UserError: If the CSV is missing, lacks a column or has a ragged row, or the pattern cannot be
            filled.
    """

    layout: ClassVar[str] = """
        audiocaps/train.csv, val.csv, test.csv           (repository cdjkim/audiocaps, folder dataset)
        audiocaps/audio/<youtube_id>_<start_time>.wav    10 seconds each, cut from YouTube by their start; for
                                                         other names set `pattern`, for instance
                                                         Y{youtube_id}.wav or {audiocap_id}.flac"""

    def __init__(
        self,
        path: str,
        audio: str,
        pattern: str = "{youtube_id}_{start_time}.wav",
        missing: Missing = "keep",
    ) -> None:
        file = Path(path)
        records = [
            (
                f"{row['youtube_id']}_{row['start_time']}",
                os.path.join(audio, file_name(pattern, row)),
                row["caption"],
            )
            for _, row in read_csv(file, ("youtube_id", "start_time", "caption"))
        ]
        super().__init__(file, records, missing)
        self.published = published("audiocaps", file.stem)


class Clotho(AudioCaptions):
    """Clotho: ``clotho_captions_<split>.csv`` with file_name, caption_1 to caption_5; five rows a clip.

    Args:
        path: The CSV.
        audio: Folder of the audio files.
        pattern: Name of an audio file, from the columns of the CSV and ``stem``, the file_name without its
            ending (``{stem}.flac``).
        missing: "skip" leaves out rows whose audio file is missing.

    Raises:
        UserError: If the CSV is missing, lacks a column, has a ragged row or an empty caption, or the
            pattern cannot be filled.
    """

    layout: ClassVar[str] = """
        clotho/clotho_captions_development.csv, ..._validation.csv, ..._evaluation.csv   (Zenodo 4783391)
        clotho/development/*.wav    3,839 clips (clotho_audio_development.7z)
        clotho/validation/*.wav     1,045 clips (clotho_audio_validation.7z)
        clotho/evaluation/*.wav     1,045 clips (clotho_audio_evaluation.7z)"""

    def __init__(
        self, path: str, audio: str, pattern: str = "{file_name}", missing: Missing = "keep"
    ) -> None:
        file = Path(path)
        columns = [f"caption_{number}" for number in range(1, 6)]
        records: list[Caption] = []
        for line, row in read_csv(file, ("file_name", *columns)):
            stem = os.path.splitext(row["file_name"])[0]
            clip = os.path.join(audio, file_name(pattern, {**row, "stem": stem}))
            empty = next((column for column in columns if not row[column].strip()), None)
            if empty:
                raise UserError(f"{path}:{line}: {empty} is empty; write the caption, or delete the line")
            records.extend((stem, clip, row[column]) for column in columns)
        super().__init__(file, records, missing)
        self.published = published("clotho", file.stem.removeprefix("clotho_captions_"))
