"""What a model rests on: the weights that its stage leaves as they are, and that need not be saved again.

A run that trains little saves what it has learnt, the path of the weights that it started from, and their fingerprint.
Whoever reads it reads both, and refuses a base that is no longer the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepeace_pl.errors import UserError


@dataclass(frozen=True)
class Base:
    """Where the rest of a model's weights is.

    Attributes:
        path: Of a model folder, a checkpoint or an official file, as it was given to the run.
        fingerprint: Of all its tensors.
        relative: The same path, seen from the folder that rests on it; empty where that is not known.
    """

    path: str
    fingerprint: str
    relative: str = ""

    @classmethod
    def of(cls, path: str, state: Mapping[str, Tensor]) -> Base:
        """Describe the weights ``state`` that were read from ``path``."""
        return cls(path, fingerprint(state))

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Base:
        """Read what :meth:`tell` has written."""
        return cls(told["path"], told["fingerprint"], told.get("relative", ""))

    def tell(self, folder: Path | None = None) -> dict[str, str]:
        """Return plain data; with a folder also the path as it is seen from there."""
        told = {"path": self.path, "fingerprint": self.fingerprint}
        if folder is not None and not Path(self.path).is_absolute():
            told["relative"] = os.path.relpath(self.path, folder)
        return told

    def places(self, where: Path) -> list[Path]:
        """Return where the base may be: seen from the working directory, else from what rests on it.

        Args:
            where: The folder or the checkpoint that rests on it.

        Raises:
            FileNotFoundError: It is in none of these places.
        """
        folder = where if where.is_dir() else where.parent
        places = [Path(self.path), folder / self.path, *([folder / self.relative] if self.relative else [])]
        found = {place.resolve(): place for place in reversed(places) if place.exists()}
        if not found:
            raise FileNotFoundError(
                f"{where} holds only what was learnt; the rest is in {self.path}, which is not here: bring it back, "
                "or say base.path anew in config.json; where both are, convert writes a whole folder"
            )
        return list(reversed(found.values()))


def check_same(base: Base | None, told: Mapping[str, Any] | None) -> None:
    """Refuse a checkpoint that rests on another base than the run.

    Args:
        base: What the run rests on.
        told: What the checkpoint says of its own; None for a whole one.
    """
    if told is None:
        return
    if base is None:
        raise UserError(
            f"the checkpoint holds only what was learnt beside {told['path']}; give model.init_from {told['path']} and "
            "the stage of its run"
        )
    if base.fingerprint != told["fingerprint"]:
        raise UserError(
            f"the checkpoint was trained on other weights than those of {base.path}; give the model.init_from of "
            f"its run ({told['path']}, as it was then)"
        )


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return a word that changes with every name, type, shape and byte (half of a SHA-256)."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]
