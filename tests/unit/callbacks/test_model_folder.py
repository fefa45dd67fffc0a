"""The model folder that a run leaves, and what is found out before training."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.results_file import ResultsFile
from onepeace_pl.checkpoints.folder import load_folder, save_folder
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ImageProcessor, Processor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from tests.unit.samples import Touch, make
from tests.unit.training.test_experiment import data, experiment, trainer


class Secretive(Processor):
    def __init__(self, rate: int = 1) -> None:
        pass

    def __call__(self, raw: Any, **_: Any) -> Any: ...

    def collate(self, samples: Any) -> Any: ...


class Forgetful(Touch):
    def __init__(self, config: Any, rate: int = 1) -> None:
        super().__init__(config)


def start(adapter: type[Touch], processors: dict[str, Processor]) -> None:
    trainer = SimpleNamespace(datamodule=SourceDataModule(processors, None, {}))
    module = SimpleNamespace(backbone=make(adapters={"touch": adapter}))
    ModelFolder().on_fit_start(trainer, module)  # type: ignore[arg-type]


def test_what_could_not_be_saved_is_told_before_training() -> None:
    start(Touch, {"smell": Secretive()})  # not the backbone's, so not saved
    with pytest.raises(UserError, match="Forgetful does not keep its option 'rate'"):
        start(Forgetful, {})
    with pytest.raises(UserError, match="Secretive does not keep its option 'rate'"):
        start(Touch, {"touch": Secretive()})


def test_the_folder_is_that_of_the_best_checkpoint_and_says_so(tmp_path: Path) -> None:
    best = ModelCheckpoint(
        tmp_path / "checkpoints", "best", "train/loss", mode="max", every_n_train_steps=1,
        save_on_train_epoch_end=False,
    )  # fmt: skip
    callbacks = [best, ModelFolder(), Report(), ResultsFile()]
    runner = trainer(
        tmp_path, max_steps=4, enable_checkpointing=True, callbacks=callbacks, log_every_n_steps=1
    )
    module = experiment()
    runner.fit(module, datamodule=data())
    chosen = torch.load(best.best_model_path, weights_only=True)
    assert chosen["global_step"] < 4  # the loss falls
    loaded = load_folder(tmp_path / "model")[0].state_dict()
    at_end = module.backbone.state_dict()  # type: ignore[union-attr]
    assert all(
        torch.equal(chosen["state_dict"][f"backbone.{name}"], tensor) for name, tensor in loaded.items()
    )
    assert not all(torch.equal(at_end[name], tensor) for name, tensor in loaded.items())
    stored = json.loads((tmp_path / "model/config.json").read_text())["weights"]
    assert stored == {
        "checkpoint": "checkpoints/best.ckpt",
        "step": chosen["global_step"],
        "monitor": "train/loss",
        "value": pytest.approx(float(best.best_model_score)),  # type: ignore[arg-type]
    }
    assert "| checkpoint | checkpoints/best.ckpt |" in (tmp_path / "model/README.md").read_text()
    page = (tmp_path / "report.md").read_text()
    assert "| evaluated weights | of step 4 |" in page
    assert f"| model folder | checkpoints/best.ckpt (step {stored['step']}, train/loss" in page
    if os.name == "posix":
        assert (tmp_path / "model/model.safetensors").stat().st_mode == (
            tmp_path / "report.md"
        ).stat().st_mode


def test_without_a_best_checkpoint_it_is_that_of_the_end(tmp_path: Path) -> None:
    trainer(tmp_path, callbacks=[ModelFolder()]).fit(experiment(), datamodule=data())
    assert json.loads((tmp_path / "model/config.json").read_text())["weights"] == {"step": 2}
    (tmp_path / "model/of_an_older_one").touch()
    trainer(tmp_path, callbacks=[ModelFolder()]).fit(experiment(), datamodule=data())
    assert not (tmp_path / "model/of_an_older_one").exists()
    assert [path.name for path in tmp_path.glob("*model*")] == ["model"]


def test_processors_that_the_data_lacks_come_from_where_the_run_started(tmp_path: Path) -> None:
    backbone = make(("text", "image"))
    tokenizer = Tokenizer.train(["one two three"] * 3, 300)
    older = {"text": TextProcessor(tokenizer, max_tokens=9), "image": ImageProcessor(64)}
    save_folder(tmp_path / "older", backbone, older)

    def leave(init_from: str | None) -> dict[str, Processor]:
        module = SimpleNamespace(backbone=backbone, init_from=init_from, task=nn.Module(), describe_task=dict)
        trainer = SimpleNamespace(
            datamodule=SourceDataModule({"image": ImageProcessor(64)}, None, {}),
            fast_dev_run=False,
            is_global_zero=True,
            checkpoint_callbacks=[],
            global_step=3,
            default_root_dir=str(tmp_path / "run"),
            strategy=SimpleNamespace(barrier=lambda: None),
        )
        callback = ModelFolder()
        callback.on_fit_start(trainer, module)  # type: ignore[arg-type]
        callback.on_fit_end(trainer, module)  # type: ignore[arg-type]
        return load_folder(tmp_path / "run" / "model")[1]

    with pytest.warns(UserWarning, match=r"no preprocessing for text: .* add data\.processors\.text"):
        assert set(leave(None)) == {"image"}
    found = leave(str(tmp_path / "older"))
    assert list(found) == ["text", "image"]
    assert found["text"].max_tokens == 9
    assert found["text"].tokenizer == tokenizer
