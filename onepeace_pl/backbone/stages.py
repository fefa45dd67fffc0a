"""Which parameters train in a stage: data, not code.

=========================  ============================================================================
``vision_language``        everything
``{extend: audio}``        what belongs to ``audio``, and the decoder; embeddings of older modalities stay as they were,
                           to the bit
``{last: 4}``              the last 4 blocks of the encoder and what follows them: final norms, projections, decoder
``{low_rank: 8}``          low-rank adapters of the encoder's blocks, the decoder and the scale of similarities
``frozen``                 nothing of the backbone: a task's head alone
=========================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, final

from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.nn import low_rank

STAGES = ("vision_language", "frozen")

# modules that hold one part for each modality, under its name
KEYED = frozenset(
    ("adapters", "attention_norm", "feed_forward", "norms", "project_in", "project_out", "projections")
)

_AFTER_NORM = ("encoder.projections.", "logit_scale")
BEHIND: dict[StopAfter, tuple[str, ...]] = {
    "projection": (),
    "norm": _AFTER_NORM,
    "blocks": ("encoder.transformer.norms.", *_AFTER_NORM),
}
"""How names of parameters begin that a pass never reaches."""


@final
@dataclass(frozen=True)
class Extend:
    """Train only what belongs to one modality.

    Attributes:
        extend: The modality's name.
    """

    extend: str


@final
@dataclass(frozen=True)
class Last:
    """Train the end of the model.

    Attributes:
        last: How many of the encoder's blocks; with 0 only what follows them.
    """

    last: int


@final
@dataclass(frozen=True)
class LowRank:
    """Train low-rank adapters of the encoder's linear layers.

    Attributes:
        low_rank: Rank R.
        alpha: The correction is scaled by alpha / R; left out, it is R.
        dropout: On what adapters read.
        targets: Which layers of a block; each a stretch of dotted names, such as ``attention``, ``contract`` or
            ``feed_forward.text``.
    """

    low_rank: int
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] = ("attention", "feed_forward")

    @property
    def scale(self) -> float:
        """Factor of the correction."""
        return 1.0 if self.alpha is None else self.alpha / self.low_rank


Stage = str | Extend | Last | LowRank
KINDS: tuple[type[Extend | Last | LowRank], ...] = (Extend, Last, LowRank)
WORDS = (*STAGES, "{extend: MODALITY}", "{last: BLOCKS}", "{low_rank: RANK}")
_CHOICE = f"there are {', '.join(WORDS)}"


def read_stage(told: str | Mapping[str, Any]) -> Stage:
    """Make a stage of plain data, as it stands in a config.

    Raises:
        ValueError: There is no such key, or two stages are told at once.
    """
    if isinstance(told, str):
        return told
    options = {kind: [field.name for field in fields(kind)] for kind in KINDS}
    known = [name for names in options.values() for name in names]
    for name in told:
        if name not in known:
            raise UserError(f"no stage key {name!r}; {nearest(name, known, _CHOICE)}")
    kinds = [kind for kind in KINDS if options[kind][0] in told]
    if len(kinds) != 1 or not told.keys() <= set(options[kinds[0]]):
        raise ValueError(f"stage {dict(told)} is none; {_CHOICE}")
    made: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    return kinds[0](**made)


def tell_stage(stage: Stage) -> str | dict[str, Any]:
    """Return a stage as plain data, which :func:`read_stage` reads."""
    if isinstance(stage, str):
        return stage
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(stage).items()}


def check_stage(stage: Stage, modalities: Iterable[str], depth: int) -> None:
    """Raise ValueError for a stage that does not exist, or that the backbone has no place for.

    Args:
        stage: The stage.
        modalities: All modalities of the backbone.
        depth: Number of its encoder's blocks.
    """
    names = list(modalities)
    if isinstance(stage, Extend):
        if stage.extend not in names:
            raise ValueError(
                f"stage extends by {stage.extend!r}, but the adapters are {', '.join(names)}; add one"
            )
    elif isinstance(stage, Last):
        if not 0 <= stage.last <= depth:
            raise ValueError(
                f"stage trains the last {stage.last} blocks, but the encoder has {depth}; say 0 to {depth}"
            )
    elif isinstance(stage, LowRank):
        if stage.low_rank < 1:
            raise ValueError(f"low_rank {stage.low_rank} must be at least 1; 8 is usual")
        if stage.alpha is not None and stage.alpha <= 0:
            raise ValueError(f"alpha {stage.alpha} of low_rank must be above 0; left out, it is the rank")
        if not 0 <= stage.dropout < 1:
            raise ValueError(f"dropout {stage.dropout} of low_rank must be in [0, 1)")
        if not stage.targets:
            raise ValueError("targets of low_rank are empty; say for instance [attention, feed_forward]")
    elif stage not in STAGES:
        raise UserError(f"no stage {stage!r}; {nearest(stage, STAGES, _CHOICE)}")


def rests_on_base(stage: Stage) -> bool:
    """Say whether a stage leaves most weights as they were, so that saving what it learns is enough."""
    return stage == "frozen" or isinstance(stage, Last | LowRank)


def owner_of(name: str, modalities: Collection[str]) -> str | None:
    """Return the modality that a parameter belongs to, None for one that several share."""
    steps = pairwise(name.split("."))
    return next((part for holder, part in steps if holder in KEYED and part in modalities), None)


def trains(
    name: str,
    stage: Stage,
    used: Collection[str],
    modalities: Collection[str],
    restored: Collection[str] | None = None,
    blocks_behind: int = 0,
    stop_after: StopAfter = "projection",
) -> bool:
    """Say whether the backbone's parameter ``name`` trains.

    Args:
        name: Dotted name of the parameter.
        stage: The stage.
        used: Modalities that the task reads; what belongs to others would get no gradient.
        modalities: All modalities of the backbone.
        restored: Modalities that the decoder restores; None for all that are used.
        blocks_behind: Blocks of the encoder from the parameter's own to the last; 0 for what follows them.
        stop_after: Where the task's passes end; what follows does not train.
    """
    if name.startswith(BEHIND[stop_after]):
        return False
    parts = name.split(".")
    in_decoder = parts[0] == "decoder"
    read = restored if in_decoder and restored is not None else used
    owner = owner_of(name, modalities)
    if stage == "frozen" or (in_decoder and not read) or (owner is not None and owner not in read):
        return False
    if isinstance(stage, Extend):
        return owner == stage.extend or in_decoder or name == "logit_scale"
    if isinstance(stage, Last):
        return blocks_behind <= stage.last
    if isinstance(stage, LowRank):
        return parts[-1] in (low_rank.A, low_rank.B) or in_decoder or name == "logit_scale"
    return True
