"""A small run that may be stopped at any moment and resumed, and what it leaves: rows read, logs, checkpoints.

Stochastic depth and low-rank dropout are on, or Mask2Former's point sampling.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.backbone.stages import LoRAStage
from onepeace_pl.callbacks.last import LastCheckpoint
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.results_file import ResultsFile
from onepeace_pl.checkpoints.io import AtomicCheckpointIO
from onepeace_pl.cli.defaults import checkpoint_callbacks, loggers
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.multitask import MultiTask
from onepeace_pl.utils.files import recover, replacing

from ..distributed.test_resume import quiet_port
from ..unit.samples import make

ROWS, BATCH = 16, 2
LAST = Path("checkpoints/last.ckpt")


class Sentences(Source):
    """A few rows of two classes."""

    modalities = ("text",)
    classes = ("odd", "even")

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        kind = self.classes[index % 2]
        return Row(f"s{index}", {"text": f"{kind} sentence {index}"}, {"class": kind})


class Rows(L.Callback):
    """Writes down, line by line, which rows each process has trained on, and where that stands in the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        line = [[trainer.current_epoch, batch_idx], [batch.epoch, batch.indices.tolist()]]
        with (self.folder / f"rows-{trainer.global_rank}.txt").open("a") as file:
            file.write(json.dumps(line) + "\n")


def words(workers: int) -> tuple[Experiment, L.LightningDataModule]:
    """A classifier of sentences: low-rank adapters, and everything that drops is on."""
    data = SourceDataModule(
        {"text": TextProcessor()},
        Sentences(ROWS),
        {"held": Sentences(6)},
        batch_size=BATCH,
        num_workers=workers,
    )
    stage = LoRAStage(2, dropout=0.3)
    backbone = partial(make, ("text",), decoder=False, noise=0.0, stage=stage, drop_path=0.3, dropout=0.1)
    return Experiment(backbone, partial(Classification, modality="text", top=1)), data


def masks(workers: int) -> tuple[Experiment, L.LightningDataModule]:
    """A segmentation whose loss is computed at random points."""
    from onepeace_pl.dense import ViTAdapter
    from onepeace_pl.modalities import AnySizeProcessor
    from onepeace_pl.tasks.segmentation import Mask2Former, Segmentation
    from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule

    torch.manual_seed(0)
    data = TriWorldTaskDataModule(
        "mask", size=8, image_size=64, processors={"image": AnySizeProcessor()}, transform=JointTransform(),
        batch_size=2, num_workers=workers,
    )  # fmt: skip
    sizes = {"queries": 6, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "points": 64}
    head = partial(Mask2Former, width=16, **sizes)
    task = partial(Segmentation, neck=partial(ViTAdapter, channels=8), head=head)
    description = from_preset("debug", ("image",), decoder=False).to_config()
    description["transformer"]["drop_path"] = 0.2
    return Experiment(partial(Backbone.from_config, description), task), data


def several(workers: int) -> tuple[Experiment, L.LightningDataModule]:
    """Two classifiers, each in epochs of its own."""
    tasks = {
        name: SourceDataModule(
            {"text": TextProcessor()}, Sentences(rows), {"held": Sentences(4)}, batch_size=BATCH
        )
        for name, rows in {"long": ROWS, "short": 10}.items()
    }
    backbone = partial(make, ("text",), decoder=False, noise=0.0, drop_path=0.3)
    task: Any = partial(Classification, modality="text", top=1)
    return Experiment(backbone, partial(MultiTask, tasks=dict.fromkeys(tasks, task))), MultiTaskDataModule(
        tasks
    )


class Dying(AtomicCheckpointIO):
    """Kills the process, as SIGKILL does, in the middle of the ``count``-th checkpoint that it writes."""

    def __init__(self, count: int) -> None:
        self.left = count

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.left -= 1
        if self.left == 0:
            with replacing(path) as new:
                new.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
        super().save_checkpoint(checkpoint, path, storage_options)


KINDS = {
    "several": (several, ("val/mean_of_tasks", "max")),
    "words": (words, ("val/accuracy", "max")),
    "masks": (masks, ("val/mIoU", "max")),
}


def fit(
    folder: Path,
    kind: str = "words",
    workers: int = 0,
    callbacks: Sequence[L.Callback] = (),
    every_n_steps: int | None = None,
    devices: int = 1,
    averages: bool = False,
    dies_at: int = 0,
    **options: Any,
) -> L.Trainer:
    """Fit in ``folder``, from its ``last.ckpt`` if there is one, with what the command line gives a run.

    Args:
        folder: The run folder.
        kind: What is trained.
        workers: That prepare rows.
        callbacks: More of them.
        every_n_steps: When ``last.ckpt`` is written besides.
        devices: Number of processes, of which this is one.
        averages: Keep averages of the weights.
        dies_at: Which checkpoint is not written to its end; 0 for none.
        options: The Trainer's.
    """
    torch.manual_seed(0)
    checkpoint = folder / LAST
    resumes = checkpoint.exists()
    if devices == 1:
        prepare_folder(folder)
    prepare, monitor = KINDS[kind]
    module, data = prepare(workers)
    saves = [
        c for c in checkpoint_callbacks(folder / "checkpoints", monitor) if not isinstance(c, LastCheckpoint)
    ]
    given = {"val_check_interval": 4, "num_sanity_val_steps": 1, "log_every_n_steps": 1} | options
    more = [*callbacks, *([EMAWeightAveraging(decay=0.5)] if averages else [])]
    if devices > 1:
        given |= {"strategy": "ddp", "devices": devices}
    trainer = L.Trainer(
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        plugins=[Dying(dies_at)], default_root_dir=folder,
        logger=loggers(folder, (), checkpoint if resumes else None)[:1],
        callbacks=[Rows(folder), Report(), ResultsFile(), *saves, LastCheckpoint(every_n_steps), *more],
        **given,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint if resumes else None)
    return trainer


def prepare_folder(folder: Path) -> None:
    """Leave a run that can be resumed; begin anew where there is none, as the command line does."""
    if not (folder / LAST).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    recover(folder / "checkpoints")


def record(folder: Path) -> dict[str, Any]:
    """Return everything that a run leaves and that must not depend on where it was stopped."""
    last = torch.load(folder / LAST, weights_only=True)
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    results = json.loads((folder / "results.json").read_text())
    with (folder / "metrics.csv").open(newline="") as file:
        logged = [{k: v for k, v in row.items() if v and k != "samples/s"} for row in csv.DictReader(file)]
    return {
        "rows": {path.name: _trained_on(path) for path in sorted(folder.glob("rows-*.txt"))},
        "logged": [row for row in logged if row],
        "results": {name: value for name, value in results.items() if name != "seconds"},
        "best": _timeless(best["state_dict"]),
        "last": _timeless(last),
    }


def _trained_on(path: Path) -> list[Any]:
    """Rows in the order of the run; what was read after the last checkpoint of a killed process is read again."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("]]]")]
    return sorted({tuple(at): [at, rows] for at, rows in lines}.values())


def _timeless(value: Any) -> Any:
    """Leave out what tells of time or place: seconds, paths, and counters that Lightning does not resume by."""
    if isinstance(value, dict):
        left_out = ("seconds", "run", "dirpath", "loops", "best_k_models", "current_score")
        kept = {k: v for k, v in value.items() if k not in left_out and "path" not in str(k)}
        return {str(k).partition("{")[0]: _timeless(v) for k, v in kept.items()}
    if isinstance(value, (list, tuple)):
        return [_timeless(each) for each in value]
    return value


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two records differ, bit by bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        gone = [f"{place}/{key} is in one alone" for key in one.keys() ^ other.keys()]
        return gone + [
            d for k in one.keys() & other.keys() for d in differences(one[k], other[k], f"{place}/{k}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            d
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for d in differences(a, b, f"{place}/{i}")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [place]
    return [] if one == other else [f"{place}: {str(one)[:300]} != {str(other)[:300]}"]


def run_processes(
    folder: Path,
    number: int = 0,
    rows: int = 0,
    delay: float = 0.0,
    seconds: float = 300,
    **options: Any,
) -> list[int | None]:
    """Fit in processes of their own, and return their exit codes.

    Args:
        folder: The run folder.
        number: Signal to send; SIGKILL goes to all, the others to the last of them.
        rows: When to send it: so many batches after the beginning, of the first process.
        delay: Seconds after that.
        seconds: After which they must have ended.
        options: Of :func:`fit`.
    """
    context = multiprocessing.get_context("forkserver")  # from one that has imported what takes seconds
    context.set_forkserver_preload([__name__])
    prepare_folder(folder)
    read, port, devices = folder / "rows-0.txt", quiet_port(), options.get("devices", 1)
    until = rows + (read.read_text().count("\n") if read.exists() else 0)
    processes = [context.Process(target=_fit, args=(r, port, str(folder), options)) for r in range(devices)]
    for process in processes:
        process.start()
    end = time.monotonic() + seconds
    try:
        while number and all(p.is_alive() for p in processes) and time.monotonic() < end:
            if read.exists() and read.read_text().count("\n") >= until:
                time.sleep(delay)
                for process in processes if number == signal.SIGKILL else processes[-1:]:
                    os.kill(process.pid or 0, number)
                break
            time.sleep(0.002)
        for process in processes:
            process.join(max(0.1, end - time.monotonic()))
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()


def _fit(rank: int, port: int, folder: str, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    multiprocessing.set_start_method(
        "fork", force=True
    )  # of the loader's workers, so that they end with the run
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if options.get("devices", 1) > 1:
        os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    code = 0
    try:
        fit(Path(folder), **options)
    except SystemExit:
        code = 1
    os._exit(code)  # gloo's threads may outlive what they use
