"""Several tasks in one run: one loss, one backbone, a head, data and results for each."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from onepeace_pl.backbone import Backbone, ForwardPass, Frozen
from onepeace_pl.data.batches import Batch, MultiTaskBatch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import PairsDataModule, SourceDataModule
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.pretraining import Pretraining
from onepeace_pl.tasks.retrieval import Retrieval
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.multitask import MultiTask
from onepeace_pl.training.task import Reads, Task, TaskOutput, head_modules

from ..samples import make
from .test_experiment import STUDENTS, Pictures, trainer

MODALITIES = ("text", "image", "touch")
TASKS: dict[str, Any] = {
    "sentences": partial(Classification, modality="text", top=1),
    "pairs": partial(Retrieval, pair=("image", "text")),
}


class Sentences(Source):
    """A few rows of two classes; ``labels`` may be those of other data."""

    modalities = ("text",)
    classes = ("odd", "even")

    def __init__(self, size: int = 12, label: str = "class") -> None:
        self.size, self.label = size, label

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        kind = self.classes[index % 2]
        return Row(f"s{index}", {"text": f"{kind} sentence {index}"}, {self.label: kind})


class Grouped(Sentences):
    """Sentences of two classes."""

    def __getitem__(self, index: int, /) -> Row:
        row = super().__getitem__(index)
        return Row(row.id, row.fields, row.labels | {"group": ("short", "long")[index // 2 % 2]})


def sentences(rows: Sentences | None = None, **options: Any) -> SourceDataModule:
    return SourceDataModule(
        {"text": TextProcessor()},
        rows or Sentences(),
        {"held": Sentences(4)},
        batch_size=4,
        seed=5,
        **options,
    )


def pictures() -> PairsDataModule:
    processors = {"image": ImageProcessor(size=64), "text": TextProcessor()}
    return PairsDataModule(processors, Pictures(), {"pairs": Pictures()}, batch_size=4, seed=6)


def data(**replaced: Any) -> MultiTaskDataModule:
    return MultiTaskDataModule({"sentences": sentences(), "pairs": pictures()} | replaced)


DATA_INFO = DataInfo(
    ("text", "image"), 300, tasks={"sentences": DataInfo(classes=("odd", "even")), "pairs": DataInfo()}
)


def backbone() -> Backbone:
    return make(MODALITIES, decoder=False, noise=0.0)


def backbone_with_decoder() -> Backbone:
    return make(MODALITIES, noise=0.0)


def several(model: Backbone, data_info: DataInfo = DATA_INFO, **options: Any) -> MultiTask:
    return MultiTask(model, data_info, **{"tasks": TASKS, **options})


def experiment(**options: Any) -> Experiment:
    module = Experiment(backbone, partial(MultiTask, tasks=TASKS, **options))
    module.schedule = lambda optimizer, total: LambdaLR(optimizer, lambda _: 1.0)
    return module


class Counted(Evaluator):
    """Counts rows."""

    rows = 0

    def update(self, backbone: Backbone, batch: Batch, loader: int) -> None:
        self.rows += len(batch)

    def compute(self) -> dict[str, float]:
        return {"there": 1.0, "rows": float(self.rows)}


class Reach(Task):
    """Reads a modality to its end and says that it is there."""

    monitor = ("there", "max")

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, modality: str, stop_after: Any = "projection"
    ) -> None:
        super().__init__(Reads((modality,), stop_after=stop_after))
        self.modality, self.end = modality, stop_after
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        (features,), _ = backbone(batch.inputs, [ForwardPass((self.modality,), stop_after=self.end)])
        loss = (self.scale * features.tokens[self.modality]).square().mean()
        return TaskOutput(loss, {"there": torch.ones(())})

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        return Counted()


class Falling(Reach):
    monitor = ("loss", "min")


class Unjudged(Reach):
    monitor = None


def batch_of(source: MultiTaskDataModule) -> MultiTaskBatch:
    source.setup("fit")
    return next(iter(source.train_dataloader()))


def test_the_loss_is_the_weighted_sum_and_everything_is_logged_by_task() -> None:
    model, source = backbone(), data()
    task = several(model, source.data_info, weights={"sentences": 0.5})
    source.connect(task.needs)
    batch = batch_of(source)
    step = task(model, batch)
    alone = {name: member(model, batch.tasks[name]) for name, member in task.members.items()}
    assert step.loss.item() == pytest.approx(
        0.5 * alone["sentences"].loss.item() + alone["pairs"].loss.item()
    )
    assert step.logs["sentences/loss"].item() == pytest.approx(alone["sentences"].loss.item())
    assert {"sentences/accuracy", "pairs/loss", "pairs/scale"} <= step.logs.keys()
    assert not any(value.requires_grad for value in step.logs.values())
    assert (task.reads.modalities, task.reads.reconstructs, task.reads.stop_after) == (
        ("text", "image"),
        (),
        "projection",
    )
    with pytest.raises(ValueError, match="take MultiTaskDataModule for the data"):
        task(model, batch.tasks["sentences"])


def test_no_metrics_name_begins_another(tmp_path: Path) -> None:
    """A logger that writes a file for each name, with a folder for each stroke, has no place for both."""
    tasks = TASKS | {"stage_1": partial(Pretraining, students=STUDENTS)}
    source = data(stage_1=pictures(), sentences=sentences(Grouped(), test={"held": Grouped(4)}))
    module = Experiment(backbone_with_decoder, partial(MultiTask, tasks=tasks))
    runner = trainer(tmp_path, limit_val_batches=None, max_epochs=1, max_steps=-1)
    runner.fit(module, datamodule=source)
    names = set(runner.callback_metrics)
    runner.test(module, datamodule=source, verbose=False)
    names |= set(runner.callback_metrics)
    assert {"train/loss", "train/stage_1/align/mean", "val/pairs/mean_recall"} <= names
    assert "test/sentences/held/long/accuracy" in names
    assert [(a, b) for a in names for b in names if b.startswith(f"{a}/")] == []


def test_what_trains_is_what_any_task_trains() -> None:
    model = backbone()
    tasks = {
        "far": partial(Reach, modality="image"),
        "near": partial(Reach, modality="touch", stop_after="norm"),
    }
    several(model, DataInfo(), tasks=tasks).apply_stage(model)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    reached = {"encoder.projections.image.weight", "encoder.transformer.norms.touch.weight", "logit_scale"}
    assert reached <= learning
    assert not [name for name in learning if name.startswith("encoder.projections.touch")]
    assert not [name for name in learning if ".text." in name]
    model.stage = Frozen()
    several(model, DataInfo(), tasks=tasks).apply_stage(model)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_heads_are_those_of_all_tasks() -> None:
    task = several(backbone())
    assert head_modules(task) == [task.members["sentences"].head]
    with pytest.raises(ValueError, match="Reach has parameters of its own, which cannot be sharded"):
        head_modules(Reach(backbone(), DATA_INFO, "image"))


def test_a_task_of_weight_0_is_measured_and_does_not_train(tmp_path: Path) -> None:
    tasks = {"sentences": TASKS["sentences"], "probe": partial(Reach, modality="image")}
    module = Experiment(backbone, partial(MultiTask, tasks=tasks, weights={"probe": 0}))
    source = MultiTaskDataModule({"sentences": sentences(), "probe": pictures()})
    runner = trainer(tmp_path, limit_val_batches=None, max_epochs=1, max_steps=-1)
    runner.fit(module, datamodule=source)
    assert list(runner.train_dataloader.loaders) == ["sentences"]
    task: Any = module.task
    assert task.reads.modalities == ("text",)
    assert not task.members["probe"].scale.requires_grad
    assert runner.callback_metrics["val/probe/rows"] == 8
    assert runner.callback_metrics["val/probe/there"] == 1.0
    judged = runner.callback_metrics["val/sentences/accuracy"]
    assert runner.callback_metrics["val/mean_of_tasks"] == judged


def test_results_and_answers_go_by_task(tmp_path: Path) -> None:
    module, source = experiment(), data()
    runner = trainer(tmp_path, limit_val_batches=None, max_epochs=1, max_steps=-1)
    runner.fit(module, datamodule=source)
    found = runner.callback_metrics
    assert {
        "val/sentences/held/accuracy",
        "val/sentences/accuracy",
        "val/pairs/pairs/image->text/R@1",
    } <= set(found)
    mean = (found["val/sentences/accuracy"] + found["val/pairs/mean_recall"]) / 2
    assert found["val/mean_of_tasks"].item() == pytest.approx(mean.item())
    assert list(module.results) == ["sentences/held", "pairs/pairs"]
    assert module.results["sentences/held"].name == "sentences/held"
    answers, vectors = runner.predict(module, datamodule=source)
    assert [row["class"] in ("odd", "even") for row in answers[0]["answers"]] == [True] * 4
    assert vectors[0]["embeddings"].keys() == {"image", "text"}


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_resumed_run_is_the_run(stop: int, tmp_path: Path) -> None:
    """Three batches of sentences an epoch and two of pictures."""

    def run(stop_after: int, path: Path | None = None) -> dict[str, Tensor]:
        module = experiment()
        saves = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        options = {"max_steps": stop_after, "enable_checkpointing": True, "callbacks": [saves]}
        torch.manual_seed(0)
        trainer(tmp_path, **options).fit(module, datamodule=data(), ckpt_path=path)
        return module.state_dict()

    whole = run(7)
    run(stop)
    resumed = run(7, tmp_path / f"step={stop}.ckpt")
    assert any("sentences" in name for name in whole)
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": {}}, "there are no tasks to train"),
        ({"tasks": TASKS | {"speech": Retrieval}}, "task 'speech' has no data: .* sentences, pairs, speech, .*same"),
        (
            {"tasks": {"sentences": TASKS["sentences"]}},
            "data 'pairs' have no task: .*has sentences, .*has sentences, pairs",
        ),
        ({"tasks": {"words": Retrieval, **TASKS}}, "task 'words' has no data"),
        ({"tasks": {"items": Retrieval}}, "a task cannot be called 'items'; choose a word"),
        ({"tasks": {"a/b": Retrieval}}, "a task cannot be called 'a/b'"),
        ({"weights": {"pairs": -1.0}}, "weights: pairs: -1.0 must be 0 or more"),
        ({"weights": {"pairs": float("nan")}}, "weights: pairs: nan must be 0 or more"),
        ({"weights": {"pair": 1.0}}, "weights: there is no task 'pair'; the tasks are sentences, pairs"),
        ({"weights": {"pairs": 0, "sentences": 0}}, "weights: all are 0, so nothing would train"),
        ({"tasks": TASKS | {"sentences": partial(Classification, modality="smell")}}, "task 'sentences': no modality"),
        ({"tasks": TASKS | {"sentences": partial(Falling, modality="text")}}, "task 'sentences': loss is better when"),
        ({"tasks": dict.fromkeys(TASKS, partial(Unjudged, modality="text"))}, "none of sentences, pairs has a monitor"),
    ],
)  # fmt: skip
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        several(backbone(), **options)


def test_tasks_and_data_that_do_not_fit_are_named() -> None:
    model = backbone()
    source = data(sentences=sentences(Sentences(label="kind")))
    with pytest.raises(ValueError, match=r"task 'sentences': train: row 0: no label 'class'"):
        check_compatible(several(model).needs, source.offer("fit"))
    with pytest.raises(
        ValueError, match=r"task 'pairs': Retrieval reads image, for which the data have no proc"
    ):
        check_compatible(several(model).needs, data(pairs=sentences()).offer("fit"))
    fits = (
        "MultiTask and SourceDataModule do not fit: several tasks are trained by MultiTask with MultiTaskData"
    )
    with pytest.raises(ValueError, match=fits):
        check_compatible(several(model).needs, sentences().offer("fit"))
    with pytest.raises(ValueError, match="Retrieval and MultiTaskDataModule do not fit"):
        check_compatible(several(model).members["pairs"].needs, source.offer("fit"))
    check_compatible(several(model).needs, data().offer("fit"))


def test_a_checkpoint_of_other_classes_is_refused_by_task() -> None:
    module = Experiment(backbone, several, data_info=DATA_INFO)
    stored = DATA_INFO.to_config()
    module.on_load_checkpoint({"hyper_parameters": {"data_info": stored}})
    stored["tasks"]["sentences"]["classes"] = ["odd"]
    with pytest.raises(
        ValueError, match="task 'sentences': the checkpoint was trained with other classes: 1 there, 2 here"
    ):
        module.on_load_checkpoint({"hyper_parameters": {"data_info": stored}})
