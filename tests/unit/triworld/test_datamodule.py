"""The generated world as a data module of labelled rows."""

from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from onepeace_pl.data.labels.targets import ChoiceTarget, ClassTarget
from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.triworld.datamodule import TriWorldDataModule, TriWorldTaskDataModule
from onepeace_pl.triworld.optimum.galleries import STAGES


def data(**options: Any) -> TriWorldDataModule:
    return TriWorldDataModule(**{"size": 24, "gallery_size": 8, "batch_size": 4, "image_size": 48, **options})


@pytest.fixture(scope="module")
def seen() -> TriWorldDataModule:
    return data()


@pytest.fixture(scope="module")
def heard() -> TriWorldDataModule:
    return data(modalities=("audio", "text"))


def test_both_stages_have_the_same_data_info_and_tokenizer(
    seen: TriWorldDataModule, heard: TriWorldDataModule
) -> None:
    assert seen.data_info == heard.data_info == data(size=3).data_info
    assert seen.data_info.vocabulary_size == 704
    assert seen.state_dict() == heard.state_dict()


def test_batches_of_the_pair(seen: TriWorldDataModule, heard: TriWorldDataModule) -> None:
    seen.prepare_tokenizers()
    batch = next(iter(seen.train_dataloader()))
    assert set(batch.inputs) == {"image", "text"}
    assert batch.inputs["image"].values.shape == (4, 3, 48, 48)
    heard.prepare_tokenizers()
    batch = next(iter(heard.train_dataloader()))
    assert set(batch.inputs) == {"audio", "text"}
    assert batch.inputs["audio"].values.shape == (4, 16_000)


def test_captions_change_with_each_epoch(seen: TriWorldDataModule) -> None:
    seen.prepare_tokenizers()

    def texts(epoch: int) -> dict[int, list[int]]:
        loader = seen.train_dataloader()
        loader.batches.set_epoch(epoch)
        return {
            index: ids[ids > 2].tolist()
            for batch in loader
            for index, ids in zip(batch.indices.tolist(), batch.inputs["text"].values, strict=True)
        }

    assert texts(1) == texts(1)
    assert sum(texts(0)[index] != texts(1)[index] for index in range(24)) > 12


def test_galleries_of_the_stage_know_their_optimum(
    seen: TriWorldDataModule, heard: TriWorldDataModule
) -> None:
    assert [gallery.name for gallery in seen.evaluation_sets("validation")] == list(STAGES["vision_language"])
    assert [gallery.name for gallery in heard.evaluation_sets("test")] == list(STAGES["audio_language"])
    gallery = seen.evaluation_sets("validation")[0]
    assert 0 < gallery.optimum["image->text"][1] <= 1
    assert seen.evaluation_sets("test")[0].rows[0].id != gallery.rows[0].id
    assert len(data(modalities=("image", "text"), novel_size=4).evaluation_sets("validation")) == 4
    assert data(galleries=["audio_text"]).evaluation_sets("test")[0].name == "audio_text"


def test_loaders_follow_the_galleries(heard: TriWorldDataModule) -> None:
    heard.prepare_tokenizers()
    loaders = heard.val_dataloader()
    assert len(loaders) == len(STAGES["audio_language"])
    for loader, gallery in zip(loaders, heard.evaluation_sets("validation"), strict=True):
        batches = list(loader)
        assert set(batches[0].inputs) == {*gallery.query, *gallery.target}
        assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(8))


def test_labels_give_classes() -> None:
    made = data(labels=("class",))
    assert len(made.data_info.classes) > 9
    assert isinstance(made.train[0].labels["class"], int)  # type: ignore[index]


def test_yaml() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TriWorldDataModule, "data")
    processor = {"class_path": "onepeace_pl.modalities.ImageProcessor", "init_args": {"size": 64}}
    options = {
        "modalities": ["audio", "text"],
        "size": 8,
        "objects": [1, 1],
        "processors": {"image": processor},
    }
    config = parser.parse_object(
        {"data": {"class_path": "onepeace_pl.triworld.datamodule.TriWorldDataModule", "init_args": options}}
    )
    made = parser.instantiate_classes(config).data
    assert made.modalities == ("audio", "text")
    assert isinstance(made.processors["image"], ImageProcessor)
    assert made.processors["image"].size == 64


def test_pair_without_a_processor() -> None:
    with pytest.raises(ValueError, match=r"no processor for it; add processors\.depth"):
        data(modalities=("depth", "text"))
    with pytest.raises(ValueError, match="'sound' is unknown"):
        data(modalities=("sound", "text"))


def test_batches_have_targets_and_several_texts_a_row() -> None:
    data = TriWorldTaskDataModule("choices", ("image",), size=16, evaluation_size=8, batch_size=4)
    data.read_target = ChoiceTarget()
    data.prepare_tokenizers()
    batch = next(iter(data.train_dataloader()))
    assert batch.targets.shape == (4,)
    assert batch.inputs["image"].values.shape == (4, 3, 48, 48)
    assert len(batch.inputs["text"].values) == 16
    assert len(batch.lengths["text"]) == 16
    (loader,) = data.val_dataloader()
    assert sum(len(b) for b in loader) == 8


def test_same_tokenizer_as_pretraining() -> None:
    words = TriWorldTaskDataModule("answers", size=8), TriWorldDataModule(size=8)
    for data in words:
        data.prepare_tokenizers()
    first, second = (data.processors["text"].tokenizer for data in words)
    assert first == second


def test_sets_know_what_they_stand_beside() -> None:
    data = TriWorldTaskDataModule("class", size=8, evaluation_size=16, prompts=["a {}", "the {} here"])
    (validation,), (test,) = data.evaluation_sets("validation"), data.evaluation_sets("test")
    assert validation.references["accuracy"].optimum == 1
    assert validation.rows[0].id != test.rows[0].id
    assert sum(len(numbers) for numbers, _ in validation.prompts) == 2 * len(data.data_info.classes)
    data.read_target = ClassTarget(data.data_info.classes)
    batch = next(iter(data.val_dataloader()[0]))
    assert batch.targets.dtype == torch.int64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "smell"}, "label='smell' is unknown; choose from class"),
        ({"label": "box", "modalities": ["image", "text"]}, "brings its own texts"),
        ({"label": "class", "prompts": ["a bell"]}, "has no placeholder for the class name"),
        ({"label": "box", "prompts": ["a {}"]}, "set classes of the data"),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriWorldTaskDataModule(size=8, **options).class_prompts()
