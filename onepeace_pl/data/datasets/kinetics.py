"""Kinetics: action recognition in ten-second videos, as frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from onepeace_pl.data.datasets.class_names import class_number, read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.datasets.video import ENDINGS, count_frames, read_frames
from onepeace_pl.data.labels.checking import shown, whole
from onepeace_pl.data.source import Frames, Labels, Row
from onepeace_pl.data.sources.folder import ENDINGS as PICTURES
from onepeace_pl.data.sources.tables import read_csv
from onepeace_pl.errors import UserError


class Kinetics(Listing[tuple[str, int, int]]):
    """Rows of a CSV with label, youtube_id, time_start, time_end, split; the image is a clip of frames.

    A clip is `frames` frames, `stride` apart. In training its start is sampled in each epoch; else `clips`
    of them are spread evenly over the video, one row each with the video's id. Where a video is too short,
    its last frame is repeated (docs/reference/tasks.md, section 15).

    Args:
        path: The CSV.
        videos: Folder of the videos, or of folders with the frames of each as images in order.
        classes: Names of the classes in the order of their indices: a list or a file. None takes those of the
            CSV in alphabetical order, which are Kinetics' numbers where all occur.
        frames: Frames of a clip.
        stride: Frames from one to the next.
        clips: Clips of a video outside training.
        pattern: Name of a video file, or of the folder of its frames, from the columns of the CSV.
        seed: Seed of the clips' start in training.
        missing: "skip" leaves out rows whose video file is missing (many are gone from YouTube).

    Raises:
        UserError: If the CSV is missing, lacks a column or has a ragged row, or a class is unknown. When a
            row is asked for: if its video is missing, unreadable or empty.
    """

    layout: ClassVar[str] = """
        kinetics400/train.csv, val.csv      (deepmind.com/research/open-source/kinetics)
        kinetics400/train/<youtube_id>_<start>_<end>.mp4    start and end in six digits; reading videos needs
        kinetics400/val/<youtube_id>_<start>_<end>.mp4      the extra `video`
        Instead of a video there may be a folder with its frames as images in order: set `pattern`."""

    modalities = ("image",)

    def __init__(
        self,
        path: str,
        videos: str,
        classes: Sequence[str] | str | None = None,
        frames: int = 16,
        stride: int = 8,
        clips: int = 1,
        pattern: str = "{youtube_id}_{time_start:06d}_{time_end:06d}.mp4",
        seed: int = 0,
        missing: Missing = "keep",
    ) -> None:
        for name, value in (("frames", frames), ("stride", stride), ("clips", clips)):
            if value < 1:
                raise UserError(f"{name}={value} must be at least 1")
        file, self.videos, self.seed = Path(path), videos, seed
        self.frames, self.stride = frames, stride
        rows = list(read_csv(file, ("label", "youtube_id", "time_start", "time_end")))
        names = sorted({row["label"] for _, row in rows})
        self.classes = tuple(names) if classes is None else read_classes(classes)
        numbers = {name: number for number, name in enumerate(self.classes)}
        records: list[tuple[str, int, int]] = []
        for line, row in rows:
            place = f"{path}:{line}"
            number = class_number(row["label"], numbers, place)
            values: dict[str, object] = dict(row)
            for column in ("time_start", "time_end"):
                if (seconds := whole(row[column])) is None:
                    raise UserError(f"{place}: {column} {shown(row[column])} is no whole number of seconds")
                values[column] = seconds
            name = file_name(pattern, values)
            records.extend((name, number, clip) for clip in range(clips))
        self.clips = clips
        super().__init__(file, records, missing)
        split = {"validate": "val"}.get(file.stem, file.stem)
        self.published = published("kinetics400", split) if len(self.classes) == 400 else None

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row with a clip that starts anywhere in the video."""
        return self._row(self.records[index], np.random.default_rng([self.seed, epoch, index]))

    def row(self, record: tuple[str, int, int]) -> Row:
        """Make the row of (name of the video, class index, which clip)."""
        return self._row(record, None)

    def id_of(self, record: tuple[str, int, int]) -> str:
        """Return the name of the video without its ending; its clips share it."""
        stem, suffix = os.path.splitext(record[0])
        return stem if suffix.lower() in ENDINGS else record[0]

    def labels_of(self, record: tuple[str, int, int]) -> Labels:
        """Return the class."""
        return {"class": self.classes[record[1]]}

    def files_of(self, record: tuple[str, int, int]) -> list[str]:
        """Return the video, or the folder of its frames."""
        return [os.path.join(self.videos, record[0])]

    def _row(self, record: tuple[str, int, int], rng: np.random.Generator | None) -> Row:
        clip = record[2]
        (video,) = self.files_of(record)
        if os.path.splitext(video)[1].lower() in ENDINGS:
            wanted = self._numbers(count_frames(video), clip, rng)
            taken: Sequence[object] = read_frames(video, wanted)
        else:
            pictures = _pictures(video)
            taken = [pictures[number] for number in self._numbers(len(pictures), clip, rng)]
        return Row(self.id_of(record), {"image": Frames(taken)}, self.labels_of(record))

    def _numbers(self, count: int, clip: int, rng: np.random.Generator | None) -> list[int]:
        """Return which frames of a video of so many are taken."""
        spare = max(count - (self.frames - 1) * self.stride - 1, 0)
        if rng is not None:
            start = int(rng.integers(spare + 1))
        elif self.clips == 1:
            start = spare // 2
        else:
            start = round(spare * clip / (self.clips - 1))
        return [min(start + step * self.stride, count - 1) for step in range(self.frames)]


def _pictures(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UserError(f"{folder}: no such folder of frames; check `videos` and `pattern`") from error
    found = [
        os.path.join(folder, n) for n in names if PICTURES.get(os.path.splitext(n)[1].lower()) == "image"
    ]
    if not found:
        raise UserError(f"{folder}: no images in it; put the frames of the video there")
    return found
