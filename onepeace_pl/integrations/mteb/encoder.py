"""Encoder of mteb. Shapes: N inputs, D width."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray

from onepeace_pl.backbone import Fuse
from onepeace_pl.hub import OnePeace
from onepeace_pl.integrations.sentence_transformers import OnePeaceModule
from onepeace_pl.modalities import AudioProcessor
from onepeace_pl.utils.libraries import importing

with importing():
    from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper
    from mteb.models.model_meta import ScoringFunction
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[Any]
"""(N, D), float32 or of the precision that was asked for."""


class OnePeaceEncoder(SentenceTransformerEncoderWrapper):
    """Encoder of mteb: all modalities of an input become one vector (``t2i``, ``a2i``, ``at2i``, ``it2a`` ...).

    mteb's cache tells models apart by the digest of their folder, so that a changed model is evaluated again.

    Args:
        model: Model folder, or the embedder.
        name: Name of the model in results; by default that of the run, or of the folder.
        device: Device of a folder's model; None for a GPU if available, else the CPU.
        fuse: How several modalities become one vector; None for what the model was trained for.
        truncate_dim: Keep so many dimensions of each vector; None for all.
        trust_remote_code: As in :meth:`~onepeace_pl.hub.OnePeace.from_pretrained`.
    """

    def __init__(
        self,
        model: OnePeace | str | Path,
        name: str | None = None,
        device: str | None = None,
        fuse: Fuse | None = None,
        truncate_dim: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if isinstance(model, OnePeace):
            revision = f"unsaved-{uuid4().hex[:12]}"
        else:
            folder = Path(model).resolve()
            model = OnePeace.from_pretrained(folder, device, trust_remote_code=trust_remote_code)
            name = name or (folder.parent.name if folder.name == "model" else folder.name)
            revision = _digest(folder)
        module = OnePeaceModule(model)
        audio = model.processors.get("audio")
        super().__init__(
            SentenceTransformer(modules=[module], device=str(model.device), truncate_dim=truncate_dim),
            target_sampling_rate=audio.rate if isinstance(audio, AudioProcessor) else None,
        )
        self.fuse = fuse
        options = {"fuse": fuse, "truncate_dim": truncate_dim}
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"onepeace_pl/{name or 'model'}",
                "revision": revision,
                "modalities": [each for each in module.modalities if isinstance(each, str)],
                "n_parameters": sum(parameter.numel() for parameter in model.backbone.parameters()),
                "embed_dim": truncate_dim or model.dim,
                "similarity_fn_name": ScoringFunction.COSINE,
                "framework": ["Sentence Transformers", "PyTorch"],
                "experiment_kwargs": {n: value for n, value in options.items() if value is not None} or None,
            }
        )

    def encode(self, inputs: object, **kwargs: object) -> Vectors:
        """Embed the batches of a data loader of mteb, (N, D)."""
        if self.fuse is not None:
            kwargs["fuse"] = self.fuse
        vectors: Vectors = super().encode(inputs, **kwargs)
        return vectors


def _digest(folder: Path) -> str:
    """Return a digest of all files of a folder."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            found.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]
