"""Items to embed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from onepeace_pl.hub.calibration import joint_name
from onepeace_pl.modalities.base import RawValue

MetadataValue = str | int | float | bool

TEXT: Final = "text"


@dataclass(frozen=True)
class Item:
    """One item to embed.

    Attributes:
        id: Its key: in an index, an item of equal id replaces it.
        inputs: Modality to raw value that its processor takes: text, a path, an array. Several are fused.
        text: Text that full-text search finds it by, such as a caption; that of a text is itself.
        metadata: Further columns, for filters.
        row: Id of the table's row that it comes from; empty where it comes from none.
        error: Why it cannot be read from its source; empty where it can.
    """

    id: str
    inputs: Mapping[str, RawValue]
    text: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    row: str = ""
    error: str = ""

    @property
    def modality(self) -> str:
        """Its modality; of several ``audio+image``."""
        return joint_name(self.inputs)

    @property
    def file(self) -> str:
        """Absolute path of its first file; empty where it has none."""
        for name, value in self.inputs.items():
            if name != TEXT and isinstance(value, str | Path) and os.path.isfile(value):
                return os.path.abspath(value)
        return ""

    @property
    def path(self) -> str:
        """The same as text: bytes that are no UTF-8 are escaped."""
        return printable(self.file)

    @property
    def words(self) -> str:
        """Text of full-text search."""
        own = self.inputs.get(TEXT)
        if isinstance(own, str) and (len(self.inputs) == 1 or not self.text):
            return own
        return self.text


def printable(path: str) -> str:
    """Return a path as text that can be stored: bytes that are no UTF-8 are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
