"""Video decoding with PyAV (the extra ``video``), imported when the first video is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import importing
from onepeace_pl.utils.regular_files import shown_path

ENDINGS = frozenset((".mp4", ".webm", ".mkv", ".avi", ".mov"))


def count_frames(path: str) -> int:
    """Return how many frames a video has; counted where its header does not say.

    Raises:
        UserError: If the video is missing, unreadable or empty.
    """
    with _Video(path) as stream:
        count = stream.frames or sum(1 for _ in stream.container.decode(stream))
    if not count:
        raise UserError(f"{path}: a video without frames; replace the file or leave the row out")
    return int(count)


def read_frames(path: str, numbers: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
    """Return frames by ascending number, each uint8 (height, width, 3); the last stands for any beyond it.

    Raises:
        UserError: If the video is missing, unreadable or empty.
    """
    wanted = set(numbers)
    found: dict[int, npt.NDArray[np.uint8]] = {}
    last: Any = None
    number = -1
    with _Video(path) as stream:
        stream.thread_type = "AUTO"
        for number, frame in enumerate(stream.container.decode(stream)):
            last = frame
            if number in wanted:
                found[number] = frame.to_ndarray(format="rgb24")
            if number >= numbers[-1]:
                break
    if last is None:
        raise UserError(f"{path}: a video without frames; replace the file or leave the row out")
    if any(n > number for n in numbers):  # its header promised more
        found |= dict.fromkeys((n for n in numbers if n > number), last.to_ndarray(format="rgb24"))
    return [found[n] for n in numbers]


class _Video:
    """Context manager of a video stream; all errors become one line."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> Any:
        if not os.path.isfile(self.path):
            raise UserError(f"{shown_path(self.path)}: no such video; check `videos` and `pattern`")
        with importing():
            import av
        try:
            self.container = av.open(self.path)
            return self.container.streams.video[0]
        except Exception as error:  # decoders fail in any way
            raise UserError(f"{self.path}: unreadable video ({error}); leave the row out") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()
        if error is not None and type(error).__module__.startswith("av."):
            raise UserError(f"{self.path}: unreadable video ({error}); leave the row out") from error
