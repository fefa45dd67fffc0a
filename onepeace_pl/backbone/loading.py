"""Weights from anywhere into a backbone, with an account of every key.

Sources: a model folder of ours, a Lightning checkpoint of ours, an official file. A pickle is read with
``weights_only``, so it never runs code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepeace_pl.backbone.interop import BUFFERS, from_official
from onepeace_pl.backbone.model import Backbone
from onepeace_pl.backbone.pickles import read_pickle

WEIGHTS = "model.safetensors"


@dataclass
class LoadReport:
    """What became of every key.

    Attributes:
        source: Where the weights came from.
        used: Names of parameters that were loaded.
        resized: Those that were adapted to another size on the way.
        new: Parameters that the source does not have; they keep their fresh values.
        left_over: Keys of the source that the backbone has no place for.
    """

    source: str
    used: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)

    def lines(self, most: int = 8) -> list[str]:
        """Say it in a few lines; at most ``most`` names a kind."""
        text = [
            f"weights from {self.source}: {len(self.used)} used, {len(self.new)} new, "
            f"{len(self.left_over)} left over"
        ]
        for title, names in (("resized", self.resized), ("new", self.new), ("left over", self.left_over)):
            if names:
                more = f" and {len(names) - most} more" if len(names) > most else ""
                text.append(f"  {title}: {', '.join(names[:most])}{more}")
        return text


def load_weights(backbone: Backbone, source: str | Path) -> LoadReport:
    """Load what fits from ``source`` into ``backbone``, in place.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The file is no checkpoint, nothing in it fits, or a tensor has another size.
    """
    path = Path(source)
    state = read_weights(path)
    return load_state(backbone, state, str(source))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read our tensors from a model folder, a Lightning checkpoint or an official file.

    Unknown keys keep their name.
    """
    if path.is_dir() and (path / WEIGHTS).is_file():
        path = path / WEIGHTS
    if not path.exists():
        raise FileNotFoundError(
            f"no weights at {path}: give a model folder, a checkpoint or an official file"
        )
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder without {WEIGHTS}; give a model folder (or consolidate it, if sharded)"
        )
    if path.suffix == ".safetensors":
        state = read_safetensors(path)
        if any(name.startswith("encoder.adapters.") for name in state):
            return state
    else:
        state = state_dict_of(read_pickle(path), path)
    if is_experiment(state):
        return {name.removeprefix("backbone."): t for name, t in state.items()}
    ours, left = from_official(state)
    return ours | left


def read_safetensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Read a safetensors file; a damaged one is a ValueError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device=device)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {error}") from None


def is_experiment(state: Mapping[str, Tensor]) -> bool:
    """Say whether tensors are those of a Lightning checkpoint of ours."""
    return any(
        name.startswith(("backbone.encoder.adapters.", "backbone.encoder.transformer.")) for name in state
    )


def state_dict_of(content: Any, path: Path) -> dict[str, Tensor]:
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
        raise ValueError(f"{path} holds no tensors under 'model' or 'state_dict'; is it a checkpoint?")
    return {
        str(name): t.float() if t.is_floating_point() else t
        for name, t in content.items()
        if isinstance(t, Tensor)
    }


def load_state(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> LoadReport:
    """Load tensors under our names, each adapter first adapting its own to its sizes."""
    fitted, report = fit_state(backbone, state, source)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name in fitted:
                parameter.copy_(fitted[name])
    return report


def fit_state(
    backbone: Backbone, state: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """Choose and adapt the tensors that ``backbone``, which may be on the meta device, has a place for.

    Returns:
        Tensors by the backbone's names, and what became of every key.

    Raises:
        ValueError: A tensor has another size, or none fits.
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
            raise ValueError(
                f"{source}: {name} has shape {tuple(fitted[name].shape)}, the model wants "
                f"{tuple(parameter.shape)}; use the options that the weights were made with"
            )
        report.used.append(name)
    report.left_over = sorted(name for name in state if not BUFFERS.search(name))
    if not fitted:
        raise ValueError(f"{source}: none of its {len(report.left_over)} tensors fits this backbone")
    return fitted, report
