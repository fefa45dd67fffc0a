"""Log of skipped rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from onepeace_pl.data.batches import Skipped


class SkipLog:
    """Counts skipped rows, lists each once in a table, and warns about the first.

    Attributes:
        path: The table; None keeps none.
        count: Number of different rows that were skipped so far.
    """

    def __init__(self) -> None:
        self.path: Path | None = None
        self._seen: dict[str, None] = {}

    @property
    def count(self) -> int:
        """Number of different rows that were skipped so far."""
        return len(self._seen)

    @property
    def reasons(self) -> list[str]:
        """Why each of them was skipped, with its id, in the order of their occurrence."""
        return list(self._seen)

    def add(self, records: Iterable[Skipped]) -> None:
        """Log rows that are not logged yet."""
        new = {record.reason: record for record in records if record.reason not in self._seen}
        if not new:
            return
        if not self._seen:
            first = next(iter(new))
            where = f"; all are listed in {self.path}" if self.path else ""
            warnings.warn(f"skipped {first}{where}", stacklevel=3)
        self._seen |= dict.fromkeys(new)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            if not file.tell():
                file.write("index\tid\treason\n")
            for record in new.values():
                file.write(f"{record.index}\t{record.id}\t{' '.join(record.reason.split())}\n")
