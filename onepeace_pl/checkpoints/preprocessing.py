"""The preprocessing of the released models, where a checkpoint does not say its own."""

from __future__ import annotations

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import (
    AudioAdapter,
    AudioProcessor,
    ImageAdapter,
    ImageProcessor,
    Processor,
    TextAdapter,
    TextProcessor,
)
from onepeace_pl.modalities.text.tokenizer import Tokenizer

MAX_TOKENS = 70


def released_processors(backbone: Backbone, tokenizer: Tokenizer | None) -> dict[str, Processor]:
    """Return what the original's embedding interface does, sized for ``backbone`` (spec: model, section 13).

    Args:
        backbone: The model; modalities that are not the paper's get no processor.
        tokenizer: For text; without one a folder says that it is missing.
    """
    made: dict[str, Processor] = {}
    for name in backbone.modalities:
        adapter = backbone.encoder.adapter(name)
        if isinstance(adapter, TextAdapter):
            most = min(MAX_TOKENS, (adapter.max_tokens or MAX_TOKENS + 2) - 2)  # summary and end token
            made[name] = TextProcessor(tokenizer, most, cleaning="lower")
        elif isinstance(adapter, ImageAdapter):
            made[name] = ImageProcessor(adapter.image_size)
        elif isinstance(adapter, AudioAdapter):
            made[name] = AudioProcessor()
    return made
