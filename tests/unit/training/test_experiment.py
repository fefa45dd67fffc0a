"""Experiment under a real Trainer: what trains, what a checkpoint holds, what is refused."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from onepeace_pl.backbone import Backbone, Extend
from onepeace_pl.checkpoints.folder import save_folder
from onepeace_pl.checkpoints.head import save_head
from onepeace_pl.checkpoints.loading import load_weights
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import PairsDataModule, SourceDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.masking import RandomTokens, WholeWords
from onepeace_pl.optim import AdamW, WarmupCosine
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.pretraining import ComposedQuery, MaskSampler, Pretraining, Student
from onepeace_pl.training.experiment import Experiment

from ..samples import make

STUDENTS = {
    "image": Student({"image": RandomTokens(0.75)}, {"image": 1.0}, "own"),
    "both": Student({"text": WholeWords(0.4), "image": RandomTokens(0.5)}, {"text": 0.5, "image": 0.5}),
}
MODALITIES = ("text", "image", "touch")


class Pictures(Source):
    modalities = ("image", "text")
    words = ("one", "two", "three", "four")

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int, /) -> Row:
        picture = np.random.default_rng(index).integers(0, 255, (64, 64, 3), np.uint8)
        return Row(
            str(index),
            {"image": picture, "text": f"picture number {self.words[index % 4]}"},
        )


def data() -> PairsDataModule:
    processors = {"image": ImageProcessor(size=64), "text": TextProcessor()}
    return PairsDataModule(processors, Pictures(), {"pairs": Pictures()}, {"pairs": Pictures()}, 4, seed=5)


def experiment(stage: str | Extend = "vision_language", **options: Any) -> Experiment:
    return Experiment(
        partial(make, MODALITIES, stage=stage, noise=0.0),
        partial(Pretraining, students=STUDENTS),
        schedule=WarmupCosine(),
        **options,
    )


def trainer(folder: Path, **options: Any) -> L.Trainer:
    given = {"max_steps": 2, "num_sanity_val_steps": 0, "limit_val_batches": 0, "enable_checkpointing": False}
    return L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=folder, **(given | options),
    )  # fmt: skip


def test_nothing_is_built_before_the_trainer_says_so(tmp_path: Path) -> None:
    module, pairs = experiment(), data()
    assert module.backbone is None
    assert module.task is None
    assert module.results == {}
    trainer(tmp_path).fit(module, datamodule=pairs)
    assert module.data_info == pairs.data_info
    assert isinstance(pairs.batch_transform, MaskSampler)
    assert pairs.batch_transform.seed == 5
    names = {n for n, p in module.named_parameters() if p.requires_grad}
    assert not [n for n in names if "touch" in n]
    assert "backbone.decoder.adapters.text.mask_token" in names


def test_blocks_are_compiled_where_asked(tmp_path: Path) -> None:
    for compiles in ("none", "blocks"):
        module = experiment(compile=compiles, data_info=DataInfo())
        module.configure_model()
        assert module.backbone is not None
        expected = "inductor" if compiles == "blocks" else None
        assert {block.compiler for block in module.backbone.blocks} == {expected}


def test_a_fit_changes_what_trains_and_nothing_else(tmp_path: Path) -> None:
    module = experiment(Extend("image"))
    start = make(MODALITIES, noise=0.0).state_dict()
    trainer(tmp_path, gradient_clip_val=0.5).fit(module, datamodule=data())
    learning = {n for n, p in module.backbone.named_parameters() if p.requires_grad}
    assert learning
    with torch.no_grad():
        start["logit_scale"].fill_(2.0)
    moved = {n for n, t in module.backbone.state_dict().items() if not torch.equal(t, start[n])}
    assert moved <= learning
    assert "encoder.adapters.image.cls_token" in moved


def test_combinations_that_train_jointly_follow_the_weights(tmp_path: Path) -> None:
    """Into checkpoints, model folders, and a stage that leaves them as they are."""
    query = ComposedQuery(("image", "text"), ("text",))
    first = Experiment(
        partial(make, MODALITIES, noise=0.0),
        partial(Pretraining, composed=[query]),
        schedule=WarmupCosine(),
    )
    runner = trainer(tmp_path)
    runner.fit(first, datamodule=data())
    runner.save_checkpoint(tmp_path / "last.ckpt")
    assert first.backbone is not None
    assert first.backbone.joint == (("text", "image"),)
    save_folder(tmp_path / "model", first.backbone, {})
    for source in (tmp_path / "last.ckpt", tmp_path / "model"):
        for stage, expected in (("frozen", (("text", "image"),)), ("vision_language", ())):
            backbone = make(MODALITIES, stage=stage)
            load_weights(backbone, source)
            assert backbone.joint == expected
    resumed = Experiment(
        partial(make, MODALITIES, noise=0.0), partial(Pretraining, students=STUDENTS), schedule=WarmupCosine()
    )
    trainer(tmp_path).validate(resumed, datamodule=data(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert resumed.backbone is not None
    assert resumed.backbone.joint == (("text", "image"),)


def test_logs_and_results(tmp_path: Path) -> None:
    module = experiment()
    runner = trainer(tmp_path, limit_val_batches=None, max_epochs=1, max_steps=-1)
    runner.fit(module, datamodule=data())
    names = set(runner.callback_metrics)
    assert {"train/loss", "train/align/mean", "train/denoise/both.text", "train/scale"} <= names
    assert {"val/pairs/image->text/R@1", "val/mean_recall"} <= names
    assert list(module.results) == ["pairs"]
    (tested,) = runner.test(module, datamodule=data(), verbose=False)
    assert "test/pairs/text->image/R@1" in tested


def test_predictions_are_unit_vectors(tmp_path: Path) -> None:
    module, pairs = experiment(), data()
    runner = trainer(tmp_path)
    runner.fit(module, datamodule=pairs)
    batch = next(iter(pairs.val_dataloader()[0]))
    made = module.predict_step(batch, 0)
    assert made["ids"] == ["0", "1", "2", "3"]
    for vector in made["embeddings"].values():
        assert torch.allclose(vector.norm(dim=1), torch.ones(4), atol=1e-5)
    batch.spare = True  # its row is another batch's
    made = module.predict_step(batch, 0)
    assert made["ids"] == []
    assert {tuple(vector.shape[:1]) for vector in made["embeddings"].values()} == {(0,)}


def test_layer_decay_and_schedule_reach_the_optimiser(tmp_path: Path) -> None:
    module = experiment(layer_decay=0.5)
    runner = trainer(tmp_path)
    runner.fit(module, datamodule=data())
    (optimizer,) = runner.optimizers
    scales = {group["lr_scale"] for group in optimizer.param_groups}
    assert scales == {0.125, 0.25, 0.5, 1.0}
    groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    backbone = module.backbone
    assert groups[id(backbone.encoder.adapter("text").token_table)]["lr_scale"] == 0.125
    assert groups[id(backbone.encoder.adapter("text").position_table)]["weight_decay"] == 0.0
    assert groups[id(backbone.encoder.adapter("text").token_table)]["weight_decay"] == 0.05


@pytest.mark.parametrize(("start", "bound"), [(9.0, math.log(100)), (-1.0, 0.0)])
def test_scale_of_similarities_stays_within_its_bounds(start: float, bound: float, tmp_path: Path) -> None:
    class Displace(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
            pl_module.backbone.logit_scale.data.fill_(start)

    module = experiment(optimizer=partial(AdamW, lr=1e-5))
    trainer(tmp_path, max_steps=1, callbacks=[Displace()]).fit(module, datamodule=data())
    assert module.backbone.logit_scale.item() == pytest.approx(bound, abs=1e-6)


def test_starting_from_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, runner = experiment(), trainer(tmp_path)
    runner.fit(first, datamodule=data())
    width = first.backbone.config.width
    first.backbone.add_matryoshka_dims([2, width])
    runner.save_checkpoint(tmp_path / "first.ckpt")
    assert read_pickle(tmp_path / "first.ckpt")["matryoshka_dims"] == [width, 2]
    for reset in (False, True):
        second = experiment(init_from=str(tmp_path / "first.ckpt"), reset_logit_scale=reset)
        second.data_info = first.data_info
        second.configure_model()
        theirs = first.backbone.state_dict()
        differs = {n for n, t in second.backbone.state_dict().items() if not torch.equal(t, theirs[n])}
        assert differs == ({"logit_scale"} if reset else set())
    assert "0 new, 0 left over" in capsys.readouterr().out
    third = experiment(init_from=str(tmp_path / "absent.ckpt"), data_info=first.data_info)
    with pytest.raises(FileNotFoundError, match=r"absent\.ckpt"):
        third.configure_model()
    # a run that goes on takes everything from its own checkpoint
    again = experiment(init_from=str(tmp_path / "absent.ckpt"), data_info=first.data_info)
    again.resumes = True
    trainer(tmp_path, max_steps=9).fit(again, datamodule=data(), ckpt_path=tmp_path / "first.ckpt")


def test_weights_of_another_config_are_refused_in_one_line(tmp_path: Path) -> None:
    first, runner = experiment(), trainer(tmp_path)
    runner.fit(first, datamodule=data())
    state = first.state_dict()
    name = "backbone.encoder.adapters.text.position_table"
    state["more"], state[name] = torch.zeros(1), state[name][:2]
    del state["backbone.logit_scale"]
    with pytest.raises(
        ValueError,
        match=r"1 missing \(backbone\.logit_scale\); 1 left over \(more\); 1 of another size \(backbone.*config",
    ):
        first.load_state_dict(state)
    with pytest.raises(ValueError, match="not a checkpoint of a run"):
        first.on_load_checkpoint({"model": {}})


def test_words_must_have_the_ids_that_the_model_has_learnt(tmp_path: Path) -> None:
    pairs = data()
    trainer(tmp_path).fit(first := experiment(), datamodule=pairs)
    save_folder(tmp_path / "model", first.backbone, pairs.processors)
    trainer(tmp_path).fit(experiment(init_from=str(tmp_path / "model")), datamodule=data())
    other = data()
    other.train.words = ("einundzwanzig", "zwei", "drei", "vier")
    with pytest.raises(
        ValueError, match=r"processors\.text has another tokenizer .* set its tokenizer to .*json"
    ):
        trainer(tmp_path).fit(experiment(init_from=str(tmp_path / "model")), datamodule=other)


@pytest.mark.parametrize(("stop", "workers"), [(1, 0), (2, 0), (3, 0), (3, 1)])
def test_a_resumed_run_is_the_run(stop: int, workers: int, tmp_path: Path) -> None:
    def run(stop_after: int, path: Path | None = None) -> dict[str, Tensor]:
        module, pairs = experiment(), data()
        pairs.num_workers = workers
        module.schedule = lambda optimizer, total: LambdaLR(optimizer, lambda _: 1.0)
        saves = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        options = {"max_steps": stop_after, "enable_checkpointing": True, "callbacks": [saves]}
        trainer(tmp_path, **options).fit(module, datamodule=pairs, ckpt_path=path)
        return module.backbone.state_dict()

    whole = run(4)
    run(stop)
    resumed = run(4, tmp_path / f"step={stop}.ckpt")
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_too_small_a_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match="has 9000 ids, adapter 'text' embeds 768; set the adapter's vocabulary to at least 9000",
    ):
        trainer(tmp_path).fit(experiment(data_info=DataInfo(vocabulary_size=9000)), datamodule=data())


def test_a_checkpoint_of_other_data_is_refused() -> None:
    module = experiment(data_info=DataInfo(("text",), 300))
    module.on_load_checkpoint(
        {"hyper_parameters": {"data_info": {"modalities": ("text",), "vocabulary_size": 300, "classes": ()}}}
    )
    with pytest.raises(
        ValueError, match="trained with vocabulary_size = 299, the data has 300; use the data"
    ):
        module.on_load_checkpoint(
            {
                "hyper_parameters": {
                    "data_info": {"modalities": ("text",), "vocabulary_size": 299, "classes": ()}
                }
            }
        )
    module.on_load_checkpoint({"state_dict": {}})


def test_a_frozen_backbone_alone_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no parameter requires a gradient: choose a stage"):
        trainer(tmp_path).fit(experiment("frozen"), datamodule=data())


def test_without_a_data_module_there_is_no_data_info(tmp_path: Path) -> None:
    rows: DataLoader[Batch] = DataLoader([], batch_size=1)
    with pytest.raises(ValueError, match="there is no TaskDataModule: give the Trainer one"):
        trainer(tmp_path).fit(experiment(), train_dataloaders=rows)
    module = experiment(data_info=DataInfo(MODALITIES))  # without a data module
    module.configure_model()
    assert isinstance(module.backbone, Backbone)


class Labelled(Pictures):
    modalities = ("image",)

    def __init__(self, *classes: str) -> None:
        self.classes = ("one", "two")
        self.given = classes

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), super().__getitem__(index).fields, {"class": self.given[index]})

    def labels(self) -> Any:
        return iter([{"class": name} for name in self.given])


def classification(
    train: Labelled, validation: Labelled, **options: Any
) -> tuple[Experiment, SourceDataModule]:
    module = Experiment(partial(make, ("image",), noise=0.0), Classification, **options)
    return module, SourceDataModule({"image": ImageProcessor(64)}, train, {"set": validation}, batch_size=2)


def test_labels_are_looked_at_before_anything_trains(tmp_path: Path) -> None:
    good, bad = Labelled("one", "two"), Labelled("one", "three")
    for train, validation, place in ((bad, good, "train"), (good, bad, "set")):
        module, labelled = classification(train, validation)
        with pytest.raises(ValueError, match=rf"{place}: row 1: class 'three' is none of the 2"):
            trainer(tmp_path).fit(module, datamodule=labelled)
    module, labelled = classification(bad, good, random_weights=True)
    trainer(tmp_path, limit_val_batches=None).validate(module, datamodule=labelled, verbose=False)


def test_a_head_that_was_never_trained_is_not_measured(tmp_path: Path) -> None:
    good = Labelled("one", "two")
    save_folder(tmp_path / "pretrained", make(("image",), noise=0.0), {"image": ImageProcessor(64)})
    module, labelled = classification(good, good, init_from=str(tmp_path / "pretrained"))
    runner = trainer(tmp_path, limit_val_batches=None)
    with pytest.raises(ValueError, match=r"head: new.*would be measured with random weights"):
        runner.validate(module, datamodule=labelled, verbose=False)
    module, labelled = classification(good, good, init_from=str(tmp_path / "pretrained"), random_weights=True)
    runner.validate(module, datamodule=labelled, verbose=False)


@pytest.mark.parametrize("verb", ["validate", "test", "predict", "fit"])
def test_a_head_of_the_same_classes_in_another_order_is_refused(verb: str, tmp_path: Path) -> None:
    source = Labelled("one", "two")
    module, labelled = classification(source, source)
    runner = trainer(tmp_path)
    runner.fit(module, datamodule=labelled)
    assert module.backbone is not None
    assert module.task is not None
    save_folder(tmp_path / "model", module.backbone, labelled.processors)
    save_head(tmp_path / "model", module.task.state_dict(), module.describe_task())
    turned = Labelled("one", "two")
    turned.classes = ("two", "one")
    again, labelled = classification(turned, turned, init_from=str(tmp_path / "model"))
    labelled.sources["test"] = labelled.sources["validation"]
    with pytest.raises(ValueError, match=r"number 0 is 'one' there and 'two' here .*in another order"):
        getattr(trainer(tmp_path), verb)(again, datamodule=labelled)
    module, labelled = classification(source, source, init_from=str(tmp_path / "model"))
    trainer(tmp_path, limit_val_batches=None).validate(module, datamodule=labelled, verbose=False)
