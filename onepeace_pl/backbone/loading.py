"""Weights from anywhere into a backbone, with an account of every key.

Sources: a model folder of ours, a Lightning checkpoint of ours, an official file. A pickle is read with
``weights_only``, so it never runs code.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepeace_pl.backbone.interop import BUFFERS, canonical_name, from_official
from onepeace_pl.backbone.model import Backbone

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
            f"weights from {self.source}: {len(self.used)} used, {len(self.new)} new, {len(self.left_over)} left over"
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
    """Read our tensors from a model folder, a Lightning checkpoint or an official file; unknown keys keep their name."""
    if path.is_dir() and (path / WEIGHTS).is_file():
        path = path / WEIGHTS
    if not path.exists():
        raise FileNotFoundError(
            f"no weights at {path}: give a model folder, a checkpoint or an official file"
        )
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder without {WEIGHTS}; give a model folder (a sharded checkpoint: consolidate it)"
        )
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    content = read_pickle(path)
    state = state_dict_of(content, path)
    if any(name.startswith("backbone.") for name in state):  # an Experiment's
        return {name.removeprefix("backbone."): t for name, t in state.items()}
    ours, left = from_official(state)
    return ours | left


def read_pickle(path: Path) -> Any:
    """Read a ``torch.save`` or pickle file without letting it run code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except pickle.UnpicklingError as error:
        culprit = (
            str(error).split("GLOBAL ")[-1].split(" ")[0] if "GLOBAL " in str(error) else "something else"
        )
        raise ValueError(
            f"{path} holds more than tensors and plain data ({culprit}) and is not read, since a pickle can run code; "
            "save its 'model' entry alone with torch.save"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} is no checkpoint that torch can read: {str(error).splitlines()[0]}"
        ) from None


def state_dict_of(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the tensors in a checkpoint: under ``model``, ``state_dict``, ``module``, or at the top; floats as fp32."""
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
        canonical_name(name) if not name.startswith("backbone.") else name: t.float()
        if t.is_floating_point()
        else t
        for name, t in content.items()
        if isinstance(t, Tensor)
    }


def load_state(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> LoadReport:
    """Load tensors under our names, each adapter first adapting its own to its sizes."""
    report, state = LoadReport(source), dict(state)
    for name in backbone.modalities:
        prefix = f"encoder.adapters.{name}."
        mine = {k.removeprefix(prefix): state.pop(k) for k in list(state) if k.startswith(prefix)}
        adapted = backbone.encoder.adapter(name).adapt(mine)
        report.resized += [
            prefix + k for k, t in adapted.items() if k not in mine or mine[k].shape != t.shape
        ]
        state.update({prefix + k: t for k, t in adapted.items()})
    targets = dict(backbone.named_parameters())
    with torch.no_grad():
        for name, parameter in targets.items():
            if name not in state:
                report.new.append(name)
                continue
            tensor = state.pop(name)
            if tensor.shape != parameter.shape:
                raise ValueError(
                    f"{source}: {name} has shape {tuple(tensor.shape)}, the model wants {tuple(parameter.shape)}; "
                    "use the preset and adapter options that the weights were made with"
                )
            parameter.copy_(tensor)
            report.used.append(name)
    report.left_over = sorted(name for name in state if not BUFFERS.search(name))
    if not report.used:
        raise ValueError(f"{source}: none of its {len(report.left_over)} tensors fits this backbone")
    return report
