"""The embedder: pictures, sounds and words in, unit vectors out.

Shapes: N items, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.hub.folder import load_folder, save_folder
from onepeace_pl.modalities import ModalityInput, ModalitySample, Processor


class OnePeace:
    """A trained backbone with its preprocessing.

    Args:
        backbone: The backbone.
        processors: By modality; what they were in training.
    """

    def __init__(self, backbone: Backbone, processors: Mapping[str, Processor]) -> None:
        self.backbone, self.processors = backbone.eval(), dict(processors)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Load a local model folder; nothing is downloaded.

        Args:
            folder: Left by a run (``runs/NAME/model``) or written by ``convert``.
            device: Default is a GPU where there is one, else the CPU.
            dtype: Of the weights; None leaves them as they are.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(*load_folder(folder, device, dtype))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a model folder."""
        return save_folder(folder, self.backbone, self.processors)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.backbone.logit_scale.device

    @property
    def modalities(self) -> list[str]:
        """What can be embedded."""
        return self.backbone.modalities

    @torch.no_grad()
    def encode(self, *, batch_size: int = 32, **inputs: Sequence[Any]) -> Tensor:
        """Embed items of one modality, or items of several modalities jointly.

        Args:
            batch_size: Items a pass.
            inputs: By name of the modality, a list of items: text as strings; pictures as paths, PIL images, arrays
                or tensors; sounds as paths, (array, rate in Hz) or arrays at 16 kHz. Several names: item i of each
                is read together and gives one vector.

        Returns:
            (N, D) float32 unit vectors on the CPU. What had to be cut is warned about.

        Raises:
            ValueError: An unknown modality, lists of different length, or an item that cannot be used.
        """
        if not inputs:
            raise ValueError(
                f"nothing to encode; pass a list for one or more of {', '.join(self.modalities)}"
            )
        for name, items in inputs.items():
            if name not in self.processors:
                raise ValueError(f"no modality {name!r}; the model has {', '.join(self.processors)}")
            if isinstance(items, str | bytes) or not isinstance(items, Sequence | Tensor):
                raise TypeError(
                    f"{name} must be a list of items, not one {type(items).__name__}; write {name}=[...]"
                )
        lengths = {name: len(items) for name, items in inputs.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"items read together must be as many: {', '.join(f'{n} {k}' for k, n in lengths.items())}"
            )
        count = next(iter(lengths.values()))
        if count == 0:
            return torch.empty(0, self.backbone.config.width)
        samples = {name: [self.processors[name](item) for item in items] for name, items in inputs.items()}
        # items of equal length share a batch, so that little is padded and a sound does not feel its neighbours
        order = sorted(range(count), key=lambda i: [rows[i].length for rows in samples.values()])
        result = torch.empty(count, self.backbone.config.width)
        for start in range(0, count, batch_size):
            index = order[start : start + batch_size]
            result[index] = self._embed({name: [rows[i] for i in index] for name, rows in samples.items()})
        return result

    def _embed(self, samples: Mapping[str, Sequence[ModalitySample]]) -> Tensor:
        inputs = {}
        for name, rows in samples.items():
            field = self.processors[name].collate(rows)
            padding = None if field.padding is None else field.padding.to(self.device)
            inputs[name] = ModalityInput(field.values.to(self.device), padding)
        if len(inputs) == 1:
            vectors = next(iter(self.backbone.embed(inputs).values()))
        else:
            vectors = self.backbone.embed_jointly(inputs)
        return vectors.float().cpu()

    @staticmethod
    def similarity(a: Tensor, b: Tensor) -> Tensor:
        """Return cosine similarities (N, M) of unit vectors (N, D) and (M, D)."""
        return a @ b.T
