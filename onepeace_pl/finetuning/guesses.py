"""Guessed options of a config, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Guess:
    """A guessed option.

    Attributes:
        name: What was guessed.
        value: The value, as text.
        reason: Where it comes from.
        flag: Option of the command line that overrides it; empty where there is none.
    """

    name: str
    value: str
    reason: str
    flag: str = ""


class Guesses:
    """Guesses in the order in which they were made."""

    def __init__(self) -> None:
        self._made: list[Guess] = []

    def add(self, name: str, value: object, reason: str, flag: str = "") -> None:
        """Add a guess; where the command line gives the value, the reason is the option."""
        self._made.append(Guess(name, str(value), reason, flag))

    def __iter__(self) -> Iterator[Guess]:
        return iter(self._made)

    def lines(self) -> list[str]:
        """Return a table: name, value, reason and option of each."""
        names = max(len(each.name) for each in self._made)
        values = min(max(len(each.value) for each in self._made), 40)
        lines = []
        for each in self._made:
            flag = f" ({each.flag})" if each.flag and not each.reason.endswith(each.flag) else ""
            lines.append(f"{each.name:{names}}  {each.value:{values}}  {each.reason}{flag}")
        return lines
