"""The LightningModule: backbone, task and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.parallel import shard, shard_heads
from onepeace_pl.checkpoints.base import BaseWeights, check_base
from onepeace_pl.checkpoints.head import load_head, plain
from onepeace_pl.checkpoints.loading import load_weights
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.loading.samplers import is_own
from onepeace_pl.data.needs import Split, TaskDataModule
from onepeace_pl.dense.drawing import Picture
from onepeace_pl.errors import UserError
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.result import RetrievalResult
from onepeace_pl.modalities.base import Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer, Tokenizer
from onepeace_pl.optim import AdamW, Schedule, WarmupCosine, build_optimizer
from onepeace_pl.optim.finite import UpdateGuard, check_finite, gradient_norm
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.resume import CheckpointDict, ResumableModule
from onepeace_pl.training.task import Task, TaskOutput, head_modules
from onepeace_pl.utils.ranks import rank_and_size

BACKBONE = "backbone."


class Experiment(ResumableModule):
    """Trains and evaluates a backbone with a task; both are built in ``configure_model``.

    Args:
        backbone: Factory of the backbone.
        task: Factory of the task, from the backbone and the dataset metadata.
        optimizer: Factory of the optimiser, from parameter groups.
        schedule: Learning rate schedule over the whole run.
        layer_decay: Ratio of the learning rates of two neighbouring layers.
        init_from: Model folder, run checkpoint or official checkpoint with the initial weights.
        reset_logit_scale: Reset the logit scale after ``init_from``, as the paper's second stage does.
        random_weights: Let ``validate`` and ``test`` evaluate a model, or a head, that was never trained.
        new_head: Initialise the task's head although ``init_from`` has one of such a task; dense tasks keep its
            class-agnostic parameters.
        data_info: Dataset metadata, saved in the checkpoint; by default those of the data module.
        compile: ``blocks`` trains blocks that ``torch.compile`` makes one graph of each; the first steps take minutes.
        max_skipped_updates: Updates whose loss or gradient norm is not finite are skipped; after so many in a row the
            run stops. The default lets float16's loss scale fall from 65,536 to 1.

    Attributes:
        resumes: A checkpoint is about to replace all weights (``--ckpt_path``), so that ``init_from`` need not be read;
            unless checkpoints of the stage omit its weights.
        trust: Import any class that the model folder of ``init_from`` names (``--trust``).
        base_weights: Source of the weights that checkpoints and the model folder omit, or None.
        omitted: Names of these weights in the backbone.
    """

    def __init__(
        self,
        backbone: Callable[[], Backbone],
        task: Callable[[Backbone, DataInfo], Task],
        optimizer: OptimizerCallable = AdamW,
        schedule: Schedule = WarmupCosine(),  # noqa: B008 - holds options only
        layer_decay: float = 1.0,
        init_from: str | None = None,
        reset_logit_scale: bool = False,
        random_weights: bool = False,
        new_head: bool = False,
        data_info: DataInfo | None = None,
        compile: Literal["none", "blocks"] = "none",
        max_skipped_updates: int = 16,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()  # under the CLI these are class paths and options
        if callable(self.hparams["backbone"]):  # made by hand: a function does not belong in a checkpoint
            self.hparams.clear()
        self.make_backbone, self.make_task, self.make_optimizer = backbone, task, optimizer
        self.schedule, self.layer_decay = schedule, layer_decay
        self.init_from, self.reset_logit_scale = init_from, reset_logit_scale
        self.random_weights, self.new_head = random_weights, new_head
        self.data_info = data_info
        self.compiles = compile == "blocks"
        self.guard = UpdateGuard(max_skipped_updates)
        self.resumes = self.trust = False
        self.base_weights: BaseWeights | None = None
        self.omitted: frozenset[str] = frozenset()
        self.backbone: Backbone | None = None
        self.task: Task | None = None
        self._evaluator: Evaluator | None = None

    def configure_model(self) -> None:
        """Build backbone and task, load ``init_from``, freeze what does not train, and shard where asked."""
        if self.backbone is not None:  # Lightning calls this once for every verb
            return
        data = None if self._trainer is None else self._data
        if self.data_info is None:
            if data is None:
                raise UserError(
                    f"there is no {TaskDataModule.__name__}: give the Trainer one, or the experiment data_info"
                )
            self.data_info = data.data_info
        if self.hparams:
            self.hparams["data_info"] = asdict(self.data_info)
        backbone = self.make_backbone()
        _check_vocabulary(backbone, self.data_info)
        task = self.make_task(backbone, self.data_info)
        if data is not None:
            offer = data.offer(self._verb)
            check_compatible(task.needs, offer)
            task.prepare(offer)
        report, reads = None, not self.resumes or backbone.stage.saves_partially
        if self.init_from is not None and reads and not backbone.logit_scale.is_meta:
            if data is not None:
                _check_tokenizer(data.processors, self.init_from)
            report = load_weights(backbone, self.init_from)
            for line in report.lines():
                self._print(line)
            if self.reset_logit_scale:
                backbone.reset_parameters()
            if not self.resumes:
                self._load_head(task, self.init_from)
        task.apply_stage(backbone)
        if self.compiles:
            backbone.compile_blocks()
        if report is not None and report.base is not None:
            self.base_weights = report.base
            self.omitted = report.omitted(backbone) - ({"logit_scale"} if self.reset_logit_scale else set())
            self.strict_loading = False  # checkpoints omit the base weights
        if data is not None:
            data.connect(task.needs)
        mesh = getattr(self, "device_mesh", None)
        if mesh is not None:
            _check_averaging(self.trainer)
            shard(backbone, mesh["data_parallel"])
            shard_heads(head_modules(task), mesh["data_parallel"])
        self.backbone, self.task = backbone, task

    def _load_head(self, task: Task, source: str) -> None:
        """Load the head of ``source``; without one, refuse to evaluate a head that was never trained."""
        line = load_head(task, source, task.is_class_agnostic if self.new_head else None, self.data_info)
        measures = self._verb in ("validate", "test", "predict")
        if line.startswith("head: new") and measures and not self.random_weights:
            raise UserError(
                f"{line}, so {type(task).__name__} would be measured with random weights: give the model "
                "folder of a fit of this task, or --ckpt_path, or set --model.random_weights true"
            )
        if line:
            self._print(line)

    def describe_task(self) -> dict[str, object]:
        """Return the task in plain data for the model folder: class path, options, dataset metadata.

        The options are known only where a config has made the experiment.
        """
        config = self.hparams.get("task")
        options = {} if config is None else {"init_args": plain(config).get("init_args", {})}
        kind = type(self._task)
        data_info: Mapping[str, object] = {} if self.data_info is None else self.data_info.to_config()
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", **options, "data_info": data_info}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the weights of a checkpoint: all but the omitted ones."""
        state: dict[str, Tensor] = super().state_dict(*args, **kwargs)
        return {name: t for name, t in state.items() if name.removeprefix(BACKBONE) not in self.omitted}

    def on_save_checkpoint(self, checkpoint: CheckpointDict) -> None:
        """Add the state of the run, and the source of the omitted weights."""
        super().on_save_checkpoint(checkpoint)
        check_finite(self)
        checkpoint["skipped_updates"] = (self.guard.skipped, self.guard.in_a_row)
        if self.base_weights is not None:
            checkpoint["base"] = self.base_weights.to_config()
        if self._backbone.matryoshka_dims:
            checkpoint["matryoshka_dims"] = list(self._backbone.matryoshka_dims)
        if self._backbone.joint:
            checkpoint["joint"] = [list(names) for names in self._backbone.joint]

    def on_load_checkpoint(self, checkpoint: CheckpointDict) -> None:
        """Reject a checkpoint of other data, or one with other base weights."""
        if not {"state_dict", "hyper_parameters", "pytorch-lightning_version"} & checkpoint.keys():
            raise UserError(
                f"not a checkpoint of a run (it holds {', '.join(map(str, checkpoint)) or 'nothing'}); "
                "weights alone go to model.init_from"
            )
        super().on_load_checkpoint(checkpoint)
        check_base(self.base_weights, checkpoint.get("base"))
        if self.backbone is not None:
            self.backbone.add_joint(checkpoint.get("joint", ()))
        self.guard.skipped, self.guard.in_a_row = checkpoint.get("skipped_updates", (0, 0))
        stored = checkpoint.get("hyper_parameters", {}).get("data_info")
        if isinstance(stored, Mapping) and self.data_info is not None:
            self.data_info.check_learnt(stored)

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False
    ) -> object:
        """Load weights; those of another config are refused in one line."""
        own, needed = super().state_dict(), self.state_dict()
        wrong = {
            "missing": [name for name in needed if name not in state_dict],
            "left over": [name for name in state_dict if name not in own],
            "of another size": [n for n, t in state_dict.items() if n in own and own[n].shape != t.shape],
        }
        if (strict or self.base_weights is not None) and any(wrong.values()):
            parts = "; ".join(f"{len(v)} {k} ({v[0]})" for k, v in wrong.items() if v)
            raise UserError(
                f"the checkpoint does not fit this config: {parts}; give the config of its run, RUN/config.yaml"
            )
        return super().load_state_dict(state_dict, strict and self.base_weights is None, assign)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        step: TaskOutput = self._task(self._backbone, batch)
        self.guard.add(step.loss, batch.ids)
        size = len(batch.ids)
        self.log("train/loss", step.loss, prog_bar=True, batch_size=size)
        self.log_dict({f"train/{name}": value for name, value in step.logs.items()}, batch_size=size)
        return step.loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients; leave none where the update is to be skipped."""
        group = optimizer.param_groups[0]
        flat = isinstance(self.trainer.strategy, FSDPStrategy)
        norm = gradient_norm(self.parameters(), flat)
        passes = self.guard.passes(norm)
        # tensors on the host: these two need not visit the device
        host = {"lr": group["lr"] / group.get("lr_scale", 1.0), "skipped_updates": self.guard.skipped}
        self.log("train/grad_norm", norm)
        self.log_dict({f"train/{name}": torch.tensor(float(value)) for name, value in host.items()})
        if passes:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        self._print(f"step {self.trainer.global_step}: update skipped, loss or gradient norm is not finite")
        optimizer.zero_grad()  # without gradients an optimiser changes neither weights nor moments

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], object] | None = None,
    ) -> None:
        """Update the weights."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self._backbone.clamp_logit_scale()

    def on_validation_start(self) -> None:
        """Make a new evaluator."""
        super().on_validation_start()
        self._evaluate("validation")

    def on_test_start(self) -> None:
        """Make a new evaluator."""
        self._evaluate("test")

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Pass one batch to the evaluator."""
        assert self._evaluator is not None
        self._evaluator.update(self._backbone, batch, dataloader_idx)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Log the metrics."""
        self._log_results("val")

    def on_test_epoch_end(self) -> None:
        """Log the metrics."""
        self._log_results("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, object]:
        """Predict the rows of a batch, or embed them: ids, and answers, or unit vectors (B, D) by modality."""
        each = None if self._data is None else self._data.predicted[dataloader_idx]
        answers = self._task.predict(self._backbone, batch, each)
        vectors = self._backbone.embed(batch.inputs) if answers is None else {}
        own = self._own_rows(batch)
        ids = [batch.ids[row] for row in own]
        if answers is not None:
            return {"ids": ids, "answers": [answers[row] for row in own]}
        return {"ids": ids, "embeddings": {name: vector[own] for name, vector in vectors.items()}}

    def _own_rows(self, batch: Batch) -> list[int]:
        """Return the rows of a batch that this rank alone predicts; of a spare batch none."""
        if batch.spare:
            return []
        rank, world_size = rank_and_size(None if self._data is None else self._trainer)
        return [
            row
            for row, index in enumerate(batch.indices.tolist()[: len(batch)])
            if is_own(index, rank, world_size)
        ]

    def build_optimizer(self) -> Optimizer:
        """Make the optimiser: groups of the trainable parameters, and their learning rates."""
        return build_optimizer(self, self.make_optimizer, self.layer_decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and the schedule over the whole run."""
        optimizer = self.build_optimizer()
        total = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule(optimizer, total), "interval": "step"},
        }

    @property
    def results(self) -> Mapping[str, LabelledResult | RetrievalResult]:
        """Full results of the last evaluation, by set."""
        return {} if self._evaluator is None else self._evaluator.results

    @property
    def drawings(self) -> Mapping[str, Sequence[Picture]]:
        """Drawn predictions of the last evaluation, by set."""
        return {} if self._evaluator is None else self._evaluator.drawings

    @property
    def _verb(self) -> str:
        """Command that the Trainer runs, such as ``fit``; empty without a Trainer."""
        doing = None if self._trainer is None else self.trainer.state.fn
        return "" if doing is None else doing.value  # str() of the enum is another text

    @property
    def _task(self) -> Task:
        assert self.task is not None
        return self.task

    @property
    def _backbone(self) -> Backbone:
        assert self.backbone is not None
        return self.backbone

    @property
    def _data(self) -> TaskDataModule | None:
        data = getattr(self.trainer, "datamodule", None)
        return data if isinstance(data, TaskDataModule) else None

    def _evaluate(self, split: Split) -> None:
        if self._data is None:
            raise UserError(
                f"there are no evaluation sets; give the Trainer a {TaskDataModule.__name__}, which has them"
            )
        self._evaluator = self._task.evaluator(self._data.evaluation_sets(split))

    def _log_results(self, prefix: str) -> None:
        assert self._evaluator is not None
        metrics = {f"{prefix}/{name}": value for name, value in self._evaluator.compute().items()}
        # every rank has gathered everything, so there is nothing to reduce
        self.log_dict(metrics, prog_bar=False, rank_zero_only=False, sync_dist=False)

    def _print(self, line: str) -> None:
        if self._trainer is None or self.trainer.is_global_zero:
            print(line)


def _check_tokenizer(processors: Mapping[str, Processor], folder: str) -> None:
    """Reject a tokenizer with other ids than that of the model in ``folder``."""
    path = Path(folder) / "tokenizer.json"
    learnt = Tokenizer.load(path) if path.is_file() else None
    for name, processor in processors.items():
        own = processor.tokenizer if isinstance(processor, HasTokenizer) else None
        if learnt is not None and own is not None and own != learnt:
            raise UserError(
                f"processors.{name} has another tokenizer than the model in {folder}, with other ids; "
                f"set its tokenizer to {path}"
            )


def _check_averaging(trainer: L.Trainer) -> None:
    """Reject Lightning's weight averaging of a sharded model: it copies the whole."""
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    name = next((type(c).__name__ for c in callbacks if isinstance(c, WeightAveraging)), None)
    if name is not None:
        raise UserError(
            f"{name} needs the whole model in each process, {type(trainer.strategy).__name__} shards it; "
            "set trainer.strategy to ddp, or leave the averages out"
        )


def _check_vocabulary(backbone: Backbone, data_info: DataInfo) -> None:
    """Reject a tokenizer with more ids than an adapter embeds."""
    for name, adapter in backbone.encoder.adapters.items():
        rows = getattr(adapter, "vocabulary", None)
        if rows is not None and data_info.vocabulary_size is not None and data_info.vocabulary_size > rows:
            raise UserError(
                f"the data's tokenizer has {data_info.vocabulary_size} ids, adapter {name!r} embeds {rows}; "
                f"set the adapter's vocabulary to at least {data_info.vocabulary_size}"
            )
