"""The generated world as a data module of labelled rows."""

import pytest
import torch

from onepeace_pl.data.labels.targets import ChoiceTarget, ClassTarget
from onepeace_pl.triworld.datamodule import TriWorldData
from onepeace_pl.triworld.tasks import TriWorldTask


def test_batches_have_targets_and_several_texts_a_row() -> None:
    data = TriWorldTask("choices", ("image",), size=16, evaluation_size=8, batch_size=4)
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
    words = TriWorldTask("answers", size=8), TriWorldData(size=8)
    for data in words:
        data.prepare_tokenizers()
    first, second = (data.processors["text"].tokenizer for data in words)
    assert first == second


def test_sets_know_what_they_stand_beside() -> None:
    data = TriWorldTask("class", size=8, evaluation_size=16, prompts=["a {}", "the {} here"])
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
        ({"label": "box", "fields": ["image", "text"]}, "brings its own texts"),
        ({"label": "class", "prompts": ["a bell"]}, "does not say where the class goes"),
        ({"label": "box", "prompts": ["a {}"]}, "give the data classes"),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriWorldTask(size=8, **options).class_prompts()
