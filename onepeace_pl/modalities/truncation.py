"""Nothing is cut in silence: cuts are counted and the first one is warned about."""

from __future__ import annotations

import warnings


class Truncations:
    """Counts what a processor cut in this process.

    Attributes:
        count: Number of samples that were cut so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def note(self, what: str) -> None:
        """Count a cut; warn about the first of this process, which stands for all."""
        self.count += 1
        if self.count == 1:
            warnings.warn(f"{what}; later cuts are counted in `truncations.count`, not shown", stacklevel=4)
