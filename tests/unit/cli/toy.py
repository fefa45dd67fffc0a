"""A small suite with the shape of the real one: lazy parts, mappings of parts, one LightningModule."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from onepeace_pl.training.resume import ResumableModule


@dataclass(frozen=True)
class Sizes:
    width: int = 16
    depth: int = 1
    heads: int = 2


class Adapter(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()


class Off(Adapter):
    """Takes out an adapter that an earlier file has brought in."""


class ImageAdapter(Adapter):
    def __init__(self, sizes: Sizes, patch: int = 4, channels: int = 3) -> None:
        super().__init__(sizes)
        self.project = nn.Conv2d(channels, sizes.width, patch, patch)

    def forward(self, image: Tensor) -> Tensor:
        return self.project(image).flatten(2).transpose(1, 2)


class TextAdapter(Adapter):
    def __init__(self, sizes: Sizes, vocabulary: int = 32) -> None:
        super().__init__(sizes)
        self.embed = nn.Embedding(vocabulary, sizes.width)

    def forward(self, text: Tensor) -> Tensor:
        return self.embed(text)


class Backbone(nn.Module):
    def __init__(
        self,
        adapters: dict[str, Callable[[Sizes], Adapter]],
        transformer: Sizes = Sizes(),
        stage: str = "all",
    ) -> None:
        super().__init__()
        if stage == "none":
            raise ValueError(f"stage '{stage}' trains nothing; choose 'all'")
        self.sizes, self.stage = transformer, stage
        made = {name: make(transformer) for name, make in adapters.items()}
        self.adapters = nn.ModuleDict({name: a for name, a in made.items() if not isinstance(a, Off)})
        layer = nn.TransformerEncoderLayer(transformer.width, transformer.heads, 32, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, transformer.depth)

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.encoder(torch.cat([self.adapters[name](x) for name, x in inputs.items()], 1)).mean(1)


@dataclass(frozen=True)
class DataInfo:
    classes: list[str] = field(default_factory=list)


class Task(nn.Module):
    monitor = ("loss", "min")

    def __init__(self, backbone: Backbone, data_info: DataInfo) -> None:
        super().__init__()


class Classification(Task):
    def __init__(
        self, backbone: Backbone, data_info: DataInfo, modality: str = "image", dropout: float = 0.0
    ) -> None:
        super().__init__(backbone, data_info)
        self.modality, self.dropout = modality, nn.Dropout(dropout)
        self.head = nn.Linear(backbone.sizes.width, len(data_info.classes))

    def forward(self, backbone: Backbone, batch: dict[str, Tensor]) -> Tensor:
        features = backbone(**{self.modality: batch[self.modality]})
        return nn.functional.cross_entropy(self.head(self.dropout(features)), batch["label"])


class MultiTask(Task):
    def __init__(
        self, backbone: Backbone, data_info: DataInfo, tasks: dict[str, Callable[[Backbone, DataInfo], Task]]
    ) -> None:
        super().__init__(backbone, data_info)
        self.tasks = nn.ModuleDict({name: make(backbone, data_info) for name, make in tasks.items()})

    def forward(self, backbone: Backbone, batch: dict[str, Tensor]) -> Tensor:
        return torch.stack([task(backbone, batch) for task in self.tasks.values()]).mean()


class ToyExperiment(ResumableModule):
    def __init__(
        self,
        backbone: Callable[[], Backbone],
        task: Callable[[Backbone, DataInfo], Task],
        optimizer: OptimizerCallable = torch.optim.AdamW,
        init_from: str | None = None,
        random_weights: bool = False,
        seconds_per_step: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.make_backbone, self.make_task, self.make_optimizer = backbone, task, optimizer
        self.data_info: DataInfo | None = None
        self.backbone: Backbone | None = None
        self.seconds_per_step = seconds_per_step

    def configure_model(self) -> None:
        if self.backbone is None:
            self.data_info = self.data_info or self.trainer.datamodule.data_info
            self.hparams["data_info"] = asdict(self.data_info)
            self.backbone = self.make_backbone()
            self.task = self.make_task(self.backbone, self.data_info)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        time.sleep(self.seconds_per_step)
        loss = self.task(self.backbone, batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        time.sleep(self.seconds_per_step)
        self.log("val/loss", self.task(self.backbone, batch))

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        return self.make_optimizer(self.parameters())


class RandomData(L.LightningDataModule):
    def __init__(self, classes: list[str], size: int = 8, batch_size: int = 4) -> None:
        super().__init__()
        self.data_info, self.size, self.batch_size = DataInfo(classes), size, batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        g, s = torch.Generator().manual_seed(0), self.size
        image, depth = torch.randn(16, 3, s, s, generator=g), torch.randn(16, 1, s, s, generator=g)
        text = torch.randint(32, (16, 5), generator=g)
        label = torch.randint(len(self.data_info.classes), (16,), generator=g)
        columns = {"image": image, "depth": depth, "text": text, "label": label}
        rows = [{name: column[i] for name, column in columns.items()} for i in range(16)]
        return DataLoader(rows, self.batch_size)

    val_dataloader = train_dataloader
    test_dataloader = train_dataloader


class FileData(L.LightningDataModule):
    """Data that need a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.text = Path(path).read_text()


class ListLogger(Logger):
    """Keeps what is logged."""

    name, version = "list", "0"

    def __init__(self) -> None:
        super().__init__()
        self.metrics: list[dict[str, float]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.metrics.append(dict(metrics))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


class Strike(L.Callback):
    """Sends a signal to this process at the start of a step, or in the middle of a validation; once in a run."""

    def __init__(self, number: int, step: int, twice: bool = False, validating: bool = False) -> None:
        self.number, self.step, self.twice, self.validating = number, step, twice, validating

    def strike(self, trainer: L.Trainer, validating: bool) -> None:
        struck = Path("struck")
        if trainer.global_step == self.step and validating == self.validating and not struck.exists():
            struck.touch()
            for _ in range(1 + self.twice):
                signal.raise_signal(self.number)  # os.kill may reach another thread, and two become one

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.strike(trainer, False)

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.strike(trainer, True)
