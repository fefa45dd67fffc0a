"""Prompts for zero-shot classification: sentences that name a class. Shapes: N texts, C classes, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalityInput, Processor


class Prompts(NamedTuple):
    """A batch of texts that name classes.

    Attributes:
        classes: (N,) int64, class that each text names.
        texts: The texts.
    """

    classes: Tensor
    texts: ModalityInput


def fill_templates(templates: Sequence[str], classes: Sequence[str]) -> list[tuple[int, str]]:
    """Fill each template with each class name; return the class's index with each sentence, class by class.

    Raises:
        UserError: A template has no ``{}``.
    """
    for template in templates:
        if "{}" not in template:
            raise UserError(f"prompts: {template!r} has no placeholder for the class name; write {{}} there")
    return [
        (index, template.replace("{}", name)) for index, name in enumerate(classes) for template in templates
    ]


def prompt_ensemble(vectors: Tensor, classes: Tensor, count: int) -> Tensor:
    """Average the prompts of each class: the weights of a zero-shot classifier, (C, D) unit vectors.

    Args:
        vectors: (N, D) unit vectors of the prompts.
        classes: (N,) int64, class of each.
        count: C; each has a prompt.

    Source: ``build_zero_shot_classifier`` of open_clip, which also averages embeddings, not probabilities.
    """
    sums = vectors.new_zeros(count, vectors.shape[1]).index_add_(0, classes, vectors)
    return F.normalize(sums, dim=-1)


def class_prompts(
    templates: Sequence[str], classes: Sequence[str], processor: Processor | None, batch_size: int
) -> tuple[Prompts, ...]:
    """Fill each template with each class name, in batches of similar length; empty without templates.

    Args:
        templates: Sentences with ``{}`` for the class name ("a photo of {}").
        classes: Class names in the order of their indices.
        processor: Text processor.
        batch_size: Texts of a batch.

    Raises:
        UserError: There are no classes or no text processor, or a template has no ``{}``.
    """
    if not templates:
        return ()
    if not classes or processor is None:
        missing = "processors.text" if processor is None else "classes"
        raise UserError(f"prompts need class names and a text processor; set {missing} of the data")
    samples = [(index, processor(text)) for index, text in fill_templates(templates, classes)]
    samples.sort(key=lambda sample: sample[1].length)
    batches = (samples[at : at + batch_size] for at in range(0, len(samples), batch_size))
    return tuple(
        Prompts(torch.tensor([index for index, _ in batch]), processor.collate([text for _, text in batch]))
        for batch in batches
    )
