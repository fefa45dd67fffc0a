"""Counter of FLOPs, memory traffic, kernels, live bytes and host synchronisations of PyTorch code.

It sees every operator that PyTorch dispatches, on real and on fake tensors alike: counts depend on shapes and dtypes,
never on the load of a machine.
"""

from __future__ import annotations

import sys
import weakref
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from onepeace_pl.benchmarks.roofline import Machine

Phase = Literal["forward", "backward", "update"]
"""What activation checkpointing computes again is part of ``backward``."""

Kind = Literal["parameters", "gradients", "optimizer state", "batch", "activations"]
"""Use of live memory; ``activations`` is everything else, temporary tensors included."""

_ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "set_", "resize_"}
_WRITERS = {
    "copy_",
    "fill_",
    "zero_",
    "bernoulli_",
    "uniform_",
    "normal_",
    "random_",
}  # never read what they fill
_GATHERS = {"embedding", "index", "index_select", "gather", "take"}  # read only the rows that they return
_SCATTERS = {"index_put_", "_index_put_impl_", "index_add_", "index_copy_", "scatter_", "scatter_add_"}
_READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "is_nonzero"}
_PACKAGE = Path(__file__).parents[1]


@dataclass
class Cost:
    """Counts of some operators.

    Attributes:
        flops: Of matrix products, convolutions and attention, two for a multiplication and an addition.
        bytes: Read and written by every operator that is no view.
        kernels: Number of these operators; a fused one, and one over a list of tensors, counts once.
        seconds: Roofline: sum over operators of the longer one of computing and of moving; 0 without a machine.
    """

    flops: int = 0
    bytes: int = 0
    kernels: int = 0
    seconds: float = 0.0

    def add(self, other: Cost) -> None:
        """Add another cost in place."""
        self.flops += other.flops
        self.bytes += other.bytes
        self.kernels += other.kernels
        self.seconds += other.seconds


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs."""
    whole = Cost()
    for cost in costs:
        whole.add(cost)
    return whole


class Parts:
    """Tracker of the part of a model that an operator belongs to, in the forward and in the backward pass.

    In the backward pass a node of the graph belongs to the part that was running when the node was made, which its
    sequence number tells.

    Args:
        model: The model.
        part_of: Name of a submodule -> its part, or None where it is the part of what contains it.
        outside: Part of operators outside any part.
    """

    def __init__(self, model: nn.Module, part_of: Callable[[str], str | None], outside: str) -> None:
        self.outside, self.stack = outside, [outside]
        self._numbers: list[int] = [0]
        self._names: list[str] = [outside]
        self._owners: dict[int, str] = {}
        self._handles = []
        for prefix, module in model.named_modules():
            part = part_of(prefix)
            if part is not None:
                self._handles.append(module.register_forward_pre_hook(partial(self._enter, part)))
                self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        for name, parameter in model.named_parameters():
            steps = name.split(".")
            owners = (part_of(".".join(steps[:count])) for count in range(len(steps), 0, -1))
            self._owners[id(parameter)] = next((part for part in owners if part), outside)

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def current(self) -> str:
        """Return the part of the operator that runs."""
        if len(self.stack) > 1:
            return self.stack[-1]
        node: Any = torch._C._current_autograd_node()
        if node is None:
            return self.stack[-1]
        number = node._sequence_nr()
        if number > sys.maxsize:  # accumulation of the gradient of a parameter
            return self._owners.get(id(node.variable), self.outside)
        return self._names[bisect_right(self._numbers, number) - 1]

    def _enter(self, part: str, module: nn.Module, args: object) -> None:
        self.stack.append(part)
        self._mark()

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        self.stack.pop()
        self._mark()

    def _mark(self) -> None:
        self._numbers.append(torch._C._autograd._get_sequence_nr())
        self._names.append(self.stack[-1])


@dataclass
class Peak:
    """Live bytes at the moment when they are most.

    Attributes:
        bytes: Their sum.
        kinds: Bytes of each use.
    """

    bytes: int = 0
    kinds: dict[Kind, int] = field(default_factory=dict)


class LiveBytes:
    """Live tensor storage by use, and its peak."""

    def __init__(self) -> None:
        self.peak = Peak()
        self.kinds: dict[Kind, int] = defaultdict(int)
        self._alive: dict[int, tuple[weakref.ref[torch.UntypedStorage], int, Kind]] = {}

    def add(self, tensors: Iterable[Tensor], kind: Kind = "activations") -> None:
        """Add the storage of tensors that are not known yet; those known keep their kind."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._alive:
                size = storage.nbytes()
                self._alive[key] = weakref.ref(storage, partial(self._free, key)), size, kind
                self.kinds[kind] += size
        now = sum(self.kinds.values())
        if now > self.peak.bytes:
            self.peak = Peak(now, dict(self.kinds))

    def reclassify(self, tensors: Iterable[Tensor], kind: Kind) -> None:
        """Give the storage of tensors another kind."""
        for tensor in tensors:
            key = tensor.untyped_storage()._cdata
            if key in self._alive:
                reference, size, before = self._alive[key]
                self._alive[key] = reference, size, kind
                self.kinds[before] -= size
                self.kinds[kind] += size
            else:
                self.add([tensor], kind)

    def _free(self, key: int, _: object) -> None:
        _, size, kind = self._alive.pop(key)
        self.kinds[kind] -= size


class OpCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counter of all operators while it is active.

    Args:
        machine: Whose roofline is applied; None for none.
        parts: Tracker of the parts of a model; None counts everything as one.

    Attributes:
        costs: By part and phase.
        operators: By operator, such as ``addmm``.
        syncs: Number of host synchronisations by operator and line of this package, such as ``_local_scalar_dense at
            optim/finite.py:61``. Only tensors that are not on the CPU make the host wait.
        memory: Live bytes.
        phase: Phase of what runs now.
    """

    def __init__(self, machine: Machine | None = None, parts: Parts | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.machine, self.parts = machine, parts
        self.costs: dict[tuple[str, Phase], Cost] = defaultdict(Cost)
        self.operators: dict[str, Cost] = defaultdict(Cost)
        self.syncs: dict[str, int] = defaultdict(int)
        self.memory = LiveBytes()
        self.phase: Phase = "forward"

    @contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        """Count as a phase."""
        before, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = before

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not torch.ops.prim.device.default and func._overloadpacket not in flop_registry:
            with self:  # under inference mode operators arrive whole
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        tensors = _tensors(out)
        if not tensors and func._schema.name.partition("::")[0] == "prim":
            return out
        self._count(func, args, kwargs, out)
        self.memory.add(tensors)
        return out

    def _count(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        name = func._schema.name.partition("::")[2]
        if _waits(name, args, kwargs, out):
            self.syncs[f"{name} at {_place()}"] += 1
        if func.is_view or name in _ALLOCATIONS or name in ("_unsafe_view", "_local_scalar_dense"):
            return
        cost = Cost(_flops(func, args, kwargs, out), _traffic(name, func, args, kwargs, out), 1)
        if self.machine is not None:
            dtypes = [t.dtype for t in _tensors((args, kwargs)) if t.is_floating_point()]
            cost.seconds = self.machine.seconds(cost.flops, cost.bytes, dtypes)
        part = "all" if self.parts is None else self.parts.current()
        if self.phase == "update":
            part = "optimizer"
        self.costs[part, self.phase].add(cost)
        self.operators[name].add(cost)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _flops(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> int:
    packet = func._overloadpacket
    if packet == torch.ops.aten.addmm_:
        packet = torch.ops.aten.addmm
    if packet == torch.ops.aten.convolution_backward and args[9] > 1:
        # PyTorch's formula counts every group as if it saw all channels
        grad, _, weight, mask = *args[:3], args[10]
        return 2 * int(grad.numel()) * int(weight[0].numel()) * sum(map(bool, mask[:2]))
    formula = flop_registry.get(packet)
    return 0 if formula is None else int(formula(*args, **kwargs, out_val=out))


def _traffic(name: str, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> int:
    """Return the bytes of inputs and outputs; ``out=`` and what is only filled are not read."""
    written = _tensors(out)
    if name in _SCATTERS:
        return 2 * sum(map(_size, _tensors(args[1:])))
    read = [t for key, value in kwargs.items() if not _is_out(func, key) for t in _tensors(value)]
    read += _tensors(args[1:] if name in _WRITERS else args)
    if name in _GATHERS:
        return 2 * sum(map(_size, written)) + sum(map(_size, read[1:]))
    return sum(map(_size, read)) + sum(map(_size, written))


def _is_out(func: Any, key: str) -> bool:
    return any(argument.name == key and argument.is_out for argument in func._schema.arguments)


def _size(tensor: Tensor) -> int:
    """Return the bytes of a tensor that differ: an expanded axis is read once."""
    count = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= int(length) if stride else min(int(length), 1)
    return count


def _waits(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> bool:
    """Return whether the host waits for a device: it reads a value, or copies without ``non_blocking``."""
    inputs = _tensors((args, kwargs))
    away = any(tensor.device.type != "cpu" for tensor in inputs)
    if name in _READS:
        return away
    if name in ("index", "index_put_", "_index_put_impl_", "index_put"):
        return away and any(t.dtype in (torch.bool, torch.uint8) for t in _tensors(args[1]))
    if name in ("_to_copy", "copy_"):
        places = {tensor.device.type == "cpu" for tensor in (*inputs, *_tensors(out))}
        blocking = not kwargs.get("non_blocking", False) and not (name == "copy_" and args[2:3] == [True])
        return len(places) > 1 and blocking
    return False


def _place() -> str:
    """Return the line of this package that runs, outside the benchmarks."""
    frame = sys._getframe()
    here = Path(__file__).parent
    while frame.f_back is not None:
        frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE) and not path.is_relative_to(here):
            return f"{path.relative_to(_PACKAGE)}:{frame.f_lineno}"
    return "another package"
