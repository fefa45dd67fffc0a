"""A small model with its preprocessing."""

from functools import partial

import pytest
import torch

from onepeace_pl import OnePeace
from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig
from onepeace_pl.modalities import (
    AudioAdapter,
    AudioProcessor,
    ImageAdapter,
    ImageProcessor,
    TextAdapter,
    TextProcessor,
)
from onepeace_pl.modalities.text.tokenizer import Tokenizer

TEXTS = ["a red circle and a blue square", "two birds sing", "a dog barks in the snow", "rain on a roof"]


def make_model(**switches) -> OnePeace:
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(TEXTS * 3, 300)
    adapters = {
        "text": partial(TextAdapter, vocabulary=tokenizer.vocabulary_size, buckets=8, max_tokens=24),
        "image": partial(ImageAdapter, image_size=32, position_side=2),
        "audio": partial(AudioAdapter, channels=16, buckets=8),
    }
    backbone = Backbone(adapters, TransformerConfig("debug", **switches), DecoderConfig(depth=0))
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "bias.tables" in name:  # zero at the start, which would hide mistakes
                parameter.normal_()
    processors = {
        "text": TextProcessor(tokenizer, max_tokens=20),
        "image": ImageProcessor(32),
        "audio": AudioProcessor(max_seconds=2.0),
    }
    return OnePeace(backbone, processors)


@pytest.fixture
def model() -> OnePeace:
    return make_model()
