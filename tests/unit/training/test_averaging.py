"""Averages of weights, Lightning's callback, go with the experiment: they are what is measured and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from onepeace_pl.training.strategies import FullyShardedStrategy

from .test_experiment import data, experiment, trainer

DECAY = 0.5


class Passed(L.Callback):
    """Keeps the weights after every update."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.weights.append({name: tensor.detach().clone() for name, tensor in weights(pl_module).items()})


def weights(module: L.LightningModule) -> dict[str, Tensor]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def fit(folder: Path, stop_after: int, path: Path | None = None, **options: Any) -> tuple[Any, Any, Passed]:
    module, passed = experiment(), Passed()
    module.schedule = lambda optimizer, total: LambdaLR(optimizer, lambda _: 1.0)
    saves = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    callbacks = [passed, EMAWeightAveraging(decay=DECAY), saves]
    given = {"max_steps": stop_after, "limit_val_batches": None, "enable_checkpointing": True}
    runner = trainer(folder, callbacks=callbacks, **(given | options))
    runner.fit(module, datamodule=data(), ckpt_path=path)
    return module, runner, passed


def test_what_is_measured_and_saved_is_the_average(tmp_path: Path) -> None:
    module, runner, passed = fit(tmp_path, 4)
    average, *rest = passed.weights
    for after in rest:
        average = {name: torch.lerp(after[name], average[name], DECAY) for name in after}
    assert len(passed.weights) == 4
    stored = torch.load(tmp_path / "step=4.ckpt", weights_only=False)["state_dict"]
    moved = 0
    for name, tensor in weights(module).items():
        torch.testing.assert_close(tensor.detach(), average[name], msg=name)
        torch.testing.assert_close(stored[name], average[name], msg=name)
        moved += not torch.equal(tensor, passed.weights[-1][name])
    assert moved
    seen = {name: value for name, value in runner.callback_metrics.items() if name.startswith("val/")}
    again = runner.validate(module, datamodule=data(), verbose=False)[0]
    assert seen
    assert {name: again[name] for name in seen} == pytest.approx({n: float(v) for n, v in seen.items()})


def test_a_resumed_run_is_the_run(tmp_path: Path) -> None:
    whole, *_ = fit(tmp_path / "whole", 4)
    fit(tmp_path / "part", 3)
    resumed, *_ = fit(tmp_path / "part", 4, tmp_path / "part/step=3.ckpt")
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, rtol=0, atol=0, msg=name)


def test_a_sharded_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"EMAWeightAveraging needs the whole model .* trainer.strategy to ddp"
    ):
        fit(tmp_path, 1, strategy=FullyShardedStrategy())
