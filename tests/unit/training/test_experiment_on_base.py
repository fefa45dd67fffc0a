"""Runs that train little save what they learn: checkpoints and model folders rest on ``init_from``."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.optim.lr_scheduler import LambdaLR

from onepeace_pl.backbone import Backbone, Extend, Last, LoRAStage
from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.checkpoints.lightning import is_training_checkpoint, read_training_checkpoint
from onepeace_pl.checkpoints.loading import read_weights
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.hub import load_folder, save_folder
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.task import Reads, Task, TaskOutput

from ..samples import Unmeasured, make
from .test_experiment import data, trainer

MODALITIES = ("text", "image")
Stage = str | Extend | Last | LoRAStage
pytestmark = pytest.mark.filterwarnings("ignore")


class Head(Task):
    """Pulls a linear map of both vectors to zero."""

    def __init__(self, backbone: Backbone, data_info: DataInfo) -> None:
        super().__init__(Reads(MODALITIES))
        self.head = nn.Linear(backbone.config.width, 2)

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        vectors = backbone.embed(batch.inputs)
        apart = (vectors["text"] - vectors["image"]).square().mean() * backbone.logit_scale.exp().squeeze()
        return TaskOutput(apart + self.head(vectors["text"] + vectors["image"]).square().mean())

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Unmeasured:
        return Unmeasured()


def experiment(stage: Stage, base: Path | None, **options: Any) -> Experiment:
    made = Experiment(
        partial(make, MODALITIES, stage=stage, noise=0.0, decoder=False),
        Head,
        init_from=None if base is None else str(base),
        **options,
    )
    made.schedule = lambda optimizer, total: LambdaLR(optimizer, lambda _: 1.0)
    return made


def fit(
    module: Experiment, folder: Path, stop_after: int = 2, path: Path | None = None, **options: Any
) -> Path:
    saves = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    callbacks = [saves, ModelFolder(**options)]
    runner = trainer(folder, max_steps=stop_after, enable_checkpointing=True, callbacks=callbacks)
    torch.manual_seed(3)
    runner.fit(module, datamodule=data(), ckpt_path=path)
    return folder / f"step={stop_after}.ckpt"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    backbone = make(MODALITIES, decoder=False)
    backbone.logit_scale.data.fill_(1.0)
    return save_folder(tmp_path / "base", backbone, data().processors)


def whole(module: Experiment) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in module.backbone.state_dict().items()}


@pytest.mark.parametrize("stage", ["frozen", Last(1), LoRAStage(2)], ids=str)
def test_what_is_saved_is_what_was_learnt(stage: Stage, base: Path, tmp_path: Path) -> None:
    module = experiment(stage, base)
    checkpoint = fit(module, tmp_path / "run")
    saved = torch.load(checkpoint, weights_only=True)
    learning = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert saved["state_dict"].keys() == learning
    assert {"task.head.weight", "task.head.bias"} <= learning
    assert saved["base"]["path"] == str(base)
    # what sharded strategies ask for is the same
    assert get_model_state_dict(module).keys() == learning
    # the folder has no more, and is read with its base; so is the checkpoint
    folder = tmp_path / "run/model"
    assert (folder / "model.safetensors").is_file() == (stage != "frozen")
    assert (folder / "adapter_model.safetensors").is_file() == isinstance(stage, LoRAStage)
    loaded, processors = load_folder(folder)
    assert set(processors) == set(MODALITIES)
    assert is_training_checkpoint(checkpoint)
    for found in (loaded.state_dict(), read_weights(folder), read_weights(checkpoint)):
        assert all(torch.equal(found[name], tensor) for name, tensor in whole(module).items())
    if not isinstance(stage, LoRAStage):  # made by hand, so that the checkpoint does not know alpha
        conversion, _ = read_training_checkpoint(checkpoint)
        assert conversion.state.keys() == whole(module).keys()


@pytest.mark.parametrize("stage", [Last(1), LoRAStage(2)], ids=str)
def test_a_resumed_run_is_the_run(stage: Stage, base: Path, tmp_path: Path) -> None:
    fit(module := experiment(stage, base), tmp_path / "whole", 4)
    stopped = fit(experiment(stage, base), tmp_path / "stopped")
    resumed = experiment(stage, base)
    resumed.resumes = True
    fit(resumed, tmp_path / "resumed", 4, stopped)
    for name, tensor in whole(module).items():
        assert torch.equal(tensor, whole(resumed)[name]), name
    assert torch.equal(resumed.task.head.weight, module.task.head.weight)


def test_a_checkpoint_wants_the_base_that_it_was_trained_on(base: Path, tmp_path: Path) -> None:
    stopped = fit(experiment(Last(1), base), tmp_path / "run")
    with pytest.raises(ValueError, match=r"only what was trained on .*base; give model\.init_from"):
        fit(experiment(Last(1), None), tmp_path / "again", 4, stopped)
    with pytest.raises(ValueError, match=r"does not fit this config: .*missing .*lora_A"):
        fit(experiment(LoRAStage(2), base), tmp_path / "again", 4, stopped)
    other = make(MODALITIES, decoder=False)
    save_folder(base, other, data().processors)
    with pytest.raises(ValueError, match=r"trained on other weights than those of .*base; give"):
        fit(experiment(Last(1), base), tmp_path / "again", 4, stopped)
    with pytest.raises(ValueError, match=r"holds other weights than those that .*model was trained on"):
        load_folder(tmp_path / "run/model")
    shutil.rmtree(base)
    with pytest.raises(FileNotFoundError, match="only the weights that were trained; the rest is in"):
        load_folder(tmp_path / "run/model")


@pytest.mark.parametrize(
    ("stage", "started"), [(Last(1), False), ("vision_language", True), (Extend("image"), True)]
)
def test_other_runs_save_everything(stage: Stage, started: bool, base: Path, tmp_path: Path) -> None:
    module = experiment(stage, base if started else None)
    saved = torch.load(fit(module, tmp_path / "run"), weights_only=True)
    assert saved["state_dict"].keys() == nn.Module.state_dict(module).keys()
    assert "base" not in saved
    shutil.rmtree(base)
    loaded, _ = load_folder(tmp_path / "run/model")
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in whole(module).items())


def test_a_whole_folder_on_request(base: Path, tmp_path: Path) -> None:
    module = experiment(LoRAStage(2), base)
    fit(module, tmp_path / "run", whole=True)
    shutil.rmtree(base)
    loaded, _ = load_folder(tmp_path / "run/model")
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in whole(module).items())


def test_a_whole_checkpoint_is_gone_on_with_in_a_stage_that_saves_little(base: Path, tmp_path: Path) -> None:
    everything = fit(experiment(Last(1), None), tmp_path / "run")
    resumed = experiment(Last(1), base)
    fit(resumed, tmp_path / "again", 2, everything)
    saved = torch.load(everything, weights_only=True)["state_dict"]
    assert all(torch.equal(saved[f"backbone.{name}"], tensor) for name, tensor in whole(resumed).items())


def test_a_scale_that_starts_anew_is_saved(base: Path, tmp_path: Path) -> None:
    module = experiment("frozen", base, reset_logit_scale=True)
    saved = torch.load(fit(module, tmp_path / "run"), weights_only=True)
    assert "backbone.logit_scale" in saved["state_dict"]
    loaded, _ = load_folder(tmp_path / "run/model")
    assert torch.equal(loaded.logit_scale, module.backbone.logit_scale)
