"""Dataset of prepared samples: a loader worker reads rows of a source and applies the processors."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch.utils.data import Dataset

from onepeace_pl.data.batches import Skipped
from onepeace_pl.data.labels.targets import Target, TargetReader
from onepeace_pl.data.loading.content import content_of
from onepeace_pl.data.source import Frames, Labels, Row, Source, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor
from onepeace_pl.modalities.base import ModalitySample, Processor, RawValue
from onepeace_pl.modalities.image.decoding import open_image

OnError = Literal["raise", "skip"]
_MOST_REPLACEMENTS = 100


class RowTransform(Protocol):
    """Transform of a row, before its labels are read and its fields prepared. Picklable."""

    def __call__(self, row: Row, *, train: bool, rng: np.random.Generator) -> Row:
        """Return the changed row; ``rng`` feeds whatever is random in training."""


@dataclass
class Sample:
    """One prepared row.

    Attributes:
        epoch: Epoch it was prepared for.
        index: Number of the row in its source.
        id: Id of the row.
        fields: Samples by modality, one or several; empty if an evaluation row was skipped.
        labels: Labels of the source.
        skipped: Rows that were left out before this one was found.
        target: What the task reads of the labels, in arrays; None where it reads none.
        contents: Content digests by modality; empty if they are not compared.
        spare: Replaces a batch of which no row could be prepared; another batch has it, too.
    """

    epoch: int
    index: int
    id: str
    fields: dict[str, list[ModalitySample]]
    labels: Labels = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    target: Target = None
    contents: Mapping[str, int] = field(default_factory=dict)
    spare: bool = False


class PreparedRows(Dataset[Sample]):
    """Dataset of prepared rows. Keys are (epoch, index): random draws depend on (seed, epoch, index) alone.

    Args:
        source: Source of the rows.
        processors: Processors by modality; other modalities are not loaded.
        seed: Seed of everything random in preparing.
        train: Prepare as in training.
        on_error: "raise" stops at a row that cannot be prepared. "skip" leaves it out: in training another
            row, drawn from (seed, epoch, index), takes its place, so that batches stay equal; outside
            training nothing does, but a batch of which nothing is left gets a row of another one: no process may
            stay behind where all compute together.
        read_target: Reads the target of a row from its labels; a row with an invalid one cannot be prepared.
        transform: Changes an image together with its labels, before anything else is done; None changes nothing.
        compare: Also compute content digests, by which duplicate items are recognised.
    """

    def __init__(
        self,
        source: Source,
        processors: Mapping[str, Processor],
        seed: int = 0,
        train: bool = False,
        on_error: OnError = "raise",
        read_target: TargetReader | None = None,
        transform: RowTransform | None = None,
        compare: bool = False,
    ) -> None:
        self.source = source
        self.processors = dict(processors)
        self.seed = seed
        self.train = train
        self.on_error = on_error
        self.read_target = read_target
        self.transform = transform
        self.compare = compare

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Prepare the row of (epoch, index).

        Raises:
            UserError: If it cannot be prepared and `on_error` is "raise", or nothing to replace it is found.
        """
        epoch, index = key
        skipped: list[Skipped] = []
        for candidate in self._candidates(epoch, index):
            outcome = self._prepare(epoch, candidate)
            if isinstance(outcome, Sample):
                outcome.skipped = skipped
                return outcome
            if self.on_error == "raise":
                raise UserError(f"{outcome.reason} (on_error: skip leaves such rows out)")
            skipped.append(outcome)
        if not self.train:
            return Sample(epoch, index, skipped[0].id, {}, skipped=skipped)
        raise UserError(f"{len(skipped)} rows in a row cannot be prepared; the first: {skipped[0].reason}")

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> list[Sample]:
        """Prepare the rows of a batch.

        Raises:
            UserError: As `__getitem__`, or no row of the whole source can be prepared.
        """
        samples = [self[key] for key in keys]
        if any(sample.fields for sample in samples):
            return samples
        epoch, last = keys[-1]
        for number in range(last + 1, last + len(self)):
            spare = self[epoch, number % len(self)]
            if spare.fields:
                return [*samples, replace(spare, spare=True)]
        raise UserError(
            f"not one of {len(self)} rows can be prepared; the first: {samples[0].skipped[0].reason}"
        )

    def _candidates(self, epoch: int, index: int) -> Sequence[int]:
        if not self.train or self.on_error == "raise":
            return [index]
        rng = np.random.default_rng([self.seed, epoch, index])
        return [index, *rng.integers(len(self.source), size=_MOST_REPLACEMENTS).tolist()]

    def _prepare(self, epoch: int, index: int) -> Sample | Skipped:
        row: Row | None = None
        place = f"row {index}"
        try:
            row = self.source.training_row(index, epoch) if self.train else self.source[index]
            place = f"row {index} (id {row.id})"
            if self.transform is not None:
                rng = np.random.default_rng([self.seed, epoch, index])
                row = self.transform(row, train=self.train, rng=rng)
            target = None if self.read_target is None else self.read_target(row.labels)
            fields = {}
            for name, processor in self.processors.items():
                if row.fields.get(name) is None:
                    raise UserError(f"no {name}; the row has {', '.join(row.fields) or 'nothing'}")
                values = _as_labelled(processor, row.fields[name], row.labels)
                # A generator for each modality: one more modality does not change what the others draw.
                key = [self.seed, epoch, index, zlib.crc32(name.encode())]
                fields[name] = [
                    processor(raw, train=self.train, rng=np.random.default_rng([*key, *part]))
                    for raw, part in _parts(values)
                ]
            contents = {
                name: content_of(row.fields[name], samples, self.train)
                for name, samples in (fields.items() if self.compare else ())
            }
        except (ValueError, TypeError, OSError) as error:
            reason = f"{place}: {' '.join(str(error).split())}"
            return Skipped(index, row.id if row is not None else "", reason)
        return Sample(epoch, index, row.id, fields, row.labels, target=target, contents=contents)


def _as_labelled(processor: Processor, raw: RawValue, labels: Labels) -> RawValue:
    """Return a field's raw value; an image with a box is rotated according to the image size in its labels."""
    opens_images = isinstance(processor, ImageProcessor | AnySizeProcessor)
    if opens_images and "box" in labels and isinstance(raw, str | Path | bytes):
        return open_image(raw, labels.get("image_size"))
    return raw


def _parts(raw: object) -> Iterator[tuple[RawValue, list[int]]]:
    """Yield the values of a field with their random keys; frames of a clip share one."""
    values = values_of(raw)
    if not values:
        raise UserError("a field of several values has none; leave the row out")
    draw_apart = values is raw and not isinstance(raw, Frames)
    for number, value in enumerate(values):
        yield value, [number] if draw_apart else []
