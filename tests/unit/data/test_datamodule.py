import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from onepeace_pl.data.batches import Batch
from onepeace_pl.data.datamodule import PairsDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.data.sources import AudioTextTsv, ImageTextTsv, ManifestSource
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.training.resume import ResumableModule

ROWS = 22


class Pictures(Source):
    """Random pictures with captions; row 7 may be broken."""

    modalities = ("image", "text")

    def __init__(self, size: int = ROWS, broken: bool = False) -> None:
        self.size = size
        self.broken = broken

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Row:
        picture = np.random.default_rng(index).integers(0, 255, (40, 40, 3), np.uint8)
        text = "!" if self.broken and index == 7 else f"picture number {index}"
        return Row(f"id{index}", {"image": picture, "text": text})

    def lengths(self) -> list[float]:
        return [float(index % 5) for index in range(self.size)]


def module(**options: Any) -> PairsDataModule:
    processors = {"image": ImageProcessor(size=32), "text": TextProcessor()}
    made = {"train": Pictures(), "validation": {"pairs": Pictures(5)}, "batch_size": 4, **options}
    return PairsDataModule(processors=processors, **made)


class Recorder(ResumableModule):
    """Trains nothing and notes what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int], float]] = []
        self.validated: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        pixels = float(batch.inputs["image"].values.double().sum())
        self.seen.append((batch.epoch, batch.indices.tolist(), pixels))
        return self.weight * 0

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.validated.append((dataloader_idx, batch.indices.tolist()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Path,
    data: PairsDataModule,
    ckpt: Path | None = None,
    callbacks: Sequence[L.Callback] = (),
    **options: Any,
) -> Recorder:
    model = Recorder()
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=folder, callbacks=list(callbacks),
        enable_checkpointing=bool(callbacks), num_sanity_val_steps=0, **options,
    )  # fmt: skip
    trainer.fit(model, datamodule=data, ckpt_path=ckpt)
    return model


def test_epochs_are_shuffled_and_augmented_anew(tmp_path: Path) -> None:
    model = fit(tmp_path, module(), max_epochs=2)
    assert [epoch for epoch, _, _ in model.seen] == [0] * 6 + [1] * 6
    assert model.seen[0][1] != model.seen[6][1]
    assert sorted({i for _, batch, _ in model.seen[:6] for i in batch}) == list(range(ROWS))
    assert model.validated == [(0, [0, 1, 2, 3]), (0, [4])] * 2


def test_overfitting_sees_the_same_batches_again(tmp_path: Path) -> None:
    model = fit(tmp_path, module(), max_epochs=3, overfit_batches=2)
    assert model.seen[:2] == model.seen[2:4] == model.seen[4:]


def test_ranks_share_an_epoch() -> None:
    rows, evaluated = [], []
    for rank in range(2):
        data = module()
        data.setup("fit")
        ranks = {"rank": rank, "num_replicas": 2}
        data.trainer = SimpleNamespace(distributed_sampler_kwargs=ranks, overfit_batches=0)  # type: ignore[assignment]
        batches = [batch.indices.tolist() for batch in data.train_dataloader()]
        assert [len(batch) for batch in batches] == [4] * 3
        rows += [index for batch in batches for index in batch]
        evaluated += [
            i for loader in data.val_dataloader() for batch in loader for i in batch.indices.tolist()
        ]
    assert set(rows) == set(range(ROWS))
    assert evaluated == [0, 1, 2, 3, 4, 0]


class Damaged(Pictures):
    """Pictures of which rows 2 to 5 cannot be prepared."""

    def __getitem__(self, index: int) -> Row:
        row = super().__getitem__(index)
        return Row(row.id, {**row.fields, "text": "!" if 2 <= index <= 5 else row.fields["text"]})


def test_a_batch_of_bad_rows_only_ends_no_evaluation(tmp_path: Path) -> None:
    data = module(validation={"pairs": Damaged(8)}, on_error="skip", eval_batch_size=2)
    model = fit(tmp_path, data, max_epochs=1)
    assert [rows for _, rows in model.validated] == [[0, 1], [6], [6], [6, 7]]
    assert data.skips.count == 4
    batches = [batch for loader in data.predict_dataloader() for batch in loader]
    assert [batch.spare for batch in batches] == [False, True, True, False]


@pytest.mark.parametrize("bucket", [False, True])
def test_batches_do_not_depend_on_the_number_of_workers(tmp_path: Path, bucket: bool) -> None:
    runs = [
        fit(
            tmp_path, module(num_workers=workers, bucket_by_length=bucket), max_epochs=2, limit_val_batches=0
        ).seen
        for workers in (0, 2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("steps", "workers"), [(4, 0), (4, 2), (6, 0), (8, 0)])
def test_a_resumed_run_sees_what_the_run_would_have_seen(tmp_path: Path, steps: int, workers: int) -> None:
    whole = fit(tmp_path / "whole", module(), max_epochs=3).seen
    saves = ModelCheckpoint(
        tmp_path / "saved", "last", every_n_train_steps=2, save_top_k=-1, enable_version_counter=False
    )
    first = fit(tmp_path / "first", module(num_workers=workers), callbacks=[saves], max_steps=steps).seen
    saved = tmp_path / "saved" / "last.ckpt"
    rest = fit(tmp_path / "rest", module(num_workers=workers), saved, max_epochs=3).seen
    assert len(first) == steps
    assert first + rest == whole


def test_a_run_resumed_from_the_end_of_an_epoch(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", module(), max_epochs=3).seen
    saves = ModelCheckpoint(tmp_path / "saved", "{epoch}", every_n_epochs=1, save_top_k=-1)
    fit(tmp_path / "first", module(), callbacks=[saves], max_epochs=2)
    rest = fit(tmp_path / "rest", module(), tmp_path / "saved" / "epoch=0.ckpt", max_epochs=3).seen
    assert rest == whole[6:]


def test_resuming_with_other_batches_warns(tmp_path: Path) -> None:
    saves = ModelCheckpoint(tmp_path, "last", every_n_train_steps=2)
    fit(tmp_path / "first", module(), callbacks=[saves], max_steps=4)
    with pytest.warns(UserWarning, match="its epoch is reshuffled"):
        fit(tmp_path / "rest", module(batch_size=2), tmp_path / "last.ckpt", max_epochs=1)


def test_a_computed_order_goes_on_with_other_batches(tmp_path: Path) -> None:
    def rows(model: Recorder) -> list[int]:
        return [row for _, batch, _ in model.seen for row in batch]

    options: Any = {"shuffle": "computed", "train": Pictures(21)}
    whole = rows(fit(tmp_path / "whole", module(**options, batch_size=3), max_epochs=2))
    saved, seen = None, []
    for batch_size, steps in ((4, 2), (2, 5), (5, -1)):  # 8 and 6 rows, then 7 in two batches
        saves = ModelCheckpoint(tmp_path / f"{batch_size}", "last", every_n_train_steps=1)
        model = fit(
            tmp_path / "run",
            module(**options, batch_size=batch_size),
            saved,
            callbacks=[saves],
            max_steps=steps,
            max_epochs=1 if steps < 0 else None,
        )
        seen += rows(model)
        saved = tmp_path / f"{batch_size}" / "last.ckpt"
    assert seen[:21] == whole[:21]
    assert seen[21:] == whole[:3]  # the last batch is filled with the first rows of the order


def test_the_transform_runs_on_training_batches_alone(tmp_path: Path) -> None:
    data = module(num_workers=2)
    data.batch_transform = shift_epoch
    model = fit(tmp_path, data, max_epochs=1)
    assert {epoch for epoch, _, _ in model.seen} == {100}
    data.setup("validate")
    assert {batch.epoch for loader in data.val_dataloader() for batch in loader} == {0}


def shift_epoch(batch: Batch) -> Batch:
    batch.epoch += 100
    return batch


def test_skipped_rows_are_listed_in_the_run(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"skipped row 7 \(id id7\): empty sentence"):
        model = fit(
            tmp_path, module(train=Pictures(broken=True), on_error="skip", num_workers=1), max_epochs=2
        )
    assert {len(batch) for _, batch, _ in model.seen} == {4}
    assert 7 not in {i for _, batch, _ in model.seen for i in batch}
    lines = (tmp_path / "skipped.tsv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("7\tid7\trow 7 (id id7): empty sentence")


def test_a_broken_row_stops_the_run_by_default(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 7 \(id id7\): empty sentence"):
        fit(tmp_path, module(train=Pictures(broken=True)), max_epochs=1)


def test_the_tokenizer_is_trained_on_the_texts_and_travels_in_the_checkpoint(tmp_path: Path) -> None:
    data = module()
    data_info = data.data_info
    assert data_info.vocabulary_size is not None
    assert 260 < data_info.vocabulary_size <= 768
    assert data_info.modalities == ("image", "text")
    assert module().data_info == data_info
    state = json.loads(json.dumps(data.state_dict()))
    other = module(train=Pictures(3))
    assert other.data_info.vocabulary_size != data_info.vocabulary_size
    with pytest.warns(UserWarning, match="takes the checkpoint's tokenizer"):
        other.load_state_dict(state)
    assert other.data_info == data_info


def test_prompts_come_in_batches_of_similar_length() -> None:
    names = [f"{'very ' * (number % 3)}red number {number}" for number in range(11)]
    data = module(classes=names, prompts=["a {}", "one of many pictures of a {}"], eval_batch_size=4)
    found = data.class_prompts()
    assert [len(numbers) for numbers, _ in found] == [4, 4, 4, 4, 4, 2]
    assert sorted(int(n) for numbers, _ in found for n in numbers) == sorted([*range(11)] * 2)
    widths = [texts.values.shape[1] for _, texts in found]
    assert widths == sorted(widths)
    processor = data.processors["text"]
    for numbers, texts in found:
        for number, ids in zip(numbers.tolist(), texts.values, strict=True):
            whole = [
                processor(f"{start}{names[number]}").values for start in ("a ", "one of many pictures of a ")
            ]
            assert any(ids[: len(each)].equal(each) for each in whole)
    assert module(classes=names).class_prompts() == ()


def test_galleries() -> None:
    (gallery,) = module().evaluation_sets("validation")
    assert (gallery.name, gallery.query, gallery.target) == ("pairs", ("image",), ("text",))
    assert len(gallery.rows) == 5
    assert module().evaluation_sets("test") == []


def test_galleries_know_what_rows_of_one_id_share(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("image_id\timage\tcaption\n1\tx.png\ta\n1\tx.png\tb\n2\ty.png\tc\n")
    (tmp_path / "b.tsv").write_text("uniq_id\taudio\ttext\tduration\n0\tx.wav\tdog\t1\n0\ty.wav\tdog\t1\n")
    (tmp_path / "c.csv").write_text("image,audio,text\na,b,c\n")
    sources = {
        "pictures": ImageTextTsv(str(tmp_path / "a.tsv")),
        "classes": AudioTextTsv(str(tmp_path / "b.tsv")),
    }
    data = module(train=None, validation=None)
    data.sources["validation"] = {**sources, "all": ManifestSource(str(tmp_path / "c.csv"))}
    galleries = {gallery.name: gallery for gallery in data.evaluation_sets("validation")}
    assert galleries["pictures"].one_per_id == ("image",)
    assert galleries["classes"].one_per_id == ("text",)
    assert [(n, g.query, g.target) for n, g in galleries.items() if n.startswith("all")] == [
        ("all/image_audio", ("image",), ("audio",)),
        ("all/image_text", ("image",), ("text",)),
        ("all/audio_text", ("audio",), ("text",)),
    ]


def test_mistakes_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"train has text, but there is no processor for it; add processors\.text"
    ):
        PairsDataModule(processors={"image": ImageProcessor(size=32)}, train=Pictures())
    with pytest.raises(ValueError, match="no training source"):
        assert module(train=None).data_info
    with pytest.raises(ValueError, match="Pictures2 does not know the lengths"):
        module(train=Pictures2(), bucket_by_length=True).train_dataloader()


class Pictures2(Pictures):
    def lengths(self) -> None:
        return None


def test_yaml(tmp_path: Path, shared: Path) -> None:
    from jsonargparse import ArgumentParser

    root = str(shared / "data/coco128")
    pairs = {"class_path": "onepeace_pl.data.sources.ImageTextTsv", "init_args": {"root": root}}
    with_path = {**pairs, "init_args": {"root": root, "path": f"{root}/tsv/coco64_train.tsv"}}
    prefix = "onepeace_pl.modalities"
    options = {
        "processors": {
            "image": {
                "class_path": f"{prefix}.ImageProcessor",
                "init_args": {"size": 64, "train_crop": [0.8, 1.0]},
            },
            "text": {
                "class_path": f"{prefix}.TextProcessor",
                "init_args": {"tokenizer": str(shared / "bpe")},
            },
        },
        "train": with_path,
        "validation": {"coco": with_path},
        "batch_size": 4,
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PairsDataModule, "data")
    made = parser.instantiate_classes(
        parser.parse_object(
            {"data": {"class_path": "onepeace_pl.data.PairsDataModule", "init_args": options}}
        )
    ).data
    assert made.data_info.vocabulary_size == 50264
    batch = next(iter(made.train_dataloader()))
    assert batch.inputs["image"].values.shape == (4, 3, 64, 64)


def test_the_seed_is_the_runs_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert PairsDataModule({}).seed == 3407
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    assert PairsDataModule({}).seed == 5
    assert PairsDataModule({}, seed=6).seed == 6
