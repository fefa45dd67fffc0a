"""Search results as one HTML file that needs nothing else: images as thumbnails, audio players, scores."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from onepeace_pl.errors import UserError
from onepeace_pl.search.item import Hit, Query
from onepeace_pl.search.previews import first_seconds, thumbnail
from onepeace_pl.utils.libraries import LibraryError

HEADINGS: Final = {"image": "Images", "audio": "Sounds", "text": "Texts"}

TEMPLATE: Final = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Media:
    """What a card of the page shows.

    Attributes:
        title: Name of the file, or the text.
        image: Thumbnail as a data URI; empty for none.
        audio: Audio as a data URI; empty for none.
        problem: Why a file cannot be shown; empty where it can, or there is none.
    """

    title: str
    image: str = ""
    audio: str = ""
    problem: str = ""


def results_page(query: Query, hits: Sequence[Hit]) -> str:
    """Return the page of a query and its results, by modality; it refers to no other file or host.

    Args:
        query: What was searched for.
        hits: The results, best first.

    Raises:
        LibraryError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment
    except ModuleNotFoundError as error:
        raise LibraryError("a page of results needs jinja2: pip install 'onepeace-pl[search]'") from error
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    asked = [
        (name, media(name, "" if name == "text" else value, value)) for name, value in query.inputs.items()
    ]
    groups: dict[str, list[tuple[int, Hit, Media]]] = {}  # cards of different shapes stand apart
    for rank, hit in enumerate(hits, 1):
        card = rank, hit, media(hit.modality, hit.path, hit.text or hit.id)
        groups.setdefault(hit.modality, []).append(card)
    return template.render(query=query, asked=asked, groups=groups, count=len(hits), headings=HEADINGS)


def media(modality: str, path: str, text: str) -> Media:
    """Return what a card shows of an item.

    Args:
        modality: Its modality.
        path: Its file; empty where it has none.
        text: Its text.
    """
    title = Path(path).name if path else text
    try:
        if modality == "image" and path:
            return Media(title, image=_data_uri("image/jpeg", thumbnail(path)))
        if modality == "audio" and path:
            return Media(title, audio=_data_uri("audio/wav", first_seconds(path)))
    except UserError as error:
        return Media(title, problem=str(error))
    return Media(title)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
