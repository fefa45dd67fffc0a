"""Input module of sentence-transformers: ``SentenceTransformer(FOLDER)`` loads a model folder.

Shapes: N inputs, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.backbone import Fuse
from onepeace_pl.checkpoints.sentence_transformers import SETTINGS
from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace
from onepeace_pl.modalities import RawInput
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.libraries import importing

with importing():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modality import infer_batch_modality
    from sentence_transformers.base.modality_types import MULTIMODAL_DICT_KEYS
    from sentence_transformers.base.modules import InputModule

STInput = Any
"""One input of sentence-transformers: a text, path, image, array, or a dict of those by modality."""

Features = dict[str, Any]
"""Features that modules of sentence-transformers hand on: raw values by modality, then ``sentence_embedding``."""


class OnePeaceModule(InputModule):
    """Embedder as the only module of a ``SentenceTransformer``; its vectors are those of :meth:`OnePeace.encode`.

    A model folder names this class in ``modules.json``, so that ``SentenceTransformer(FOLDER, trust_remote_code=True)``
    loads it; sentence-transformers asks for the flag for every class that is not its own. Without it:
    ``SentenceTransformer(modules=[OnePeaceModule.load(FOLDER)])``.

    For inference: there are no gradients. ``encode`` also takes ``fuse`` and ``calibrate`` of :meth:`OnePeace.encode`.

    Args:
        model: The embedder.

    Raises:
        UserError: The model has none of the modalities of sentence-transformers: audio, image, text, video.
    """

    save_in_root = True
    forward_kwargs: ClassVar[set[str]] = {"fuse", "calibrate"}

    def __init__(self, model: OnePeace) -> None:
        super().__init__()
        if MULTIMODAL_DICT_KEYS.isdisjoint(model.processors):
            raise UserError(
                f"sentence-transformers knows {', '.join(sorted(MULTIMODAL_DICT_KEYS))}; the model has preprocessing "
                f"for {', '.join(model.processors) or 'none'}: use OnePeace.encode"
            )
        self.onepeace = model
        self.backbone = model.backbone  # registered, so that .to() and parameters() reach it

    @property
    def modalities(self) -> list[str | tuple[str, ...]]:
        """Modalities, and all combinations of them, that an input can have."""
        names = sorted(MULTIMODAL_DICT_KEYS & self.onepeace.processors.keys())
        subsets = [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]
        return [subset[0] if len(subset) == 1 else subset for subset in subsets]

    def get_embedding_dimension(self) -> int:
        """Return the embedding dimension D."""
        return self.onepeace.dim

    def preprocess(self, inputs: Sequence[STInput], prompt: str | None = None, **kwargs: object) -> Features:
        """Sort a batch by modality, without decoding.

        Args:
            inputs: N inputs of the same modalities.
            prompt: Put in front of texts.
            kwargs: Options of :meth:`forward`.
        """
        modality = infer_batch_modality(inputs, supported_modalities=self.modalities)
        names = (modality,) if isinstance(modality, str) else modality
        rows = [
            row if isinstance(row, dict) and row.keys() == set(names) else {names[0]: row} for row in inputs
        ]
        features: Features = {name: [_raw_input(row[name]) for row in rows] for name in names}
        if prompt and "text" in features:
            features["text"] = [prompt + text for text in features["text"]]
        return features

    def forward(
        self, features: Features, fuse: Fuse | None = None, calibrate: bool | None = None, **kwargs: object
    ) -> Features:
        """Embed a batch: ``sentence_embedding`` (N, D), unit vectors.

        Args:
            features: Raw values by modality.
            fuse: How several modalities become one vector; None for what the model was trained for.
            calibrate: Calibrate the vectors; None does so where the folder has a calibration.
            kwargs: Options of other modules.

        Raises:
            UserError: In training, or an option cannot be used.
        """
        if self.training and torch.is_grad_enabled():
            raise UserError(
                "sentence-transformers cannot train this model: fine-tune it by `python -m onepeace_pl fit`"
            )
        inputs = {name: features.pop(name) for name in self.onepeace.modalities if name in features}
        count = len(next(iter(inputs.values())))
        vectors: Tensor = self.onepeace.encode(fuse=fuse, calibrate=calibrate, batch_size=count, **inputs)
        features["sentence_embedding"] = vectors.to(self.onepeace.device)
        return features

    def save(self, output_path: str | Path, *args: object, **kwargs: object) -> None:
        """Write a model folder; the settings of sentence-transformers, such as prompts, stay as it has written them."""
        settings = Path(output_path) / SETTINGS
        written = settings.read_text(encoding="utf-8") if settings.is_file() else None
        self.onepeace.save_pretrained(output_path)
        if written is not None:
            write_text(settings, written)

    @classmethod
    def load(
        cls,
        model_name_or_path: str | Path,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, object] | None = None,
        processor_kwargs: Mapping[str, object] | None = None,
        config_kwargs: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> Self:
        """Load a model folder on the CPU, or one of the Hugging Face Hub.

        Args:
            model_name_or_path: Model folder, or name on the Hub.
            subfolder: Folder in it.
            token: Token of the Hub.
            cache_folder: Folder for downloads.
            revision: Revision on the Hub.
            local_files_only: Download nothing.
            trust_remote_code: As in :meth:`OnePeace.from_pretrained`.
            model_kwargs: ``dtype`` of the weights, a ``torch.dtype`` or its name.
            processor_kwargs: Must be empty: the folder has the preprocessing.
            config_kwargs: Must be empty: the folder has the config.
            kwargs: Further options of sentence-transformers, which do not concern a model folder.

        Raises:
            UserError: The folder cannot be loaded, or an option cannot be used.
        """
        options = dict(model_kwargs or {})
        dtype = options.pop("dtype", None) or options.pop("torch_dtype", None)
        unused = [*options, *(processor_kwargs or {}), *(config_kwargs or {})]
        if unused:
            raise UserError(
                f"{unused[0]!r} is no option of a OnePeace model folder; of model_kwargs it takes dtype alone"
            )
        folder = cls.load_dir_path(
            str(model_name_or_path), subfolder, token, cache_folder, revision, local_files_only
        )
        model = OnePeace.from_pretrained(folder, "cpu", _dtype(dtype), trust_remote_code=trust_remote_code)
        return cls(model)

    def on_model_ready(self, model: SentenceTransformer) -> None:
        """Let ``save_pretrained`` write the model card of the folder rather than that of sentence-transformers."""
        if model._model_card_text is None:
            model._model_card_text = self.onepeace.model_card()


def _raw_input(value: STInput) -> RawInput:
    """Return a value as a processor takes it: audio with its rate is a tuple."""
    if isinstance(value, Mapping) and "sampling_rate" in value:
        return np.asarray(value["array"], np.float32), int(value["sampling_rate"])
    return value


def _dtype(given: object) -> torch.dtype | None:
    if given is None or given == "auto":
        return None
    found = getattr(torch, given, None) if isinstance(given, str) else given
    if not isinstance(found, torch.dtype):
        raise UserError(f"model_kwargs: dtype={given!r} is no dtype of torch; give one such as 'bfloat16'")
    return found
