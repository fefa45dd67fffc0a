"""Partial checkpoints: frozen weights are stored by reference (path and fingerprint).

A run that trains few weights saves those, the path of the weights that it started from, and their fingerprint. To load
it, both are read; base weights with another fingerprint are an error.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.errors import UserError


@dataclass(frozen=True)
class BaseWeights:
    """Reference to the weights that a partial checkpoint omits.

    Attributes:
        path: Path of a model folder, a checkpoint or an official file, as in the run's config.
        fingerprint: Fingerprint of all tensors.
        relative: The same path, relative to the partial checkpoint; empty where that is not known.
    """

    path: str
    fingerprint: str
    relative: str = ""

    @classmethod
    def of(cls, path: str, state: Mapping[str, Tensor]) -> BaseWeights:
        """Return the reference to the weights ``state`` that were read from ``path``."""
        return cls(path, fingerprint(state))

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> BaseWeights:
        """Read what :meth:`to_config` has returned."""
        return cls(config["path"], config["fingerprint"], config.get("relative", ""))

    def to_config(self, folder: Path | None = None) -> dict[str, str]:
        """Return plain data; with a folder also the path relative to it."""
        config = {"path": self.path, "fingerprint": self.fingerprint}
        if folder is not None and not Path(self.path).is_absolute():
            config["relative"] = os.path.relpath(self.path, folder)
        return config

    def candidates(self, partial: Path) -> list[Path]:
        """Return the existing paths that are meant: relative to the working directory, then to the partial checkpoint.

        Args:
            partial: The folder or file of the partial checkpoint.

        Raises:
            FileNotFoundError: None exists.
        """
        folder = partial if partial.is_dir() else partial.parent
        paths = [Path(self.path), folder / self.path, *([folder / self.relative] if self.relative else [])]
        existing = {path.resolve(): path for path in reversed(paths) if path.exists()}
        if not existing:
            raise FileNotFoundError(
                f"{partial} holds only the weights that were trained; the rest is in {self.path}, which is missing: "
                "bring it back, or set base.path in config.json; where both are, convert writes a whole folder"
            )
        return list(reversed(existing.values()))


def check_base(base: BaseWeights | None, stored: Mapping[str, str] | None) -> None:
    """Reject a checkpoint with other base weights than the run.

    Args:
        base: Base weights of the run.
        stored: Those of the checkpoint, as plain data; None for a whole one.

    Raises:
        UserError: They differ.
    """
    if stored is None:
        return
    if base is None:
        raise UserError(
            f"the checkpoint holds only what was trained on {stored['path']}; give model.init_from "
            f"{stored['path']} and the stage of its run"
        )
    if base.fingerprint != stored["fingerprint"]:
        raise UserError(
            f"the checkpoint was trained on other weights than those of {base.path}; give the model.init_from of "
            f"its run ({stored['path']}, as it was then)"
        )


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return a hash of every name, type, shape and byte (half of a SHA-256)."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]
