"""Prompts for zero-shot classification: sentences that name a class. Shapes: N texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
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
    for template in templates:
        if "{}" not in template:
            raise UserError(f"prompts: {template!r} has no placeholder for the class name; write {{}} there")
    samples = [
        (index, processor(template.replace("{}", name)))
        for index, name in enumerate(classes)
        for template in templates
    ]
    samples.sort(key=lambda sample: sample[1].length)
    batches = (samples[at : at + batch_size] for at in range(0, len(samples), batch_size))
    return tuple(
        Prompts(torch.tensor([index for index, _ in batch]), processor.collate([text for _, text in batch]))
        for batch in batches
    )
