"""Fingerprint of a model: vectors can be compared only if one model with one preprocessing made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

import torch
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.hub import Calibration, OnePeace
from onepeace_pl.hub.reading import read_by, switches
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.utils.json_files import JsonObject


@dataclass(frozen=True)
class Stamp:
    """Fingerprint of the model and preprocessing that embeddings depend on, by modality.

    A modality's fingerprint covers the weights that it reads, options and preprocessing. A model that was extended by
    another modality has the same ones for the earlier modalities, so that it fits an index of the model before. Weights
    are rounded to bfloat16 first: float32 and bfloat16 weights of one model have one fingerprint, float16 another.

    Attributes:
        width: Number of values of a vector.
        modalities: Modality to fingerprint.
        calibration: Fingerprint of the calibration; empty for the model's own vectors.
    """

    width: int
    modalities: Mapping[str, str]
    calibration: str = ""

    @classmethod
    def of(
        cls, model: OnePeace, truncate_dim: int | None = None, calibration: Calibration | None = None
    ) -> Self:
        """Return the fingerprint of a model.

        Args:
            model: The model.
            truncate_dim: Number of leading values that vectors are cut to; None for all.
            calibration: Calibration that is applied.

        Raises:
            UserError: ``truncate_dim`` is less than 1 or more than the model's dimension.
        """
        width = model.dim if truncate_dim is None else truncate_dim
        if not 1 <= width <= model.dim:
            raise UserError(f"truncate_dim={width} must be between 1 and {model.dim}, the model's dimension")
        names = model.modalities
        weights = {name: _digest(value) for name, value in model.backbone.named_parameters()}
        shared = switches(model.backbone)
        found = {}
        for name in names:
            if name not in model.processors:
                continue
            read = {each: value for each, value in weights.items() if read_by(each, name, names)}
            adapter = _inference(model.backbone.encoder.adapter(name).to_config())
            processor = _inference(model.processors[name].to_config())
            found[name] = _hash([read, shared, adapter, processor])
        return cls(width, found, "" if calibration is None else _of_calibration(calibration))

    @classmethod
    def from_json(cls, said: JsonObject) -> Self:
        """Return the fingerprint that :meth:`to_json` gave."""
        return cls(int(said["width"]), dict(said["modalities"]), str(said["calibration"]))

    def to_json(self) -> JsonObject:
        """Return plain data."""
        return asdict(self)

    def check(self, other: Stamp, where: str) -> None:
        """Raise an error unless vectors of another model can be compared with these.

        Args:
            other: Fingerprint of the other model.
            where: The folder of the vectors, for the message.

        Raises:
            UserError: The models differ; says in what.
        """
        common = [name for name in self.modalities if name in other.modalities]
        changed = [name for name in common if self.modalities[name] != other.modalities[name]]
        if not common:
            reason = f"it has no {', '.join(self.modalities)}"
        elif changed:
            reason = f"weights or preprocessing of {', '.join(changed)} differ"
        elif self.width != other.width:
            reason = f"vectors of {other.width} values, not {self.width}; set truncate_dim"
        elif self.calibration != other.calibration:
            how = {(True, True): "with another", (False, True): "with a", (True, False): "without"}
            reason = f"{how[bool(self.calibration), bool(other.calibration)]} calibration"
        else:
            return
        raise UserError(
            f"{where} holds vectors of another model ({reason}); use that model, or give a new folder"
        )

    def extended(self, other: Stamp) -> Stamp:
        """Return this fingerprint with the modalities that another one has besides."""
        return replace(self, modalities={**other.modalities, **self.modalities})


def _digest(weights: Tensor) -> str:
    rounded = weights.detach().to(torch.bfloat16).contiguous().view(torch.int16).cpu()
    return hashlib.sha256(rounded.numpy().data).hexdigest() + str(tuple(weights.shape))


def _of_calibration(calibration: Calibration) -> str:
    tensors = [calibration.means, calibration.whitening]
    values = [None if each is None else each.float().flatten().tolist() for each in tensors]
    return _hash([calibration.kind, list(calibration.modalities), values])


def _inference(config: JsonObject) -> JsonObject:
    """Leave out options of training and of the decoder, which embeddings do not depend on."""
    options = {k: v for k, v in config["init_args"].items() if not k.startswith(("train_", "decoder_"))}
    return {**config, "init_args": options}


def _hash(said: object) -> str:
    text = json.dumps(said, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Tokenizer) -> str:
    """Return JSON of the one option that a model folder keeps in a file of its own."""
    return value.to_json()
