"""A processor outside the package."""

from typing import Any

from onepeace_pl.modalities import ModalitySample, TextProcessor


class Shouting(TextProcessor):
    """Capital letters only."""

    def __call__(self, raw: str, **options: Any) -> ModalitySample:
        return super().__call__(raw.upper(), **options)
