"""Images in official checkpoints, and their adapter's presets."""

from __future__ import annotations

import math
from typing import ClassVar

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.adapter import PATCH, ImageAdapter
from onepeace_pl.modalities.official import OfficialModality, Options, Rename, State, require

_POSITIONS = Rename(("pos_embed",), "position_table")
_SMALL = {"image_size": 64, "position_side": 4}


class OfficialImage(OfficialModality):
    """See :class:`onepeace_pl.modalities.official.OfficialModality`."""

    name = "image"
    adapter = ImageAdapter
    presets: ClassVar = {
        "debug": _SMALL,
        "tiny": {"image_size": 48, "position_side": 3},  # the quickstart's images
        "small": _SMALL,
    }
    encoder = (
        _POSITIONS,
        Rename(("embed_images.weight",), "patches.weight"),
        *(Rename((f"embed_images.{n}.{{x}}",), f"patches.{n}.{{x}}") for n in (0, 3, 6)),
        *(Rename((f"embed_images.{n}.layer_norm.{{x}}",), f"patches.{n}.{{x}}") for n in (1, 4)),
    )
    decoder = (_POSITIONS,)

    def deduce(self, state: State, decoder: State, width: int) -> Options:
        """Return image size, side of the position grid, patch stem and type embeddings."""
        rows = len(require(state, "position_table"))
        side = position_side = math.isqrt(rows - 1)
        if side * side + 1 != rows:
            raise UserError(f"{rows} rows of pos_embed are no square grid and a CLS token")
        if "bias.tables.0" in state:
            rows = len(state["bias.tables.0"])
            span = math.isqrt(max(rows - 3, 0))
            side = (span + 1) // 2
            if span * span + 3 != rows or span % 2 == 0:
                raise UserError(f"an image table of {rows} rows belongs to no grid of patches")
        return {
            "image_size": side * PATCH,
            "position_side": position_side,
            "patch_stem": "linear" if "patches.weight" in state else "hmlp",
            "types": len(state.get("type_embeddings", ())),
        }
