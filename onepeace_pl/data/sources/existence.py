"""Fast existence checks that list each directory once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


class ExistingFiles:
    """Set of existing files: ``path in ExistingFiles()`` lists the directory of a path once."""

    def __init__(self) -> None:
        self._folders: dict[str, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(os.listdir(folder or "."))
            except (OSError, ValueError):  # no such folder, or no name of one
                self._folders[folder] = frozenset()
        return name in self._folders[folder]


def paths_of(fields: Mapping[str, object], texts: Sequence[str] = ("text",)) -> list[str]:
    """Return the paths among the raw values of a row; values of the modalities in `texts` are not paths."""

    def walk(value: object) -> list[str]:
        if isinstance(value, tuple):
            return [path for one in value for path in walk(one)]
        return [str(value)] if isinstance(value, str | os.PathLike) else []

    return [path for name, value in fields.items() if name not in texts for path in walk(value)]
