"""A whole Trainer in two processes, replicated and sharded: bad updates, uneven rows, checkpoints."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from onepeace_pl.callbacks.last import LastCheckpoint, save_last
from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.callbacks.predictions import Predictions
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import PairsDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.optim import AdamW
from onepeace_pl.tasks.pretraining import Pretraining
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.strategies import FullyShardedStrategy
from tests.distributed.torchrun import make_trainer
from tests.two_processes import run_in_processes
from tests.unit.optim.test_finite import Long, Poisoned
from tests.unit.samples import field, make

STRATEGIES = {"ddp": "ddp", "fsdp2": FullyShardedStrategy}


def strategy(name: str) -> Any:
    made = STRATEGIES[name]
    return made if isinstance(made, str) else made()


def full(tensor: Any) -> torch.Tensor:
    whole: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return whole.detach()


def poisoned(folder: Path, name: str, bad: dict[str, str], steps: int) -> Any:
    """Train on two rows a rank and step; ``bad`` names rows ``RANK-STEP``."""
    rank = dist.get_rank()
    rows = [
        Batch([f"{rank}-{i}", f"other{i}"], torch.arange(2), 0, {"text": field("text", (rank, 2))}, {})
        for i in range(4)
    ]
    module = Experiment(
        partial(make, ("text",), decoder=False, noise=0.01), partial(Poisoned, bad=bad), partial(AdamW, lr=1e-2),
        Long(0.0), data_info=DataInfo(), max_skipped_updates=2,
    )  # fmt: skip
    trainer = make_trainer(folder, strategy(name), max_steps=steps, callbacks=[LastCheckpoint()])
    trainer.fit(module, DataLoader(rows, batch_size=None))  # type: ignore[arg-type]
    return trainer


def bad_updates(folder: Path) -> None:
    norms = {}
    for name in STRATEGIES:
        good = poisoned(folder / name / "good", name, {}, 2)
        for rank, how in enumerate(("gradient", "loss")):  # of one rank alone
            made = poisoned(folder / name / how, name, {f"{rank}-2": how}, 3)
            assert made.lightning_module.guard.skipped == 1, (name, how)
            pairs = zip(made.lightning_module.parameters(), good.lightning_module.parameters(), strict=True)
            assert all(torch.equal(full(a), full(b)) for a, b in pairs), (name, how)
        norms[name] = float(good.callback_metrics["train/grad_norm"])
        # the first process says what is wrong, the other leaves without a word
        kind = ValueError if dist.get_rank() == 0 else SystemExit
        with pytest.raises(kind) as caught:
            poisoned(folder / name / "stop", name, {"1-1": "loss", "1-2": "loss"}, 4)
        if dist.get_rank() == 0:
            assert str(caught.value).startswith(
                "the loss is not finite, 2 updates in a row; the rows of the last: 1-2,"
            )
        assert not (folder / name / "stop/checkpoints/last.ckpt").exists()
    assert norms["fsdp2"] == pytest.approx(norms["ddp"], rel=1e-5)
    replaces_a_folder(folder, good)


def replaces_a_folder(folder: Path, trainer: Any) -> None:
    """A sharded checkpoint of the same name is whole, or the older one."""
    path = folder / "fsdp2/good/checkpoints/last.ckpt"
    (path / "older").touch()
    dist.barrier()
    shard = next(
        p for p in trainer.lightning_module.parameters() if p.requires_grad and p.numel() > 1
    ).to_local()
    before = shard.detach().clone()
    shard.detach().fill_(float("nan"))
    with pytest.raises((ValueError, SystemExit)):
        save_last(trainer)
    assert (path / "older").exists()
    shard.detach().copy_(before)
    save_last(trainer)
    assert {p.name for p in path.iterdir()} == {".metadata", "meta.pt", "__0_0.distcp", "__1_0.distcp"}
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


class Pictures(Source):
    modalities = ("image", "text")

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        picture = np.random.default_rng(index).integers(0, 255, (64, 64, 3), np.uint8)
        return Row(str(index), {"image": picture, "text": f"picture number {index}"})


def uneven_rows(folder: Path) -> None:
    for name in STRATEGIES:
        for size in (5, 1):  # with two rows a batch: two batches and one; a rank without rows of its own
            processors = {"image": ImageProcessor(size=64), "text": TextProcessor()}
            data = PairsDataModule(processors, Pictures(8), {"pairs": Pictures(size)}, {}, 2, seed=5)
            module = Experiment(
                partial(make, ("text", "image"), decoder=False, noise=0.0), partial(Pretraining, students={})
            )
            place = folder / name / str(size)
            runner = make_trainer(place, strategy(name), callbacks=[Predictions()])
            runner.predict(module, datamodule=data, return_predictions=False)
            dist.barrier()
            files = [np.load(place / f"predictions/pairs-{rank}.npz") for rank in range(2)]
            own = [list(range(rank, size, 2)) for rank in range(2)]
            assert [file["ids"].tolist() for file in files] == [[str(i) for i in rows] for rows in own]
            assert [len(file["image"]) for file in files] == [len(rows) for rows in own]


def model_folder(folder: Path) -> None:
    """Of the best checkpoint, a file or a folder of shards."""
    for name in STRATEGIES:
        place = folder / name / "fit"
        text = TextProcessor(Tokenizer.train(["picture number one"] * 3, 300))
        data = PairsDataModule(
            {"image": ImageProcessor(size=64), "text": text}, Pictures(16), {}, {}, 2, seed=5
        )
        module = Experiment(
            partial(make, ("text", "image"), decoder=False, noise=0.0), partial(Pretraining, students={})
        )
        best = ModelCheckpoint(
            place / "checkpoints", "best", "train/lr", mode="max", every_n_train_steps=1,
            save_on_train_epoch_end=False,
        )  # fmt: skip
        runner = make_trainer(place, strategy(name), callbacks=[best, ModelFolder()], max_steps=4)
        runner.fit(module, datamodule=data)
        dist.barrier()
    ddp, fsdp = (folder / name / "fit" for name in STRATEGIES)
    assert (fsdp / "checkpoints/best.ckpt").is_dir()
    expected = torch.load(ddp / "checkpoints/best.ckpt", weights_only=True)
    for place in (ddp, fsdp):
        stored = json.loads((place / "model/config.json").read_text())["weights"]
        assert stored["step"] == expected["global_step"] < 4
        for tensor_name, tensor in load_file(place / "model/model.safetensors").items():
            wanted = expected["state_dict"][f"backbone.{tensor_name}"]
            torch.testing.assert_close(tensor, wanted, rtol=0, atol=1e-5)


def predict_and_fit(folder: Path) -> None:
    uneven_rows(folder)
    model_folder(folder)


@pytest.mark.distributed
def test_a_bad_batch_of_one_rank_skips_the_update_of_all(tmp_path: Path) -> None:
    run_in_processes(bad_updates, tmp_path, tmp_path)


@pytest.mark.distributed
def test_predict_with_uneven_rows_ends_and_the_model_is_the_best(tmp_path: Path) -> None:
    run_in_processes(predict_and_fit, tmp_path, tmp_path)
