"""What a question is about: one modality, or several read together."""

from __future__ import annotations

from collections.abc import Sequence

from onepeace_pl.backbone import Backbone


def check_evidence(evidence: Sequence[str], backbone: Backbone) -> tuple[str, ...]:
    """Return the modalities of the evidence, each of which the backbone must have.

    Raises:
        ValueError: There is none, one is text, or the backbone lacks one.
    """
    if not evidence or "text" in evidence or len(set(evidence)) < len(evidence):
        raise ValueError(
            f"evidence={list(evidence)}: name what questions are about, such as [image] or [audio, image]"
        )
    for name in ("text", *evidence):
        if name not in backbone.modalities:
            raise ValueError(
                f"no modality {name!r} to answer questions with; the backbone has "
                f"{', '.join(backbone.modalities)}"
            )
    return tuple(evidence)
