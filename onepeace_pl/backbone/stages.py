"""Training stages: which parameters of the backbone are trained.

=========================  ============================================================================
``vision_language``        everything
``{extend: audio}``        what belongs to ``audio``, and the decoder; embeddings of older modalities stay as they were,
                           to the bit
``{last: 4}``              the last 4 blocks of the encoder and what follows them: final norms, projections, decoder
``{lora: 8}``              LoRA: low-rank adapters of the encoder's blocks, the decoder and the logit scale
``frozen``                 nothing of the backbone: a task's head alone
=========================  ============================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, final

from onepeace_pl.backbone.encoder import StopAfter
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.nn import lora

# modules that hold one part for each modality, under its name
KEYED = frozenset(
    ("adapters", "attention_norm", "feed_forward", "norms", "project_in", "project_out", "projections")
)

_AFTER_NORM = ("encoder.projections.", "logit_scale")
_UNREACHED: dict[StopAfter, tuple[str, ...]] = {
    "projection": (),
    "norm": _AFTER_NORM,
    "blocks": ("encoder.transformer.norms.", *_AFTER_NORM),
}
"""Prefixes of the parameters that follow the end of a pass."""


class Stage(ABC):
    """Base of the stages.

    Attributes:
        saves_partially: Most weights stay as they were, so that a checkpoint stores those alone that are trained.
    """

    saves_partially: ClassVar[bool] = False

    @staticmethod
    def from_config(config: str | Mapping[str, object]) -> Stage:
        """Make a stage of plain data, as in a YAML config.

        Raises:
            UserError: There is no such stage or option.
        """
        if isinstance(config, str):
            if config not in _NAMED:
                raise UserError(f"no stage {config!r}; {nearest(config, _NAMED, _CHOICE)}")
            return _NAMED[config]()
        options = {kind: [field.name for field in fields(kind)] for kind in _WITH_OPTIONS}
        known = [name for names in options.values() for name in names]
        for name in config:
            if name not in known:
                raise UserError(f"no stage key {name!r}; {nearest(name, known, _CHOICE)}")
        kinds = [kind for kind in _WITH_OPTIONS if options[kind][0] in config]
        if len(kinds) != 1 or not config.keys() <= set(options[kinds[0]]):
            raise UserError(f"{dict(config)} is no stage; {_CHOICE}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
        }
        return kinds[0](**values)

    @abstractmethod
    def to_config(self) -> str | dict[str, object]:
        """Return the stage as plain data, as in a YAML config."""

    def check(self, modalities: Collection[str], depth: int) -> None:  # noqa: B027 - most have nothing to check
        """Raise a UserError for options that do not fit a backbone.

        Args:
            modalities: All modalities of the backbone.
            depth: Number of the encoder's blocks.
        """

    @abstractmethod
    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """Return whether a parameter that the task's passes reach is trained.

        Args:
            name: Dotted name of the parameter in the backbone.
            owner: The modality that it belongs to; None for one that several share.
            blocks_behind: Blocks of the encoder from the parameter's own to the last; 0 for what follows them.
        """


@final
@dataclass(frozen=True)
class VisionLanguage(Stage):
    """Train everything."""

    def to_config(self) -> str:
        """Return its name."""
        return "vision_language"

    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """Everything."""
        return True


@final
@dataclass(frozen=True)
class Frozen(Stage):
    """Train nothing of the backbone."""

    saves_partially = True

    def to_config(self) -> str:
        """Return its name."""
        return "frozen"

    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """Nothing."""
        return False


@dataclass(frozen=True)
class _WithOptions(Stage):
    def to_config(self) -> dict[str, object]:
        """Return the options."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@final
@dataclass(frozen=True)
class Extend(_WithOptions):
    """Train only what belongs to one modality.

    Attributes:
        extend: The modality's name.
    """

    extend: str

    def check(self, modalities: Collection[str], depth: int) -> None:
        """Reject a modality without an adapter."""
        if self.extend not in modalities:
            raise UserError(
                f"stage extends by {self.extend!r}, but the adapters are {', '.join(modalities)}; add one"
            )

    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """The modality's own parameters, the decoder and the logit scale."""
        return owner == self.extend or _in_decoder(name) or name == "logit_scale"


@final
@dataclass(frozen=True)
class Last(_WithOptions):
    """Train the end of the model.

    Attributes:
        last: Number of the encoder's blocks; with 0 only what follows them.
    """

    saves_partially = True

    last: int

    def check(self, modalities: Collection[str], depth: int) -> None:
        """Reject more blocks than there are."""
        if not 0 <= self.last <= depth:
            raise UserError(
                f"stage trains the last {self.last} blocks, but the encoder has {depth}; choose 0 to {depth}"
            )

    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """The last blocks and what follows them."""
        return blocks_behind <= self.last


@final
@dataclass(frozen=True)
class LoRAStage(_WithOptions):
    """Train low-rank adapters (LoRA) of the encoder's linear layers.

    Attributes:
        lora: Rank R.
        alpha: The update is scaled by alpha / R; None for R.
        dropout: On the input of the adapters.
        targets: Layers of a block, each a stretch of dotted names, such as ``attention``, ``contract`` or
            ``feed_forward.text``.
    """

    saves_partially = True

    lora: int
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] = ("attention", "feed_forward")

    @property
    def scale(self) -> float:
        """Factor of the update."""
        return 1.0 if self.alpha is None else self.alpha / self.lora

    def check(self, modalities: Collection[str], depth: int) -> None:
        """Reject values out of range."""
        if self.lora < 1:
            raise UserError(f"lora {self.lora} must be at least 1; 8 is usual")
        if self.alpha is not None and self.alpha <= 0:
            raise UserError(f"alpha {self.alpha} of lora must be above 0; left out, it is the rank")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout {self.dropout} of lora must be in [0, 1)")
        if not self.targets:
            raise UserError("targets of lora are empty; give for instance [attention, feed_forward]")

    def trains(self, name: str, owner: str | None, blocks_behind: int) -> bool:
        """The adapters, the decoder and the logit scale."""
        return name.endswith((f".{lora.A}", f".{lora.B}")) or _in_decoder(name) or name == "logit_scale"


_NAMED: dict[str, type[VisionLanguage | Frozen]] = {"vision_language": VisionLanguage, "frozen": Frozen}
_WITH_OPTIONS: tuple[type[Extend | Last | LoRAStage], ...] = (Extend, Last, LoRAStage)
_CHOICE = f"there are {', '.join([*_NAMED, '{extend: MODALITY}', '{last: BLOCKS}', '{lora: RANK}'])}"


def owner_of(name: str, modalities: Collection[str]) -> str | None:
    """Return the modality that a parameter belongs to, None for one that several share."""
    steps = pairwise(name.split("."))
    return next((part for holder, part in steps if holder in KEYED and part in modalities), None)


def is_reached(
    name: str,
    owner: str | None,
    used: Collection[str],
    reconstructed: Collection[str],
    stop_after: StopAfter = "projection",
) -> bool:
    """Return whether a task's passes reach a parameter; others would get no gradient.

    Args:
        name: Dotted name of the parameter in the backbone.
        owner: The modality that it belongs to; None for one that several share.
        used: Modalities that the task reads.
        reconstructed: Modalities that the decoder reconstructs.
        stop_after: End of the task's passes.
    """
    if name.startswith(_UNREACHED[stop_after]):
        return False
    modalities = reconstructed if _in_decoder(name) else used
    return bool(modalities or not _in_decoder(name)) and (owner is None or owner in modalities)


def _in_decoder(name: str) -> bool:
    return name.startswith("decoder.")
