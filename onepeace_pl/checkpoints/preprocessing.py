"""The preprocessing of the released models, where a checkpoint does not contain its own."""

from __future__ import annotations

from collections.abc import Iterable

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer, Tokenizer


def released_processors(backbone: Backbone, tokenizer: Tokenizer | None) -> dict[str, Processor]:
    """Return the processors of the original's embedding interface, sized for a backbone.

    Args:
        backbone: The model; a modality whose adapter has no default processor gets none.
        tokenizer: For processors that have one; None leaves it open.
    """
    adapters = {name: backbone.encoder.adapter(name) for name in backbone.modalities}
    defaults = {name: adapter.default_processor() for name, adapter in adapters.items()}
    processors = {name: processor for name, processor in defaults.items() if processor is not None}
    set_tokenizer(processors.values(), tokenizer)
    return processors


def set_tokenizer(processors: Iterable[object], tokenizer: Tokenizer | None) -> None:
    """Give a tokenizer to all processors that have one; None leaves them as they are."""
    for processor in processors:
        if tokenizer is not None and isinstance(processor, HasTokenizer):
            processor.tokenizer = tokenizer
