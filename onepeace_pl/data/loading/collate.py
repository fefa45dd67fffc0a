"""Collation of samples to a batch, in a loader worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.loading.content import stack_contents
from onepeace_pl.data.loading.dataset import Sample
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Processor

BatchTransform = Callable[[Batch], Batch]


class Collator:
    """Collate function; the processor of each modality pads and stacks its samples.

    Args:
        processors: Processors by modality.
        transform: Run on every batch; picklable. None leaves batches as they are.
        read_target: Reader of the targets, which also collates them.
    """

    def __init__(
        self,
        processors: Mapping[str, Processor],
        transform: BatchTransform | None = None,
        read_target: TargetReader | None = None,
    ) -> None:
        self.processors = dict(processors)
        self.transform = transform
        self.read_target = read_target

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Collate samples of one epoch.

        Raises:
            UserError: Every row was skipped.
        """
        skipped = [record for sample in samples for record in sample.skipped]
        kept = [sample for sample in samples if sample.fields]
        if not kept:
            raise UserError(f"not one of {len(samples)} rows can be prepared; the first: {skipped[0].reason}")
        for name in self.processors:
            _check_as_many(name, kept)
        fields = {name: [part for sample in kept for part in sample.fields[name]] for name in self.processors}
        batch = Batch(
            ids=[sample.id for sample in kept],
            indices=torch.tensor([sample.index for sample in kept]),
            epoch=kept[0].epoch,
            inputs={name: self.processors[name].collate(parts) for name, parts in fields.items()},
            lengths={name: torch.tensor([part.length for part in parts]) for name, parts in fields.items()},
            # arrays, not tensors: a worker hands over each tensor by a file descriptor of its own
            word_starts={
                name: [None if part.word_starts is None else part.word_starts.numpy() for part in parts]
                for name, parts in fields.items()
            },
            labels=[sample.labels for sample in kept],
            targets=self._targets([sample.target for sample in kept]),
            contents=stack_contents([sample.contents for sample in kept]),
            skipped=skipped,
            spare=all(sample.spare for sample in kept),
        )
        return batch if self.transform is None else self.transform(batch)

    def _targets(self, targets: Sequence[Any]) -> Any:
        return None if self.read_target is None else self.read_target.collate(targets)


def _check_as_many(name: str, samples: Sequence[Sample]) -> None:
    """Check that all rows have equally many values of a modality."""
    first = samples[0]
    for sample in samples:
        if len(sample.fields[name]) != len(first.fields[name]):
            raise UserError(
                f"row {sample.index} (id {sample.id}) has {len(sample.fields[name])} values of {name}, row "
                f"{first.index} (id {first.id}) {len(first.fields[name])}; give all rows as many"
            )
