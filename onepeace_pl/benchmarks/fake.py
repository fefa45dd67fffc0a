"""Fake device: code runs with shapes and dtypes alone, on a CPU or on an accelerator that need not be there.

Integer and boolean tensors (indices, masks, lengths) also have values, so that what depends on them is as in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from onepeace_pl.errors import UserError

aten = torch.ops.aten
_LARGEST = 2**16  # elements of a floating point tensor whose values are kept
_FILLED = {
    "new_zeros",
    "new_ones",
    "new_full",
    "zeros_like",
    "ones_like",
    "full_like",
}  # values of their input are not read
_ALIGNED = 8  # elements: PyTorch pads attention masks to a multiple of it


class FakeDevice:
    """Context in which tensors are fake, those of accelerators (``cuda``) too, whether there is one or not.

    Attention on an accelerator is PyTorch's memory-efficient kernel, which has a gradient for the bias. The context can
    be left and entered again.
    """

    def __init__(self) -> None:
        self._modes = (FakeTensorMode(allow_non_fake_inputs=True), _KnownValues(), _FakeFunctions())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # autocast asks for a device that can do it
            stack.enter_context(patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False))
            stack.enter_context(patch("torch.cuda.is_bf16_supported", lambda *_, **__: True))
            for module in ("utils._foreach_utils", "optim.optimizer"):  # gradient clipping, optimisers
                types = [torch.Tensor, nn.Parameter, FakeTensor]
                stack.enter_context(patch(f"torch.{module}._foreach_supported_types", types))
            for mode in self._modes:
                stack.enter_context(mode)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()


def materialise(module: nn.Module, device: str) -> None:
    """Give a module on the meta device fake parameters and buffers on a device, in place, within the context."""
    made: dict[int, nn.Parameter] = {}  # a parameter may belong to two modules
    for owner in module.modules():
        for name, old in list(owner.named_parameters(recurse=False)):
            if id(old) not in made:
                new = torch.empty(old.shape, dtype=old.dtype, device=device)
                made[id(old)] = nn.Parameter(new, old.requires_grad)
            owner.register_parameter(name, made[id(old)])
        for name, buffer in list(owner.named_buffers(recurse=False)):
            owner.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype, device=device))


class _KnownValues(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes small tensors for real beside fake ones, where all their inputs have values."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values: Any = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        known = func._overloadpacket.__name__ in _FILLED or all(
            not isinstance(t, FakeTensor) or t in self.values for t in tensors
        )
        if func is aten._local_scalar_dense.default:
            return self._read(func, args)
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            args = [args[0], [self._without_bools(index) for index in args[1]], *args[2:]]
        if torch.Tag.dynamic_output_shape in func.tags and func is not aten.index.Tensor:
            return self._of_value(func, args, kwargs, known)
        out = func(*args, **kwargs)
        outputs = [t for t in tree_leaves(out) if isinstance(t, FakeTensor)]
        written = _written(func, args, kwargs)  # a list of tensors is changed without an output
        if known and (outputs or written) and self._worth(func, [*outputs, *written]):
            self._keep(out, self._real(func, args, kwargs))
        else:
            for tensor in written:
                self.values.pop(tensor, None)
        return out

    def _worth(self, func: Any, outputs: Sequence[Tensor]) -> bool:
        name = func._schema.name.partition("::")[2]
        if "empty" in name or (torch.Tag.nondeterministic_seeded in func.tags and "perm" not in name):
            return False
        return all(not t.is_floating_point() or t.numel() <= _LARGEST for t in outputs)

    def _read(self, func: Any, args: Sequence[Any]) -> Any:
        tensor = args[0]
        if not isinstance(tensor, FakeTensor) or tensor in self.values:
            return self._real(func, args, {})
        if tensor.constant is not None:
            return func(tensor)
        if tensor.dtype == torch.bool:  # what a step asks of a value that it computes: is it finite?
            return True
        raise UserError(
            "a value that the model computes is read, which fake tensors lack; it cannot be counted"
        )

    def _of_value(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], known: bool) -> Any:
        if not known:
            raise UserError(
                f"{func._schema.name} depends on values that the model computes, which fake tensors lack; this step "
                "cannot be counted"
            )
        device = next(t.device for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor))
        real = self._real(func, args, kwargs)
        out = tree_map(
            lambda t: torch.empty_like(t, device=device) if isinstance(t, Tensor) else t,
            real,
        )
        self._keep(out, real)
        return out

    def _without_bools(self, index: Tensor | None) -> Tensor | None:
        if index is None or index.dtype not in (torch.bool, torch.uint8):
            return index
        if index.dim() != 1:
            raise UserError("an index of two-dimensional masks cannot be counted; index by integers")
        return torch.nonzero(index).squeeze(1)

    def _real(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        def value(x: Any) -> Any:
            if isinstance(x, FakeTensor):
                return self.values[x] if x in self.values else torch.empty((), dtype=x.dtype).expand(x.shape)
            return torch.device("cpu") if isinstance(x, torch.device) else x

        with unset_fake_temporarily():
            return func(*tree_map(value, list(args)), **tree_map(value, dict(kwargs)))

    def _keep(self, out: Any, real: Any) -> None:
        for fake, value in zip(tree_leaves(out), tree_leaves(real), strict=True):
            if isinstance(fake, FakeTensor):
                self.values[fake] = value


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the arguments that an operator changes."""
    values = [
        args[place] if place < len(args) else kwargs.get(argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return [t for t in tree_leaves(values) if isinstance(t, FakeTensor)]


class _FakeFunctions(TorchFunctionMode):
    """Functions of PyTorch that ask a device which is not there, or read memory."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and args[0].device.type != "cpu":
            return _efficient_attention(*args, **kwargs)
        if func is Tensor.tolist and isinstance(args[0], FakeTensor):
            host = args[0].cpu()
            return _nested(host.flatten().unbind(), list(host.shape))
        return func(*args, **kwargs)


def _nested(scalars: Sequence[Tensor], shape: Sequence[int]) -> Any:
    if not shape:
        return scalars[0].item()
    size = len(scalars) // shape[0] if shape[0] else 0
    return [_nested(scalars[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def _efficient_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Do what PyTorch does before it calls its memory-efficient kernel (``sdp_utils``)."""
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill(~attn_mask, float("-inf"))
        missing = -key.shape[2] % _ALIGNED
        if missing:
            attn_mask = F.pad(attn_mask, (0, missing))[..., : key.shape[2]]
        attn_mask = attn_mask.expand(*query.shape[:3], key.shape[2])
    grad = torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value))
    out = aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, grad, dropout_p, is_causal, scale=scale
    )
    return out[0]  # type: ignore[no-any-return]
