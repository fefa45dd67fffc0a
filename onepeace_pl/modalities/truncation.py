"""Truncated inputs, counted and warned about."""

from __future__ import annotations

import warnings
from typing import Protocol, runtime_checkable


class Truncations:
    """Number of samples that a processor has truncated in this process.

    Attributes:
        count: So far.
    """

    def __init__(self) -> None:
        self.count = 0

    def note(self, message: str) -> None:
        """Count one; warn about the first."""
        self.count += 1
        if self.count == 1:
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
