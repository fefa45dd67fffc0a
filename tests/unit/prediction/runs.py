"""Run folders of small models with random weights, and what the Trainer predicts with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import soundfile
import torch
from PIL import Image

from onepeace_pl.callbacks.predictions import Predictions
from onepeace_pl.checkpoints.head import save_head
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.source import Row, RowList
from onepeace_pl.modalities import Processor
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.task import Task
from tests.unit.hub.conftest import make_model

KINDS = ("bell", "drum", "horn", "bee", "frog", "cat")


def make_run(
    folder: Path,
    task: type[Task],
    options: Mapping[str, Any] | None = None,
    classes: Sequence[str] = KINDS,
    processors: Mapping[str, Processor] | None = None,
    make: Callable[..., Task] | None = None,
    **config: Any,
) -> None:
    """Write a run's model folder.

    Args:
        folder: The run.
        task: Class of the task.
        options: Its options, as in a config.
        classes: Class names.
        processors: Replace those of the small model.
        make: Makes the task; None passes the options on.
        config: Further entries of the task's config.
    """
    model = make_model()
    model.processors.update(processors or {})
    info = DataInfo(
        tuple(model.processors), model.processors["text"].tokenizer.vocabulary_size, tuple(classes)
    )
    made = (make or task)(model.backbone, info, **({} if make else options or {}))
    with torch.no_grad():  # at the start all answers are alike
        for parameter in (*model.backbone.parameters(), *made.parameters()):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder / "model")
    spec = {"class_path": f"{task.__module__}.{task.__qualname__}", "init_args": dict(options or {})}
    save_head(folder / "model", made.state_dict(), {**spec, "data_info": info.to_config(), **config})


def trainer_predictions(
    folder: Path,
    make: Callable[..., Task],
    rows: Sequence[Row],
    classes: Sequence[str] = KINDS,
    transform: JointTransform | None = None,
    batch_size: int = 2,
    processors: Mapping[str, Processor] | None = None,
) -> list[dict[str, Any]]:
    """Return the lines that ``predict`` writes for a set of these rows."""
    model = make_model()
    given = {**model.processors, **(processors or {})}
    data = SourceDataModule(
        {name: given[name] for name in rows[0].fields},
        test={"files": RowList(rows, tuple(rows[0].fields), classes)},
        batch_size=batch_size,
        transform=transform,
    )
    module = Experiment(lambda: make_model().backbone, make, init_from=str(folder / "model"))
    runner = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=folder, callbacks=[Predictions()],
    )  # fmt: skip
    runner.predict(module, datamodule=data)
    return [json.loads(line) for line in (folder / "predictions/files.jsonl").read_text().splitlines()]


def write_images(folder: Path, count: int = 3) -> list[str]:
    """Write images of several sizes; return their paths."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (40 + 8 * number, 64, 3), dtype=np.uint8)).save(path)
    return list(map(str, paths))


def write_sounds(folder: Path, count: int = 3) -> list[str]:
    """Write sounds of one length; return their paths."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    paths = [str(folder / f"{number}.wav") for number in range(count)]
    for path in paths:
        soundfile.write(path, rng.normal(size=16000) / 5, 16000)
    return paths
