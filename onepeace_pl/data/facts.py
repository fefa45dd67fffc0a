"""What only the data knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class DataFacts:
    """Facts about the data that a task or an adapter needs; plain values, saved with the model as JSON.

    Attributes:
        modalities: Modalities that are prepared.
        vocabulary_size: Rows of the token embedding; None where there is no text.
        classes: Names of classes in the order of their numbers; empty where there are none.
    """

    modalities: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    classes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(
            modalities=tuple(values["modalities"]),
            vocabulary_size=values["vocabulary_size"],
            classes=tuple(values["classes"]),
        )
