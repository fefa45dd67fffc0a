"""Limits of what one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from onepeace_pl.errors import UserError


@dataclass(frozen=True)
class Limits:
    """Limits of requests.

    Attributes:
        upload_bytes: Size of a request's body.
        inputs: Inputs of a request.
        seconds: Time to send a request, and time until it is answered.
        waiting: Requests that wait while the model is busy; more are refused.
        pixels: Pixels of an image.
        audio_seconds: Length of audio.
        characters: Characters of a text.
        labels: Labels of zero-shot classification.
        results: Search results.
    """

    upload_bytes: int = 32_000_000
    inputs: int = 64
    seconds: float = 60.0
    waiting: int = 8
    pixels: int = 64_000_000
    audio_seconds: float = 600.0
    characters: int = 10_000
    labels: int = 100
    results: int = 100

    def __post_init__(self) -> None:
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if value <= 0 and not (name == "waiting" and value == 0):
                raise UserError(f"limits: {name}={value} must be above 0")
