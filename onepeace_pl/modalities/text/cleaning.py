"""Cleaning of sentences before tokenisation.

Two habits exist side by side: the data sets clean captions (`clean_caption`), the embedding interface only
makes them lower-case (`lower_case`). Both are kept, so that numbers of either can be reproduced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

_LEADING_MARKS = ",.!?*#:;~"
_RUNS_OF_BLANKS = re.compile(r"\s{2,}|\t")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_caption(text: str, max_words: int | None = None) -> str:
    """Clean a caption as the data sets do.

    Lower-case; marks at the start are stripped; a tab or a run of two and more blanks becomes one blank; line
    ends and blanks at the ends go.

    Args:
        text: The sentence.
        max_words: Keep at most so many words (parts between single blanks); None keeps all.
    """
    cleaned = _RUNS_OF_BLANKS.sub(" ", text.lower().lstrip(_LEADING_MARKS)).rstrip("\n").strip(" ")
    if max_words is None:
        return cleaned
    return " ".join(cleaned.split(" ")[:max_words])


def lower_case(text: str) -> str:
    """Make a sentence lower-case and leave everything else, as the embedding interface does."""
    return text.lower()


def well_formed(text: str) -> str:
    """Return a text that can be written as UTF-8: pairs of surrogates joined, lone ones replaced by U+FFFD.

    JSON files of captions that were cut in the middle of an emoji hold such, and arguments that are no UTF-8.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_written(text: str) -> str:
    """Leave a sentence as it is (audio question answering does not clean)."""
    return text


CLEANINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"caption": clean_caption, "lower": lower_case, "none": as_written}
)
"""The cleanings by the name that configs use."""
