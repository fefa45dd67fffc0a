"""Activation checkpointing: what the forward pass of a block keeps, and what the backward pass computes again.

Shapes: N rows, D width, F inner width of a feed-forward.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from onepeace_pl.nn.config import TransformerConfig

log = logging.getLogger(__name__)

Mode = Literal["none", "selective", "full"]
T = TypeVar("T")

PRODUCTS = frozenset(
    {
        torch.ops.aten.mm.default,
        torch.ops.aten.addmm.default,
        torch.ops.aten._scaled_dot_product_cudnn_attention.default,
        torch.ops.aten._scaled_dot_product_efficient_attention.default,
        torch.ops.aten._scaled_dot_product_flash_attention.default,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    }
)
"""What costs more to compute than to keep; scores of attention are no such products: they grow with its square."""

SHARE = (
    0.8  # of the free memory that activations may take: the rest is for losses, adapters and fragmentation
)


def checkpointed(mode: Mode, call: Callable[..., T], *args: object) -> T:
    """Call ``call(*args)``, keeping its activations by ``mode``; outputs and gradients are the same in each.

    Args:
        mode: ``none`` keeps what PyTorch keeps, ``full`` the arguments alone, ``selective`` also the outputs of matrix
            products and of fused attention, from which the rest is cheap to compute again.
        call: Function of tensors.
        args: Its arguments.
    """
    if mode == "none" or not torch.is_grad_enabled():
        return call(*args)
    if mode == "full":
        return checkpoint(call, *args, use_reentrant=False)
    contexts = partial(create_selective_checkpoint_contexts, _policy)
    return checkpoint(call, *args, use_reentrant=False, context_fn=contexts)


def _policy(_context: object, op: Any, *_args: object, **_kwargs: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if op in PRODUCTS else CheckpointPolicy.PREFER_RECOMPUTE


def kept_bytes(config: TransformerConfig, mode: Mode, rows: int, itemsize: int) -> int:
    """Estimate the bytes that a stack of blocks keeps for its backward pass.

    Args:
        config: Sizes.
        mode: How activations are kept.
        rows: Differentiated rows N.
        itemsize: Bytes of a number.
    """
    width, inner = config.width, config.feed_forward
    numbers = {
        # inputs of the norms, normed rows, queries, keys and values, context, outputs of both branches; gate and value
        "none": 10 * width + 2 * inner,
        "selective": 6 * width + 2 * inner,
        "full": width,
    }[mode]
    return config.depth * rows * numbers * itemsize


def choose_mode(config: TransformerConfig, rows: int, itemsize: int, free: int) -> Mode:
    """Return the mode of the least recomputation whose activations fit into free memory; log it.

    Args:
        config: Sizes.
        rows: Differentiated rows N of a step.
        itemsize: Bytes of a number.
        free: Bytes left beside weights, gradients and the optimiser's state.
    """
    modes: tuple[Mode, ...] = ("none", "selective", "full")
    needs = {mode: kept_bytes(config, mode, rows, itemsize) for mode in modes}
    chosen: Mode = next((mode for mode in modes if needs[mode] <= SHARE * free), "full")
    log.info(
        "activation checkpointing: %s, for %d rows of %d blocks keep some %s, and %.1f GiB are free",
        chosen,
        rows,
        config.depth,
        ", ".join(f"{need / 2**30:.1f} GiB ({mode})" for mode, need in needs.items()),
        free / 2**30,
    )
    return chosen


def free_bytes(module: nn.Module, device: torch.device) -> int:
    """Estimate the memory of a device that a first training step of a module may use for activations.

    It is what is free now, less gradients and two moments of what is trained.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    trained = sum(_local(p).nbytes for p in module.parameters() if p.requires_grad and p.grad is None)
    return int(max(free - 3 * trained, 0))


def _local(parameter: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    return parameter.to_local() if isinstance(parameter, DTensor) else parameter
