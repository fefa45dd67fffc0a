"""Text in official checkpoints, and its adapter's presets."""

from __future__ import annotations

from typing import ClassVar

from onepeace_pl.modalities.official import (
    OfficialModality,
    Options,
    Rename,
    State,
    require,
    sequence_buckets,
)
from onepeace_pl.modalities.text.adapter import TextAdapter

_SMALL = {"vocabulary": 768, "buckets": 32, "max_tokens": 74}


class OfficialText(OfficialModality):
    """See :class:`onepeace_pl.modalities.official.OfficialModality`."""

    name = "text"
    adapter = TextAdapter
    presets: ClassVar = {"debug": _SMALL, "tiny": _SMALL, "small": _SMALL}
    encoder = (Rename(("embed_tokens.weight",), "token_table"),)

    def deduce(self, state: State, decoder: State, width: int) -> Options:
        """Return vocabulary, longest text, type embeddings and buckets."""
        options: Options = {
            "vocabulary": len(require(state, "token_table")),
            "max_tokens": len(require(state, "position_table")),
            "types": len(state.get("type_embeddings", ())),
        }
        return options | sequence_buckets(state)
