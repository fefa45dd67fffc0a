"""The model folder that fine-tuning starts from: modalities, preprocessing, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.folder import load_processors, read_config
from onepeace_pl.checkpoints.head import head_of_folder
from onepeace_pl.checkpoints.preprocessing import set_tokenizer
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.specs import spec_of
from onepeace_pl.hub.transfer import find_folder
from onepeace_pl.modalities import ImageAdapter, ImageProcessor, Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer, Tokenizer
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.utils.json_files import JsonObject


@dataclass(frozen=True)
class InitModel:
    """A model folder, without its weights.

    Attributes:
        folder: The folder, in the cache where it comes from the Hub.
        backbone: The backbone on the meta device.
        config: Its config as saved.
        processors: Its preprocessing by modality.
        tokenizer: File of its tokenizer; None where it has none.
        has_head: Whether it holds the head of a task.
    """

    folder: Path
    backbone: Backbone
    config: JsonObject
    processors: Mapping[str, Processor]
    tokenizer: Path | None
    has_head: bool

    @classmethod
    def read(cls, name: str, tokenizer: str | None = None, trust: bool = False) -> Self:
        """Read a model folder.

        Args:
            name: Model folder, run folder, or ``owner/name`` on the Hugging Face Hub.
            tokenizer: Tokenizer of a folder without one.
            trust: Import its classes whatever their module.

        Raises:
            FileNotFoundError: There is no such folder.
            UserError: It is no model folder, or a class is not trusted.
        """
        folder = find_folder(name)
        config = read_config(folder)
        saved = load_processors(folder, config, trust)
        with torch.device("meta"):
            backbone = Backbone.from_config(config["backbone"], trust)
        adapters = {name: backbone.encoder.adapter(name) for name in backbone.modalities}
        made = {name: saved.get(name) or adapter.default_processor() for name, adapter in adapters.items()}
        processors = {name: processor for name, processor in made.items() if processor is not None}
        own = folder / "tokenizer.json"
        path = Path(tokenizer) if tokenizer else own if own.is_file() else None
        if path is not None:
            set_tokenizer(processors.values(), Tokenizer.load(path))
        return cls(folder, backbone, config["backbone"], processors, path, bool(head_of_folder(folder).state))

    @property
    def modalities(self) -> list[str]:
        """Modalities that it reads."""
        return self.backbone.modalities

    @property
    def size(self) -> int | None:
        """Side of its images in pixels; None where it reads none, or images of any size."""
        processor = self.processors.get("image")
        return processor.size if isinstance(processor, ImageProcessor) else None

    def require(self, modality: str, what: str) -> None:
        """Check that the model reads a modality.

        Args:
            modality: The modality.
            what: What is of that modality, for the error.

        Raises:
            UserError: It does not, or has no preprocessing of it, or no tokenizer.
        """
        if modality not in self.modalities:
            raise UserError(
                f"{what}: {modality}, which {self.folder} does not read; it reads {', '.join(self.modalities)}: start "
                "from another model (--init)"
            )
        if modality not in self.processors:
            raise UserError(
                f"{self.folder} has no preprocessing of {modality}; start from the model folder of a run that read it"
            )
        if self.tokenizer is None and isinstance(self.processors[modality], HasTokenizer):
            raise UserError(f"{self.folder} has no tokenizer; give the one it was trained with (--tokenizer)")

    def processor_spec(self, modality: str, **changes: object) -> JsonObject:
        """Return class and options of its processor of a modality, some of them changed."""
        processor = self.processors[modality]
        if isinstance(processor, HasTokenizer):
            changes = {"tokenizer": str(self.tokenizer), **changes}
        return spec_of(processor, **changes)

    def backbone_spec(
        self, modalities: Sequence[str], image_size: int | None, stage: object = None
    ) -> JsonObject:
        """Return class and options of the backbone, with some of its modalities and without decoder.

        Args:
            modalities: Those that the task reads.
            image_size: Side of images; smaller ones than the adapter's, and None, leave it as it is.
            stage: What is trained; None for everything.
        """
        transformer = self.config["transformer"]
        usual = asdict(TransformerConfig(transformer["preset"]))
        adapters = {}
        for name in self.modalities:
            if name in modalities:
                adapter = self.backbone.encoder.adapter(name)
                resized = isinstance(adapter, ImageAdapter) and (image_size or 0) > adapter.image_size
                adapters[name] = spec_of(adapter, **({"image_size": image_size} if resized else {}))
        options: JsonObject = {
            "transformer": {k: v for k, v in transformer.items() if k == "preset" or v != usual[k]},
            "decoder": {"depth": 0},
            "adapters": adapters,
        }
        if stage is not None:
            options["stage"] = stage
        return {"class_path": "Backbone", "init_args": options}
