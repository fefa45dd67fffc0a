"""Evidence of a question: one modality, or several read together."""

from __future__ import annotations

from collections.abc import Sequence

from onepeace_pl.backbone import Backbone
from onepeace_pl.errors import UserError


def check_evidence(evidence: Sequence[str], backbone: Backbone) -> tuple[str, ...]:
    """Return the modalities of the evidence, each of which the backbone must have.

    Raises:
        UserError: There is none, one is text, or the backbone lacks one.
    """
    if not evidence or "text" in evidence or len(set(evidence)) < len(evidence):
        raise UserError(
            f"evidence={list(evidence)}: name what questions are about, such as [image] or [audio, image]"
        )
    for name in ("text", *evidence):
        if name not in backbone.modalities:
            raise UserError(
                f"no modality {name!r} to answer questions with; the backbone has "
                f"{', '.join(backbone.modalities)}"
            )
    return tuple(evidence)
