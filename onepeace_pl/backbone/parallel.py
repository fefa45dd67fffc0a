"""The sharding plan of a backbone (FSDP2).

One block of a transformer is one unit; the rest (adapters, norms, projections) belongs to the root. All passes of a
step go through a block in one call, so each unit is gathered once in the forward and once in the backward pass.
Adapters are no units of their own: processes gather together, and one that reads no audio would not take part in
gathering the audio adapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import nn

from onepeace_pl.backbone.model import Backbone
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def units(backbone: Backbone) -> list[nn.Module]:
    """Return the modules that are gathered one at a time, innermost first."""
    found: list[nn.Module] = list(backbone.encoder.transformer.blocks)
    if backbone.decoder is not None:
        found += list(backbone.decoder.transformer.blocks)
    return found


def shard(backbone: Backbone, mesh: DeviceMesh) -> Backbone:
    """Shard a backbone in place with FSDP2.

    Args:
        backbone: On a real device; every rank holds the same weights.
        mesh: One-dimensional device mesh.
    """
    from torch.distributed.fsdp import fully_shard

    for unit in units(backbone):
        fully_shard(unit, mesh=mesh)
    fully_shard(backbone, mesh=mesh)
    return backbone


def check_whole(encoder: nn.Module, who: str) -> None:
    """Reject an encoder whose blocks lie on several devices, for what runs them piece by piece.

    Args:
        encoder: Or any other module.
        who: What runs its blocks.

    Raises:
        UserError: It is sharded.
    """
    from torch.distributed.tensor import DTensor

    if isinstance(next(encoder.parameters()), DTensor):
        raise UserError(
            f"{who} run blocks piece by piece, which a sharded backbone does not allow; give the trainer a strategy "
            "that keeps it whole, such as ddp"
        )


def shard_heads(heads: Iterable[nn.Module], mesh: DeviceMesh) -> None:
    """Shard what a task has besides the backbone: optimisers and clipping take sharded or whole weights, not both.

    Args:
        heads: Modules that are called as such, each gathered as a whole.
        mesh: One-dimensional device mesh.
    """
    from torch.distributed.fsdp import fully_shard

    for head in heads:
        fully_shard(head, mesh=mesh)
