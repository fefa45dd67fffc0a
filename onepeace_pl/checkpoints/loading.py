"""Weights from any checkpoint into a backbone, with a report of every key.

Sources: a model folder of ours, a Lightning checkpoint of ours, an official file. A pickle is read with
``weights_only``, so it never runs code. A partial checkpoint is completed with its base weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.backbone.model import Backbone
from onepeace_pl.backbone.stages import Extend, Frozen, LoRAStage, Stage
from onepeace_pl.checkpoints.base import BaseWeights, fingerprint
from onepeace_pl.checkpoints.names import BUFFERS, from_official
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.errors import UserError
from onepeace_pl.nn import lora
from onepeace_pl.utils.json_files import JsonObject, read_json_object

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass
class LoadReport:
    """Result of loading weights, key by key.

    Attributes:
        source: Origin of the weights.
        used: Names of parameters that were loaded.
        resized: Those that were adapted to another size.
        new: Missing keys: parameters that the source does not have; they keep their initial values.
        left_over: Unexpected keys: those of the source that the backbone has no parameter for.
        base: The source, for a stage whose checkpoints are partial; else None.
    """

    source: str
    used: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    base: BaseWeights | None = None

    def lines(self, limit: int = 8) -> list[str]:
        """Return a summary, with at most ``limit`` names of each sort."""
        text = [
            f"weights from {self.source}: {len(self.used)} used, {len(self.new)} new, "
            f"{len(self.left_over)} left over"
        ]
        for title, names in (("resized", self.resized), ("new", self.new), ("left over", self.left_over)):
            if names:
                more = f" and {len(names) - limit} more" if len(names) > limit else ""
                text.append(f"  {title}: {', '.join(names[:limit])}{more}")
        return text

    def omitted(self, backbone: Backbone) -> frozenset[str]:
        """Return the parameters that partial checkpoints omit: frozen ones that the base weights have."""
        if self.base is None:
            return frozenset()
        trained = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
        return frozenset(self.used) - frozenset(self.resized) - trained


def load_weights(backbone: Backbone, source: str | Path) -> LoadReport:
    """Load what fits from ``source`` into ``backbone``, in place.

    Raises:
        FileNotFoundError: There is no such file or folder.
        UserError: The file is no checkpoint, no tensor in it fits, a tensor has another size, or low-rank adapters
            another scale.
    """
    _check_scale(backbone, Path(source))
    state = read_weights(Path(source))
    report = load_state(backbone, state, str(source))
    if isinstance(backbone.stage, Extend | Frozen):  # what was trained jointly stays as it was
        known = set(backbone.modalities)
        backbone.add_joint(names for names in _joint(Path(source)) if known.issuperset(names))
    if backbone.stage.saves_partially:
        report.base = BaseWeights.of(str(source), state)
    return report


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a model folder, a Lightning checkpoint or an official file; a partial one with its base weights.

    Unknown keys keep their name.
    """
    folder = path.parent if path.name == WEIGHTS else path
    base = read_base(folder)
    if path.is_dir() and (path / WEIGHTS).is_file():
        path = path / WEIGHTS
    if base is not None:
        return with_base_weights(read_safetensors(path) if path.is_file() else {}, base, folder)
    if not path.exists():
        raise FileNotFoundError(
            f"no weights at {path}: give a model folder, a checkpoint or an official file"
        )
    if path.is_dir():
        raise UserError(
            f"{path} is a folder without {WEIGHTS}; give a model folder (or consolidate it, if sharded)"
        )
    if path.suffix == ".safetensors":
        state, content = read_safetensors(path), None
        if any(name.startswith("encoder.adapters.") for name in state):
            return state
    else:
        content = read_pickle(path)
        state = state_dict_of(content, path)
    stored = content.get("base") if isinstance(content, Mapping) else None
    if stored or is_experiment(state):
        mine = {name.removeprefix("backbone."): t for name, t in state.items()}
        return with_base_weights(mine, BaseWeights.from_config(stored), path) if stored else mine
    ours, left = from_official(state)
    return ours | left


def read_base(folder: Path) -> BaseWeights | None:
    """Return the base weights of a partial model folder; None for a whole one, and for any other folder."""
    stored = _config(folder).get("base")
    return None if stored is None else BaseWeights.from_config(stored)


def _config(folder: Path) -> JsonObject:
    return read_json_object(folder / CONFIG) if (folder / CONFIG).is_file() else {}


def _joint(path: Path) -> Sequence[Sequence[str]]:
    """Return the combinations of modalities that a model folder or a run's checkpoint was trained to fuse jointly."""
    if path.suffix == ".ckpt" and path.is_file():
        content = read_pickle(path)
        return content.get("joint", ()) if isinstance(content, Mapping) else ()
    config = _config(path.parent if path.name == WEIGHTS else path)
    found: Sequence[Sequence[str]] = config.get("backbone", {}).get("joint", ())
    return found


def _check_scale(backbone: Backbone, folder: Path) -> None:
    """Reject training of a folder's LoRA weights with another scale, which no tensor shows."""
    stage = Stage.from_config(_config(folder).get("backbone", {}).get("stage", "frozen"))
    mine = backbone.stage
    if isinstance(stage, LoRAStage) and isinstance(mine, LoRAStage) and stage.scale != mine.scale:
        raise UserError(
            f"{folder} was trained with alpha / lora = {stage.scale:g}, this stage has {mine.scale:g}; set alpha: "
            f"{stage.scale * mine.lora:g}"
        )


def with_base_weights(own: Mapping[str, Tensor], base: BaseWeights, partial: Path) -> dict[str, Tensor]:
    """Complete a partial checkpoint, in the dtype of its own weights.

    Args:
        own: Its own weights.
        base: Its base weights.
        partial: Its folder or file.

    Raises:
        FileNotFoundError: The base weights do not exist.
        UserError: They have changed.
    """
    dtype = next((t.dtype for t in own.values() if t.is_floating_point()), None)
    for path in base.candidates(partial):
        state = read_weights(path)
        if fingerprint(state) == base.fingerprint:
            return {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()} | dict(
                own
            )
    raise UserError(
        f"{base.path} holds other weights than those that {partial} was trained on; bring those back (a run moves an "
        "older one of its name to NAME.1)"
    )


def read_safetensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Read a safetensors file; a damaged one is a UserError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device=device)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged, or no safetensors file: {error}") from None


def is_experiment(state: Mapping[str, Tensor]) -> bool:
    """Return whether tensors are those of a Lightning checkpoint of ours."""
    return any(
        name.startswith(("backbone.encoder.adapters.", "backbone.encoder.transformer.")) for name in state
    )


def state_dict_of(content: object, path: Path) -> dict[str, Tensor]:
    """Find the tensors in a checkpoint; floats come as fp32.

    They stand under ``model``, ``state_dict`` or ``module``, or at the top.
    """
    while isinstance(content, Mapping):
        inner = next(
            (content[k] for k in ("model", "state_dict", "module") if isinstance(content.get(k), Mapping)),
            None,
        )
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not any(isinstance(t, Tensor) for t in content.values()):
        raise UserError(f"{path} holds no tensors under 'model' or 'state_dict'; is it a checkpoint?")
    return {
        str(name): t.float() if t.is_floating_point() else t
        for name, t in content.items()
        if isinstance(t, Tensor)
    }


def load_state(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> LoadReport:
    """Load tensors under our names, resized by the adapters."""
    fitted, report = fit_state(backbone, state, source)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name in fitted:
                parameter.copy_(fitted[name])
    return report


def fit_state(
    backbone: Backbone, state: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """Select and resize the tensors that match a backbone, which may be on the meta device.

    Returns:
        Tensors by parameter name, and the report.

    Raises:
        UserError: A tensor has another size, or none fits.
    """
    report, state = LoadReport(source), dict(state)
    for name in backbone.modalities:
        prefix = f"encoder.adapters.{name}."
        mine = {k.removeprefix(prefix): state.pop(k) for k in list(state) if k.startswith(prefix)}
        adapted = backbone.encoder.adapter(name).adapt(mine)
        report.resized += [
            prefix + k for k, t in adapted.items() if k not in mine or mine[k].shape != t.shape
        ]
        state.update({prefix + k: t for k, t in adapted.items()})
    fitted: dict[str, Tensor] = {}
    for name, parameter in backbone.named_parameters():
        if name not in state:
            report.new.append(name)
            continue
        fitted[name] = state.pop(name)
        if fitted[name].shape != parameter.shape:
            raise UserError(
                f"{source}: {name} has shape {tuple(fitted[name].shape)}, the model wants "
                f"{tuple(parameter.shape)}; use the options that the weights were made with"
            )
        report.used.append(name)
    report.left_over = sorted(name for name in state if not BUFFERS.search(name))
    if any(name.endswith(f".{lora.A}") for name in report.left_over):
        raise UserError(
            f"{source} holds low-rank adapters, which this stage does not have; fold them into the weights "
            "(convert --merge), and use what that writes"
        )
    if not fitted:
        raise UserError(f"{source}: none of its {len(report.left_over)} tensors fits this backbone")
    return fitted, report
