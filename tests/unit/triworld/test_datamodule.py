from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.triworld.datamodule import TriWorldData


def data(**options: Any) -> TriWorldData:
    return TriWorldData(**{"size": 24, "gallery_size": 8, "batch_size": 4, "image_size": 48, **options})


@pytest.fixture(scope="module")
def seen() -> TriWorldData:
    return data()


@pytest.fixture(scope="module")
def heard() -> TriWorldData:
    return data(pair=("audio", "text"))


def test_both_stages_have_the_same_facts_and_tokenizer(seen: TriWorldData, heard: TriWorldData) -> None:
    assert seen.data_info == heard.data_info == data(size=3).data_info
    assert seen.data_info.vocabulary_size == 704
    assert seen.state_dict() == heard.state_dict()


def test_batches_of_the_pair(seen: TriWorldData, heard: TriWorldData) -> None:
    seen.prepare_tokenizers()
    batch = next(iter(seen.train_dataloader()))
    assert set(batch.inputs) == {"image", "text"}
    assert batch.inputs["image"].values.shape == (4, 3, 48, 48)
    heard.prepare_tokenizers()
    batch = next(iter(heard.train_dataloader()))
    assert set(batch.inputs) == {"audio", "text"}
    assert batch.inputs["audio"].values.shape == (4, 16_000)


def test_every_epoch_tells_the_scenes_in_other_words(seen: TriWorldData) -> None:
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


def test_galleries_of_the_stage_know_their_optimum(seen: TriWorldData, heard: TriWorldData) -> None:
    assert [gallery.name for gallery in seen.evaluation_sets("validation")] == ["image_text"]
    names = [gallery.name for gallery in heard.evaluation_sets("test")]
    assert names == ["audio_text", "audio_image", "audio+text_image"]
    (gallery,) = seen.evaluation_sets("validation")
    assert 0 < gallery.optimum["image->text"][1] <= 1
    assert seen.evaluation_sets("test")[0].rows[0].id != gallery.rows[0].id
    assert len(data(pair=("image", "text"), novel_size=4).evaluation_sets("validation")) == 2
    assert data(galleries=["audio_text"]).evaluation_sets("test")[0].name == "audio_text"


def test_loaders_follow_the_galleries(heard: TriWorldData) -> None:
    heard.prepare_tokenizers()
    loaders = heard.val_dataloader()
    assert len(loaders) == 3
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
    parser.add_subclass_arguments(TriWorldData, "data")
    processor = {"class_path": "onepeace_pl.modalities.ImageProcessor", "init_args": {"size": 64}}
    options = {"pair": ["audio", "text"], "size": 8, "objects": [1, 1], "processors": {"image": processor}}
    config = parser.parse_object(
        {"data": {"class_path": "onepeace_pl.triworld.datamodule.TriWorldData", "init_args": options}}
    )
    made = parser.instantiate_classes(config).data
    assert made.pair == ("audio", "text")
    assert isinstance(made.processors["image"], ImageProcessor)
    assert made.processors["image"].size == 64


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"no processor for it; add processors\.depth"):
        data(pair=("depth", "text"))
    with pytest.raises(ValueError, match="'sound' is unknown"):
        data(pair=("sound", "text"))
