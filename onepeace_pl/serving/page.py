"""The page of a served model, to search and classify with one's own images, sounds and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment

from onepeace_pl.serving.inputs import MODALITIES
from onepeace_pl.serving.service import Service

TEMPLATE: Final = Path(__file__).with_name("page.html")
BASE64: Final = 4 / 3  # characters of a byte
WORDS: Final = {"text": "texts", "image": "images", "audio": "sounds"}


def page(service: Service) -> str:
    """Return the page; it refers to nothing outside the server.

    Args:
        service: What answers its requests.
    """
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    modalities = [name for name in MODALITIES if name in service.model.modalities]
    return template.render(
        name=service.name,
        modalities=modalities,
        words=WORDS,
        media=[name for name in modalities if name != "text"],
        counts=None if service.index is None else service.index.counts(),
        upload_bytes=int(service.limits.upload_bytes / BASE64) - 100_000,
        characters=service.limits.characters,
        labels=service.limits.labels,
    )
