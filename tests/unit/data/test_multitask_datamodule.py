import json
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import PairsDataModule, SourceDataModule
from onepeace_pl.data.multitask_datamodule import MultiTaskDataModule
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

from .test_datamodule import Pictures


class Words(Source):
    modalities = ("text",)

    def __init__(self, word: str = "word", size: int = 6, bad: bool = False) -> None:
        self.word, self.size, self.bad = word, size, bad

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), {"text": "!" if self.bad and index == 1 else f"{self.word} {index}"})


def words(word: str = "word", tokenizer: Tokenizer | None = None, **options: Any) -> SourceDataModule:
    given = {"train": Words(word), "validation": {"held": Words(word, 3)}, "batch_size": 2, **options}
    return SourceDataModule({"text": TextProcessor(tokenizer)}, **given)


def pictures(**options: Any) -> PairsDataModule:
    processors = {"image": ImageProcessor(32), "text": TextProcessor()}
    return PairsDataModule(processors, Pictures(8), {"pairs": Pictures(4)}, batch_size=4, **options)


def tokenizers(data: MultiTaskDataModule) -> list[Any]:
    return [own.processors["text"].tokenizer for own in data.tasks.values()]  # type: ignore[attr-defined]


def test_one_tokenizer_reads_all_texts_trained_on_those_of_the_first_task() -> None:
    data = MultiTaskDataModule({"pairs": pictures(), "words": words("zebra")})
    data_info = data.data_info
    assert tokenizers(data)[0] is tokenizers(data)[1]
    assert tokenizers(data)[0] == pictures_tokenizer()
    assert data_info.vocabulary_size == tokenizers(data)[0].vocabulary_size
    assert data_info.modalities == ("image", "text")
    assert list(data_info.tasks) == ["pairs", "words"]
    again = DataInfo.from_config(json.loads(json.dumps(data_info.to_config())))
    assert again == data_info


def pictures_tokenizer() -> Tokenizer:
    data = pictures()
    data.prepare_tokenizers()
    tokenizer: Tokenizer = data.processors["text"].tokenizer  # type: ignore[attr-defined]
    return tokenizer


def test_the_tokenizer_that_is_given_is_everybodys() -> None:
    given = Tokenizer.train(["given"])
    data = MultiTaskDataModule({"pairs": pictures(), "words": words(tokenizer=given)})
    data.setup("fit")
    assert tokenizers(data) == [given, given]
    assert data.state_dict() == {"tokenizers": {}}


def test_texts_are_those_of_the_first_task_that_has_rows_to_train_on() -> None:
    data = MultiTaskDataModule({"measured": words(train=None), "words": words()})
    data.prepare_tokenizers()
    assert tokenizers(data)[0] is tokenizers(data)[1]
    with pytest.raises(
        ValueError, match=r"processors\.text has no tokenizer and there is no training source"
    ):
        MultiTaskDataModule({"measured": words(train=None)}).prepare_tokenizers()


def test_different_tokenizers_are_refused_by_name() -> None:
    tasks = {
        "free": words(),
        "one": words(tokenizer=Tokenizer.train(["one"])),
        "two": words(tokenizer=Tokenizer.train(["two two"])),
    }
    with pytest.raises(
        ValueError, match=r"tasks 'one' and 'two' have different tokenizers in processors\.text"
    ):
        MultiTaskDataModule(tasks)
    with pytest.raises(ValueError, match=r"set data\.init_args\.tasks"):
        MultiTaskDataModule({})


def test_a_checkpoints_tokenizer_goes_to_all_tasks() -> None:
    first = MultiTaskDataModule({"words": words("zebra"), "pairs": pictures()})
    first.setup("fit")
    state = json.loads(json.dumps(first.state_dict()))
    second = MultiTaskDataModule({"words": words(), "pairs": pictures()})
    second.setup("fit")
    with pytest.warns(UserWarning, match="takes the checkpoint's tokenizer"):
        second.load_state_dict(state)
    assert tokenizers(second) == [tokenizers(first)[0]] * 2


def test_sets_and_loaders_come_task_by_task() -> None:
    data = MultiTaskDataModule({"words": words(), "pairs": pictures()})
    data.setup("validate")
    assert [each.name for each in data.evaluation_sets("validation")] == ["words/held", "pairs/pairs"]
    assert [next(iter(loader)).inputs.keys() for loader in data.val_dataloader()] == [
        {"text"},
        {"image", "text"},
    ]
    assert data.test_dataloader() == []
    assert [each.name for each in data.predicted] == ["words/held", "pairs/pairs"]
    assert len(data.predict_dataloader()) == 2
    assert list(data.processors) == ["text", "image"]
    nothing = MultiTaskDataModule({"words": words(validation=None)})
    with pytest.raises(ValueError, match="nothing to predict"):
        nothing.predict_dataloader()


def test_only_what_trains_is_read_in_training() -> None:
    data = MultiTaskDataModule({"words": words(), "measured": words(train=None)})
    data.setup("fit")
    with pytest.raises(
        ValueError, match=r"task 'measured' has no training source; set data\.init_args\.tasks\.me"
    ):
        data.train_dataloader()
    data.trained = ("words",)
    assert list(next(iter(data.train_dataloader())).tasks) == ["words"]


def test_rows_that_are_left_out_stand_in_one_list(tmp_path: Path) -> None:
    bad = {name: words(train=Words(bad=True), on_error="skip") for name in ("one", "two")}
    data = MultiTaskDataModule(bad)  # type: ignore[arg-type]
    data.setup("fit")
    data.skips.path = tmp_path / "skipped.tsv"
    batches = list(data.train_dataloader())
    with pytest.warns(UserWarning, match="skipped one: row 1"):
        _ = [data.on_before_batch_transfer(batch, 0) for batch in batches]
    listed = (tmp_path / "skipped.tsv").read_text()
    assert "one: row 1" in listed
    assert "two: row 1" in listed
    assert data.skips.count == 2
