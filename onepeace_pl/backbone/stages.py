"""Which parameters train in a stage: data, not code.

``stage: vision_language`` trains everything; ``stage: {extend: audio}`` trains only what belongs to ``audio``
and the decoder, so that all embeddings of older modalities stay as they were, to the bit; ``stage: frozen``
trains nothing of the backbone.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from onepeace_pl.backbone.streams import Until

STAGES = ("vision_language", "frozen")

# modules that hold one part for each modality, under its name
KEYED = frozenset(
    ("adapters", "attention_norm", "feed_forward", "norms", "project_in", "project_out", "projections")
)

_AFTER_NORM = ("encoder.projections.", "logit_scale")
BEHIND: dict[Until, tuple[str, ...]] = {
    "projection": (),
    "norm": _AFTER_NORM,
    "blocks": ("encoder.transformer.norms.", *_AFTER_NORM),
}
"""How names of parameters begin that a pass never reaches."""


@dataclass(frozen=True)
class Extend:
    """Train only what belongs to one modality.

    Attributes:
        extend: The modality's name.
    """

    extend: str


Stage = str | Extend


def check_stage(stage: Stage, modalities: Iterable[str]) -> None:
    """Raise ValueError for a stage that does not exist, or that extends by a modality without an adapter."""
    names = list(modalities)
    if isinstance(stage, Extend):
        if stage.extend not in names:
            raise ValueError(
                f"stage extends by {stage.extend!r}, but the adapters are {', '.join(names)}; add one"
            )
    elif stage not in STAGES:
        near = difflib.get_close_matches(stage, STAGES, n=1, cutoff=0.4)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else f"there are {', '.join(STAGES)} and {{extend: MODALITY}}"
        )
        raise ValueError(f"no stage {stage!r}; {hint}")


def trains(
    name: str,
    stage: Stage,
    used: Collection[str],
    modalities: Collection[str],
    restored: Collection[str] | None = None,
    until: Until = "projection",
) -> bool:
    """Say whether the backbone's parameter ``name`` trains.

    Args:
        name: Dotted name of the parameter.
        stage: The stage.
        used: Modalities that the task reads; what belongs to others would get no gradient.
        modalities: All modalities of the backbone.
        restored: Modalities that the decoder restores; None for all that are used.
        until: Where the task's passes end; what follows does not train.
    """
    if name.startswith(BEHIND[until]):
        return False
    parts = name.split(".")
    in_decoder = parts[0] == "decoder"
    read = restored if in_decoder and restored is not None else used
    owner = next((part for holder, part in pairwise(parts) if holder in KEYED and part in modalities), None)
    if stage == "frozen" or (in_decoder and not read) or (owner is not None and owner not in read):
        return False
    if isinstance(stage, Extend):
        return owner == stage.extend or in_decoder or name == "logit_scale"
    return True


def apply_stage(
    backbone: nn.Module,
    stage: Stage,
    used: Iterable[str],
    modalities: Iterable[str],
    restored: Iterable[str] | None = None,
    until: Until = "projection",
) -> None:
    """Set ``requires_grad`` of every parameter; those without any effect never train."""
    used, modalities = list(used), list(modalities)
    restored = used if restored is None else list(restored)
    for prefix, module in backbone.named_modules():
        unused = getattr(module, "unused", ())
        for name, parameter in module.named_parameters(prefix=prefix, recurse=False):
            parameter.requires_grad_(
                name.rpartition(".")[2] not in unused
                and trains(name, stage, used, modalities, restored, until)
            )
