"""Selection of examples in an evaluation: the worst errors, and samples of wrong and right predictions.

Shapes: B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor

from onepeace_pl.results.base import Result
from onepeace_pl.results.examples import Example, Examples
from onepeace_pl.utils.json_files import JsonObject

Described = tuple[Sequence[JsonObject], Sequence[JsonObject]]
"""Predictions of the rows of a batch, and what is true, in plain values."""


@dataclass(frozen=True)
class Judgement:
    """How wrong predictions are.

    Attributes:
        errors: (B,), the greater the worse.
        right: (B,) bool; None where there is no right and wrong, as in regression.
    """

    errors: Tensor
    right: Tensor | None = None


def judge_classes(logits: Tensor, targets: Tensor) -> Judgement:
    """Return one minus the probability of the true class, and whether that is the likeliest.

    Args:
        logits: (B, C).
        targets: (B,) class indices.
    """
    shares = logits.float().softmax(-1).gather(1, targets[:, None])[:, 0]
    return Judgement(1 - shares, logits.argmax(-1) == targets)


class ExampleSelection:
    """Keeps the examples of a set while it is evaluated: a few rows, whatever its size.

    Which ones does not depend on batches or processes: samples are drawn by the index of a row.

    Args:
        worst: Number of worst errors.
        sample: Number of other wrong predictions, and of right ones.
    """

    def __init__(self, worst: int = 8, sample: int = 4) -> None:
        self.worst, self.sample = worst, sample
        # some of the wrong ones are among the worst
        self._kept = {"worst": _Lowest(worst), "wrong": _Lowest(worst + sample), "right": _Lowest(sample)}

    def update(self, indices: Tensor, judgement: Judgement, describe: Callable[[], Described]) -> None:
        """Update with a batch.

        Args:
            indices: (B,) index of each row in its source.
            judgement: How wrong its prediction is.
            describe: Describes the rows; called only where one of them is kept.
        """
        rows = indices.tolist()
        errors = judgement.errors.detach().float().cpu().tolist()
        right = [None] * len(rows) if judgement.right is None else judgement.right.cpu().tolist()
        keys = {
            "worst": [(-error, index) for error, index in zip(errors, rows, strict=True)],
            "wrong": [_scattered(index) for index in rows],
        }
        keys["right"] = keys["wrong"]
        described: Described | None = None
        for place, index in enumerate(rows):
            # without right and wrong every row may be the worst, or in the sample
            kinds = {None: ("worst", "right"), True: ("right",), False: ("worst", "wrong")}[right[place]]
            for kind in kinds:
                key = keys[kind][place]
                if not self._kept[kind].takes(key):
                    continue
                described = describe() if described is None else described
                predictions, truths = described
                example = Example(index, predictions[place], truths[place], errors[place], right[place])
                self._kept[kind].add(key, example)

    def gather(self, result_type: type[Result], classes: Sequence[str]) -> Examples:
        """Return the examples of all processes; each must call it."""
        parts = [self._kept]
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            gathered: list[dict[str, _Lowest] | None] = [None] * dist.get_world_size()
            dist.all_gather_object(gathered, self._kept)
            parts = [part for part in gathered if part is not None]
        found = {kind: _Lowest.merged([part[kind] for part in parts]) for kind in self._kept}
        shown = {example.index for example in found["worst"]}
        left = [
            [example for example in found[kind] if example.index not in shown][: self.sample]
            for kind in ("wrong", "right")
        ]
        return Examples(result_type, classes, tuple(found["worst"]), tuple(left[0]), tuple(left[1]))


Key = tuple[float, int]


class _Lowest:
    """The examples with the lowest keys; a row that comes twice is kept once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._examples: dict[Key, Example] = {}

    def takes(self, key: Key) -> bool:
        """Whether an example with this key would be kept."""
        full = len(self._examples) >= self.most
        return key not in self._examples and (not full or key < max(self._examples))

    def add(self, key: Key, example: Example) -> None:
        """Keep an example."""
        self._examples[key] = example
        if len(self._examples) > self.most:
            del self._examples[max(self._examples)]

    @staticmethod
    def merged(parts: Sequence[_Lowest]) -> list[Example]:
        """Return the lowest of several, the lowest first."""
        examples = {key: example for part in parts for key, example in part._examples.items()}
        return [examples[key] for key in sorted(examples)][: parts[0].most]


def _scattered(index: int) -> Key:
    """Return a key that scatters indices evenly (Knuth's multiplicative hash), the same in every process."""
    return (index * 2654435761 % 2**32, index)
