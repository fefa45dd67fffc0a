"""Truncated inputs, counted and warned about."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Literal, Protocol, get_args, runtime_checkable

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalitySample, RawValue

LongAudio = Literal["cut", "mean"]
"""Audio that is too long: ``cut`` it, or take the ``mean`` over the vectors of windows."""

_COUNTING = Lock()  # of all processors: one of its own could not be pickled


class Truncations:
    """Number of samples that a processor has truncated in this process.

    Attributes:
        count: So far.
    """

    def __init__(self) -> None:
        self.count = 0

    def note(self, message: str) -> None:
        """Count one; warn about the first."""
        with _COUNTING:  # items may be prepared in threads
            self.count += 1
            first = self.count == 1
        if first:
            warnings.warn(
                f"{message}; later cuts are counted in `truncations.count`, not shown", stacklevel=4
            )


@runtime_checkable
class CountsTruncations(Protocol):
    """A processor that truncates long inputs.

    Attributes:
        truncations: Their number.
    """

    truncations: Truncations


def truncation_counts(processors: Mapping[str, object]) -> dict[str, int]:
    """Return the number of inputs truncated so far in this process, by modality of processors that count them."""
    return {
        name: processor.truncations.count
        for name, processor in processors.items()
        if isinstance(processor, CountsTruncations)
    }


@runtime_checkable
class SplitsLong(Protocol):
    """A processor that can split long inputs into windows."""

    def windows(self, raw: RawValue) -> Sequence[ModalitySample]:
        """Prepare all of an input, as windows of the greatest length; one sample where it is no longer."""


def check_long_audio(long_audio: LongAudio) -> None:
    """Reject an unknown policy.

    Raises:
        UserError: Names the policies.
    """
    if long_audio not in get_args(LongAudio):
        raise UserError(f"long_audio={long_audio!r}: choose one of {', '.join(get_args(LongAudio))}")
