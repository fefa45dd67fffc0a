"""Class weights: balanced by the training rows or given, in the loss of a run; mistakes are named."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.multitask import MultiTask

from ..samples import make
from ..tasks.labelled import backbone
from .test_experiment import trainer

CPU = torch.device("cpu")
KINDS = DataInfo(classes=("bell", "drum", "horn"))
OUTPUTS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [1.0, -1.0, 0.0], [0.3, 2.0, 0.2]])
TARGETS = torch.tensor([0, 2, 0, 1])


class Imbalanced(Source):
    """Twelve rows: eight bells, three drums, a horn; every fourth row is of two classes, and one class is unknown."""

    modalities = ("text",)
    classes = ("bell", "drum", "horn", "gong")

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int, /) -> Row:
        kind = "bell" if index < 8 else "drum" if index < 11 else "horn"
        both = [kind, "horn"] if index % 4 == 0 else [kind]
        return Row(str(index), {"text": f"a {kind} {index}"}, {"class": kind, "classes": both})


def data() -> SourceDataModule:
    return SourceDataModule({"text": TextProcessor()}, Imbalanced(), {"held": Imbalanced()}, batch_size=4)


def experiment(task: Any) -> Experiment:
    module = Experiment(partial(make, ("text",), decoder=False, noise=0.0), task)
    module.schedule = lambda optimizer, total: LambdaLR(optimizer, lambda _: 1.0)
    return module


def weights_of(module: Experiment) -> Tensor | None:
    assert isinstance(module.task, Classification)
    return module.task.class_weight.on(CPU)


def classifier(**options: Any) -> Classification:
    return Classification(backbone("text"), KINDS, "text", **options)


def test_balanced_weights_are_inverse_to_frequencies(tmp_path: Path) -> None:
    module = experiment(partial(Classification, modality="text", class_weight="balanced"))
    trainer(tmp_path).fit(module, datamodule=data())
    expected = torch.tensor([12 / (3 * 8), 12 / (3 * 3), 12 / (3 * 1), 1.0])
    assert torch.allclose(weights_of(module), expected)


def test_balanced_positives_weigh_as_much_as_negatives(tmp_path: Path) -> None:
    module = experiment(partial(MultiLabelClassification, modality="text", pos_weight="balanced"))
    trainer(tmp_path).fit(module, datamodule=data())
    assert torch.allclose(weights_of(module), torch.tensor([4 / 8, 9 / 3, 8 / 4, 1.0]))


def test_without_weights_the_loss_is_that_of_pytorch() -> None:
    assert classifier().class_weight is None
    assert torch.equal(classifier().loss(OUTPUTS, TARGETS), F.cross_entropy(OUTPUTS, TARGETS))


def test_the_weighted_loss_does_not_depend_on_how_a_batch_is_split() -> None:
    task = classifier(class_weight={"horn": 5.0, "drum": 0.5})
    each = F.cross_entropy(OUTPUTS, TARGETS, reduction="none")
    whole = task.loss(OUTPUTS, TARGETS)
    assert whole.item() == pytest.approx((each * torch.tensor([1.0, 5.0, 1.0, 0.5])).mean().item())
    halves = [task.loss(OUTPUTS[part], TARGETS[part]) for part in (slice(2), slice(2, 4))]
    assert torch.stack(halves).mean().item() == pytest.approx(whole.item())


def test_weights_of_one_change_nothing() -> None:
    for smoothing in (0.0, 0.1):
        weighted = classifier(class_weight=[1.0, 1.0, 1.0], label_smoothing=smoothing)
        plain = classifier(label_smoothing=smoothing).loss(OUTPUTS, TARGETS)
        assert weighted.loss(OUTPUTS, TARGETS).item() == pytest.approx(plain.item())


def test_positives_are_weighted() -> None:
    task = MultiLabelClassification(backbone("text"), KINDS, "text", pos_weight=[1.0, 2.0, 3.0])
    targets = F.one_hot(TARGETS, 3).float()
    terms = F.binary_cross_entropy_with_logits(OUTPUTS, targets, reduction="none")
    terms = torch.where(targets > 0, terms * torch.tensor([1.0, 2.0, 3.0]), terms)
    assert task.loss(OUTPUTS, targets).item() == pytest.approx(terms.sum().item() / 4)


def test_a_resumed_run_has_the_same_weights(tmp_path: Path) -> None:
    def run(steps: int, path: Path | None = None) -> dict[str, Tensor]:
        module = experiment(partial(Classification, modality="text", class_weight="balanced"))
        saves = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        options = {"max_steps": steps, "enable_checkpointing": True, "callbacks": [saves]}
        torch.manual_seed(0)
        trainer(tmp_path, **options).fit(module, datamodule=data(), ckpt_path=path)
        return module.state_dict()

    whole = run(4)
    resumed = run(4, tmp_path / "step=2.ckpt")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_each_of_several_tasks_reads_its_own_rows(tmp_path: Path) -> None:
    tasks = {
        "kinds": partial(Classification, modality="text", class_weight="balanced"),
        "tags": partial(MultiLabelClassification, modality="text", pos_weight="balanced"),
    }
    module = experiment(partial(MultiTask, tasks=tasks))
    trainer(tmp_path).fit(module, datamodule=MultiTaskDataModule({"kinds": data(), "tags": data()}))
    assert isinstance(module.task, MultiTask)
    found = {
        name: task.class_weight.on(CPU)
        for name, task in module.task.members.items()
        if isinstance(task, Classification)
    }
    assert torch.allclose(found["kinds"], torch.tensor([0.5, 4 / 3, 4.0, 1.0]))
    assert torch.allclose(found["tags"], torch.tensor([0.5, 3.0, 2.0, 1.0]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"class_weight: 2 weights for 3 classes; give one for each"),
        ({"dram": 2.0}, r"class_weight: no class 'dram'; did you mean 'drum'\?"),
        ([1.0, -1.0, 1.0], r"class_weight: a weight of -1.0; give finite weights"),
        ([1.0, float("nan"), 1.0], r"class_weight: a weight of nan"),
        ([0.0, 0.0, 0.0], r"class_weight: all weights are 0"),
    ],
)
def test_mistakes_are_named(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=weights)


def test_balanced_weights_need_training_rows() -> None:
    with pytest.raises(ValueError, match=r"class_weight: balanced takes the classes of the training rows"):
        classifier(class_weight="balanced").loss(OUTPUTS, TARGETS)
