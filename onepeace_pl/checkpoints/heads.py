"""Official names of task heads <-> ours (``docs/reference/checkpoints.md``)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

CLASSIFY = {
    "classify_head.norm.": "norm.",
    "classify_head.attn_pooling_func.k_proj.": "pooling.key.",
    "classify_head.attn_pooling_func.v_proj.": "pooling.value.",
    "classify_head.attn_pooling_func.out_proj.": "pooling.out.",
    "classify_head.pooler.1.": "pooler.1.",
    "classify_head.classifier.": "classifier.",
}
QUERY = "classify_head.attn_pooling_func.q"
MEAN = {"fc_norm.": "norm.", "head.": "linear."}


def head_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a head's tensors under our names, of a classify head or of the vision code; empty where there is none.

    Without attention pooling the official file holds a norm that nothing uses; it is left out.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name == QUERY:
            found["pooling.query"] = tensor[0, 0]
        for theirs, ours in (CLASSIFY | MEAN).items():
            if name.startswith(theirs):
                found[ours + name.removeprefix(theirs)] = tensor
    if "pooling.query" not in found and "classifier.0.weight" in found:
        found = {name: tensor for name, tensor in found.items() if not name.startswith("norm.")}
    return found


def head_to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the way back: official names of a head of ours."""
    table = MEAN if "linear.weight" in state else CLASSIFY
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name == "pooling.query":
            found[QUERY] = tensor[None, None]
        for theirs, ours in table.items():
            if name.startswith(ours):
                found[theirs + name.removeprefix(ours)] = tensor
    return found
