"""Losses and gradients that are not finite: nothing of them reaches weights, moments or checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.callbacks.last import LastCheckpoint
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.optim import AdamW, WarmupCosine
from onepeace_pl.optim.finite import gradient_norm
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.task import Reads, Task, TaskOutput
from tests.unit.samples import Unmeasured, field, make


class Poisoned(Task):
    """Loses as ``bad`` says in the batches it names: in the loss, or in the gradients alone."""

    monitor = ("none", "max")

    def __init__(self, backbone: Backbone, data_info: DataInfo, bad: dict[str, str]) -> None:
        super().__init__(Reads(("text",)))
        self.bad = bad

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        (features,), scale = backbone(batch.inputs, [ForwardPass(("text",))])
        loss = scale * features.embeddings["text"][:, 0].square().sum()
        how = self.bad.get(batch.ids[0])
        if how == "loss":
            loss = loss.detach() * float("nan") + loss
        elif how == "gradient":
            loss = loss + _Explodes.apply(loss)
        return TaskOutput(loss)

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Unmeasured:
        return Unmeasured()


class _Explodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return torch.zeros_like(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * float("inf")


class Long(WarmupCosine):
    """The same rates, whatever the length of the run."""

    def __call__(self, optimizer: Optimizer, total: int) -> LambdaLR:
        return super().__call__(optimizer, 10)


def batches(count: int = 6) -> DataLoader[Any]:
    made = [
        Batch([f"row{i}", f"other{i}"], torch.arange(2), 0, {"text": field("text", (0, 1))}, {})
        for i in range(count)
    ]
    return DataLoader(made, batch_size=None)  # type: ignore[arg-type]


def fit(folder: Path, bad: dict[str, str], precision: Any = None, **options: Any) -> L.Trainer:
    if precision == "16-mixed":  # which a CPU gets only if it insists
        precision, scaler = None, torch.amp.GradScaler("cpu", init_scale=4.0)
        options["plugins"] = MixedPrecision("16-mixed", "cpu", scaler)
    module = Experiment(
        partial(make, ("text",), decoder=False, noise=0.01),
        partial(Poisoned, bad=bad),
        partial(AdamW, lr=1e-2),
        Long(0.0),
        data_info=DataInfo(),
        max_skipped_updates=options.pop("limit", 3),
    )
    trainer = L.Trainer(
        accelerator="cpu", precision=precision, logger=False, enable_progress_bar=False, gradient_clip_val=1.0,
        enable_model_summary=False, default_root_dir=folder, callbacks=[LastCheckpoint()], **options,
    )  # fmt: skip
    trainer.fit(module, batches())
    return trainer


def state(trainer: L.Trainer) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    (optimizer,) = trainer.optimizers
    weights = {name: p.detach() for name, p in trainer.lightning_module.named_parameters()}
    return weights, list(optimizer.state.values())


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("precision", [None, "bf16-mixed", "16-mixed"])
def test_a_skipped_update_changes_nothing_but_the_count(
    how: str, precision: str | None, tmp_path: Path
) -> None:
    before, trainer = (fit(tmp_path / str(n), {"row2": how}, precision, max_steps=n) for n in (2, 3))
    (weights, moments), (expected, moments_before) = state(trainer), state(before)
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    for now, then in zip(moments, moments_before, strict=True):
        assert all(torch.equal(now[name], tensor) for name, tensor in then.items())
    assert trainer.global_step == 3
    assert trainer.callback_metrics["train/skipped_updates"] == 1
    assert trainer.callback_metrics["train/lr"] < before.callback_metrics["train/lr"]  # it moves on
    checkpoint = torch.load(tmp_path / "3/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["skipped_updates"] == (1, 1)


def test_one_bad_batch_skips_the_update_of_its_window(tmp_path: Path) -> None:
    trainer = fit(tmp_path, {"row0": "loss"}, max_steps=2, accumulate_grad_batches=3)
    _, moments = state(trainer)
    assert {int(each["step"]) for each in moments} == {1}
    assert trainer.lightning_module.guard.skipped == 1  # type: ignore[union-attr]


def test_too_many_in_a_row_stop_the_run_and_leave_the_last_good_state(tmp_path: Path) -> None:
    bad = {"row4": "loss", "row5": "gradient"} | {f"row{i}": "loss" for i in (0, 1)}
    fit(tmp_path, {}, max_epochs=1)
    last = tmp_path / "checkpoints/last.ckpt"
    good = torch.load(last, weights_only=True)
    with pytest.raises(ValueError, match=r"^the loss is not finite, 2 updates in a row; .*: row1, other1\. "):
        fit(tmp_path, bad, max_epochs=3, limit=2)
    assert torch.load(last, weights_only=True)["global_step"] == good["global_step"]
    with pytest.raises(ValueError, match=r"^the gradient norm is not finite, 2 updates .*: row5, other5\. "):
        fit(tmp_path, {"row4": "loss", "row5": "gradient"}, max_epochs=3, limit=2)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    trainer = fit(tmp_path, {}, max_steps=1)
    with torch.no_grad():
        next(trainer.lightning_module.parameters()).fill_(float("inf"))
    with pytest.raises(ValueError, match=r"weights are not finite any more \(backbone\."):
        trainer.save_checkpoint(tmp_path / "other.ckpt")
    assert not (tmp_path / "other.ckpt").exists()


def test_norm_and_rate_are_logged(tmp_path: Path) -> None:
    trainer = fit(tmp_path, {}, max_steps=1)
    module: Any = trainer.lightning_module
    assert trainer.callback_metrics["train/grad_norm"] > 0
    assert trainer.callback_metrics["train/lr"] == pytest.approx(1e-2)
    module.zero_grad()
    module.task(module.backbone, next(iter(batches()))).loss.backward()
    norms = [p.grad.norm() for p in module.parameters() if p.grad is not None]
    torch.testing.assert_close(gradient_norm(module.parameters()), torch.stack(norms).norm())


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_skipped_updates must be at least 1, not 0"):
        Experiment(partial(make, ("text",)), partial(Poisoned, bad={}), max_skipped_updates=0)
