"""Resident synthetic batch: random rows through the processors, masks and targets of a task, prepared once.

Shapes: B rows, K token ids of a text with the end token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.labels.masks import MaskTarget
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.needs import Needs
from onepeace_pl.data.source import Row, Source
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import (
    AnySizeProcessor,
    AudioProcessor,
    ImageProcessor,
    ModalitySample,
    Processor,
    TextInput,
    TextProcessor,
)
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.modalities.text.tokenizer import END

PHOTO = (640, 480)  # pixels, of images that keep their size
FIRST_ID = 4  # of a token that is no special one


@dataclass(frozen=True)
class Lengths:
    """Lengths of synthetic rows.

    Attributes:
        tokens: Least and greatest number of token ids K of a text, uniformly distributed; typical captions by default.
        seconds: Of sound.
    """

    tokens: tuple[int, int] = (8, 22)
    seconds: float = 1.0

    def __post_init__(self) -> None:
        least, greatest = self.tokens
        if not 2 <= least <= greatest:
            raise UserError(f"tokens {least} to {greatest}: a text has 2 ids or more, its end token counted")
        if not self.seconds > 0:
            raise UserError(f"{self.seconds:g} seconds of sound must be above 0")


@dataclass(frozen=True)
class Preparation:
    """Preparation of a task's training rows.

    Attributes:
        processors: By modality; texts need no tokenizer.
        batch_size: Rows B.
        transform: Joint transform of images and their labels.
        vocabulary: Token ids; by default the fewest, which any adapter embeds.
    """

    processors: Mapping[str, Processor]
    batch_size: int
    transform: JointTransform | None = None
    vocabulary: int = FIRST_ID + 1


def resident_batch(needs: Needs, prepared: Preparation, lengths: Lengths = Lengths(), seed: int = 0) -> Batch:
    """Make a training batch of a task: seeded noise for pictures and sounds, random token ids, first classes.

    Args:
        needs: Requirements of the task.
        prepared: Preparation of its rows.
        lengths: Lengths of texts and sounds.
        seed: Random seed.

    Raises:
        UserError: A modality has no processor, or one that noise cannot be made for.
    """
    fields = needs.fields or needs.modalities
    missing = [name for name in fields if modality_of(name) not in prepared.processors]
    if missing:
        raise UserError(f"no processor for {missing[0]}; the data prepare {', '.join(prepared.processors)}")
    processors = {
        name: _without_tokenizer(prepared.processors[modality_of(name)], prepared.vocabulary, lengths)
        for name in fields
    }
    rows = PreparedRows(
        NoiseRows(processors, needs, prepared.batch_size, lengths, seed),
        processors,
        seed,
        train=True,
        read_target=needs.target,
        transform=prepared.transform,
        compare=needs.duplicates,
    )
    if prepared.transform is not None and isinstance(needs.target, ObjectsTarget):
        prepared.transform.read_objects = needs.target
    transform = None if needs.batch_transform is None else needs.batch_transform(seed)
    samples = rows.__getitems__([(0, index) for index in range(prepared.batch_size)])
    return Collator(processors, transform, needs.target)(samples)


class RandomIds(TextProcessor):
    """Text processor that draws token ids, whatever the sentence.

    Args:
        vocabulary: Number of ids.
        tokens: Least and greatest number of ids K.
    """

    def __init__(self, vocabulary: int, tokens: tuple[int, int]) -> None:
        super().__init__()
        self.vocabulary, self.tokens = vocabulary, tokens

    def __call__(
        self, raw: TextInput, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Draw ids (K,) of which each begins a word."""
        rng = rng if rng is not None else np.random.default_rng()
        length = int(rng.integers(self.tokens[0], self.tokens[1] + 1))
        ids = rng.integers(FIRST_ID, max(self.vocabulary, FIRST_ID + 1), length)
        ids[-1] = END
        return ModalitySample(torch.from_numpy(ids), length, torch.ones(length, dtype=torch.bool))


class NoiseRows(Source):
    """Rows of noise with every label that a target reader of this package takes.

    Args:
        processors: Processor of each field; the size of images and the rate of sounds are theirs.
        needs: Requirements of the task: number of values, labels.
        size: Number of rows.
        lengths: Lengths of sounds.
        seed: Random seed.
    """

    def __init__(
        self, processors: Mapping[str, Processor], needs: Needs, size: int, lengths: Lengths, seed: int
    ) -> None:
        self.modalities = tuple(processors)
        self.processors, self.needs, self.size = processors, needs, size
        self.seconds, self.seed = lengths.seconds, seed

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        """Make a row."""
        rng = np.random.default_rng([self.seed, index])
        fields = {}
        for name, processor in self.processors.items():
            count = self.needs.values.get(name)
            values = tuple(
                self._value(name, processor, rng) for _ in range(1 if count is None else count.minimum)
            )
            fields[name] = values[0] if count is None else values
        return Row(str(index), fields, self._labels(self._size()))

    def _size(self) -> tuple[int, int]:
        sizes = [p.size for p in self.processors.values() if isinstance(p, ImageProcessor)]
        return (sizes[0], sizes[0]) if sizes else PHOTO

    def _value(self, name: str, processor: Processor, rng: np.random.Generator) -> Any:
        if isinstance(processor, RandomIds):
            return f"row {rng.integers(2**62)}"
        if isinstance(processor, ImageProcessor | AnySizeProcessor):
            width, height = self._size()
            return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if isinstance(processor, AudioProcessor):
            samples = round(self.seconds * processor.rate)
            return rng.normal(0, 0.1, samples).astype(np.float32), processor.rate
        raise UserError(
            f"{name}: there is no noise for {type(processor).__name__}, only for texts, images and sounds"
        )

    def _labels(self, size: tuple[int, int]) -> dict[str, Any]:
        width, height = size
        box = (width // 4, height // 4, width // 2, height // 2)
        labels: dict[str, Any] = {"class": 0, "classes": [0], "box": box, "image_size": size}
        labels |= {"answer": 0, "answers": {0: 1.0}, "truth": True}
        if isinstance(self.needs.target, ObjectsTarget):
            corners = [box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]
            labels["objects"] = [{"class": 0, "box": box, "segmentation": [corners]}]
        if isinstance(self.needs.target, MaskTarget):
            labels["mask"] = np.zeros((height, width), dtype=np.uint8)
        return labels


def _without_tokenizer(processor: Processor, vocabulary: int, lengths: Lengths) -> Processor:
    if not isinstance(processor, TextProcessor):
        return processor
    most = lengths.tokens[1] if processor.max_tokens is None else processor.max_tokens + 1
    return RandomIds(vocabulary, (min(lengths.tokens[0], most), min(lengths.tokens[1], most)))


def in_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """Return a batch whose floating point inputs are in a dtype, for weights that are in it."""
    inputs = {
        name: replace(each, values=each.values.to(dtype)) if each.values.is_floating_point() else each
        for name, each in batch.inputs.items()
    }
    return replace(batch, inputs=inputs)


def vocabulary_of(sizes: Iterable[int | None]) -> int:
    """Return the fewest token ids of several adapters."""
    known: Sequence[int] = [size for size in sizes if size is not None]
    return min(known, default=FIRST_ID + 1)
