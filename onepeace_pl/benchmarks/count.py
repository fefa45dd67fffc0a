"""Counts of a training step and of an encoder call, on fake tensors: no load, no machine changes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.benchmarks.counting import Cost, LiveBytes, OpCounter, Parts, Peak, Phase, total
from onepeace_pl.benchmarks.roofline import Machine
from onepeace_pl.benchmarks.training_step import TrainingStep
from onepeace_pl.data.batches import Batch
from onepeace_pl.utils.json_files import JsonObject

_LOSSES = "losses"
_PARTS = (
    (r"backbone\.encoder\.adapters\.(\w+)", r"\1 adapter"),
    (r"backbone\.encoder\.transformer\.blocks\.\d+\.attention", "encoder attention"),
    (r"backbone\.encoder\.transformer\.blocks\.\d+\.feed_forward", "encoder feed-forward"),
    (r"backbone\.encoder", "encoder: norms, residuals, packing"),
    (r"backbone\.encoder\.projections\.\w+", "projections"),
    (r"backbone\.decoder", "decoder"),
)


def part_of(name: str) -> str | None:
    """Return the part of the model that a submodule of an experiment is; None for one inside a part."""
    for pattern, part in _PARTS:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(part)
    return None


@dataclass
class Count:
    """Counts of a call.

    Attributes:
        costs: By part and phase.
        operators: By operator.
        peak: Most live bytes.
        syncs: Host synchronisations by operator and line.
    """

    costs: dict[tuple[str, Phase], Cost]
    operators: dict[str, Cost]
    peak: Peak
    syncs: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> Cost:
        """Counts of everything."""
        return total(self.costs.values())

    def to_json(self) -> JsonObject:
        """Return plain values."""
        parts: dict[str, dict[str, dict[str, float]]] = {}
        for (part, phase), cost in self.costs.items():
            parts.setdefault(part, {})[phase] = vars(cost)
        return {
            "total": vars(self.whole),
            "parts": parts,
            "operators": {name: vars(cost) for name, cost in _by_bytes(self.operators)},
            "peak_bytes": {"total": self.peak.bytes, **self.peak.kinds},
            "host_syncs": self.syncs,
        }


def count_step(step: TrainingStep, machine: Machine | None = None) -> Count:
    """Count the second step of a training run: what the first one alone does, such as making moments, is left out.

    Args:
        step: On a fake device, whose context is entered.
        machine: Whose roofline is applied.
    """
    task, experiment = step.task, step.experiment
    heads = {f"task.{name}" for name, child in task.named_children() if any(True for _ in child.parameters())}
    parts = Parts(experiment, lambda name: "head" if name in heads else part_of(name), _LOSSES)
    step()
    counter = OpCounter(machine, parts)
    memory = counter.memory
    memory.add(experiment.parameters(), "parameters")
    memory.add(experiment.buffers(), "parameters")
    state = step.optimizer.state.values()
    memory.add((t for each in state for t in each.values() if isinstance(t, Tensor)), "optimizer state")
    memory.add(_values(step.batch), "batch")
    handles = [
        parameter.register_post_accumulate_grad_hook(partial(_is_gradient, memory))  # type: ignore[no-untyped-call]
        for parameter in experiment.parameters()
        if parameter.requires_grad
    ]
    try:
        with counter:
            loss = step.forward()
            start = torch.ones_like(loss)
            with counter.during("backward"):
                torch.autograd.backward(loss, start)
            del loss
            with counter.during("update"):
                step.update()
    finally:
        parts.remove()
        for handle in handles:
            handle.remove()
    return Count(dict(counter.costs), dict(counter.operators), memory.peak, dict(counter.syncs))


def _is_gradient(memory: LiveBytes, parameter: Tensor) -> None:
    assert parameter.grad is not None
    memory.reclassify([parameter.grad], "gradients")


def _values(batch: Batch) -> list[Tensor]:
    """Return the inputs of a batch."""
    return [each.values for each in batch.inputs.values()]


class _Encoder(nn.Module):
    """A backbone under the name that it has in an experiment."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone


@torch.no_grad()
def count_encode(backbone: Backbone, batch: Batch, machine: Machine | None = None) -> Count:
    """Count the second call that embeds a batch, of several modalities as one vector.

    Args:
        backbone: On a fake device, whose context is entered.
        batch: On the same, in the backbone's dtype.
        machine: Whose roofline is applied.
    """
    inputs = batch.inputs
    parts = Parts(_Encoder(backbone.eval()), part_of, "fusion")
    backbone.embed_fused(inputs)
    counter = OpCounter(machine, parts)
    counter.memory.add(backbone.parameters(), "parameters")
    counter.memory.add(_values(batch), "batch")
    try:
        with counter:
            backbone.embed_fused(inputs)
    finally:
        parts.remove()
    return Count(dict(counter.costs), dict(counter.operators), counter.memory.peak, dict(counter.syncs))


def table(count: Count, rows: int) -> Iterator[str]:
    """Yield the lines of Markdown tables: by part, memory, synchronisations.

    Args:
        count: The counts.
        rows: Rows of the batch, for FLOPs and bytes of one.
    """
    timed = count.whole.seconds > 0
    heads = ["part", "phase", "GFLOP", "GB moved", "kernels", *(["roofline, ms"] if timed else [])]
    yield f"| {' | '.join(heads)} |"
    yield "|---|---|" + "---:|" * (len(heads) - 2)
    for (part, phase), cost in sorted(count.costs.items(), key=lambda item: _order(*item[0])):
        yield _row(part, phase, cost, timed)
    yield _row("all", "", count.whole, timed)
    yield _row("a row of the batch", "", _share(count.whole, rows), timed)
    yield ""
    kinds = ", ".join(f"{kind} {size / 2**20:,.1f}" for kind, size in count.peak.kinds.items() if size)
    yield f"peak of live memory: {count.peak.bytes / 2**20:,.1f} MiB ({kinds})"
    waits = ", ".join(f"{number} x {place}" for place, number in count.syncs.items())
    yield f"host synchronisations: {sum(count.syncs.values())}{' (' + waits + ')' if waits else ''}"


def _order(part: str, phase: str) -> tuple[int, str]:
    return ("forward", "backward", "update").index(phase), part


def _row(part: str, phase: str, cost: Cost, timed: bool) -> str:
    cells = [part, phase, f"{cost.flops / 1e9:,.3f}", f"{cost.bytes / 1e9:,.3f}", f"{cost.kernels:,}"]
    return f"| {' | '.join([*cells, *([f'{cost.seconds * 1e3:,.3f}'] if timed else [])])} |"


def _share(cost: Cost, rows: int) -> Cost:
    return Cost(
        round(cost.flops / rows), round(cost.bytes / rows), round(cost.kernels / rows), cost.seconds / rows
    )


def _by_bytes(operators: dict[str, Cost]) -> Iterable[tuple[str, Cost]]:
    return sorted(operators.items(), key=lambda item: -item[1].bytes)
