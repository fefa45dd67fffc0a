"""Files of search results under names that cannot be guessed: no other file is served, and no path is told."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from onepeace_pl.search import Hit
from onepeace_pl.serving.media_types import HEAD, SHOWN_BY_BROWSERS, media_type

MOST: Final = 10_000
"""Files that are remembered; of more, those of the oldest results are forgotten."""


@dataclass(frozen=True)
class SharedFile:
    """A file of a result.

    Attributes:
        path: Where it is.
        modality: Modality of its row.
        media_type: Its type, where browsers show it as it is; else None.
    """

    path: str
    modality: str
    media_type: str | None


class SharedFiles:
    """Files that results have referred to. Used by one thread at a time to add, by any to find."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._files: OrderedDict[str, SharedFile] = OrderedDict()

    def add(self, hit: Hit) -> str | None:
        """Return the name of a result's file; None where it has none of an image or audio that can be read."""
        if hit.modality not in ("image", "audio") or not hit.path:
            return None
        try:
            with open(hit.path, "rb") as file:
                kind = media_type(file.read(HEAD))
        except OSError:
            return None
        name = blake2b(hit.path.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).hexdigest()
        is_shown = kind in SHOWN_BY_BROWSERS and kind.startswith(f"{hit.modality}/")
        self._files[name] = SharedFile(hit.path, hit.modality, kind if is_shown else None)
        self._files.move_to_end(name)
        while len(self._files) > MOST:
            self._files.popitem(last=False)
        return name

    def find(self, name: str) -> SharedFile | None:
        """Return the file of a name; None for any other."""
        return self._files.get(name)
