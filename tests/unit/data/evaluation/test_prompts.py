import pytest

from onepeace_pl.data.evaluation.prompts import class_prompts
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

TEMPLATES = ("a photo of {}", "{}")


@pytest.fixture(scope="module")
def processor() -> TextProcessor:
    return TextProcessor(tokenizer=Tokenizer.train(["a photo of a cat", "a photo of a dog"] * 4, 300))


def test_each_template_is_filled_with_each_class(processor: TextProcessor) -> None:
    batches = class_prompts(TEMPLATES, ("cat", "very big dog"), processor, batch_size=3)
    assert [len(batch.classes) for batch in batches] == [3, 1]
    assert sorted(index for batch in batches for index in batch.classes.tolist()) == [0, 0, 1, 1]
    assert batches[-1].classes.tolist() == [1]  # the longest text is last
    assert class_prompts((), ("cat",), processor, 3) == ()


def test_what_is_missing_is_named(processor: TextProcessor) -> None:
    with pytest.raises(UserError, match=r"set processors\.text of the data"):
        class_prompts(TEMPLATES, ("cat",), None, 3)
    with pytest.raises(UserError, match="set classes of the data"):
        class_prompts(TEMPLATES, (), processor, 3)
    with pytest.raises(UserError, match="'a photo' has no placeholder for the class name"):
        class_prompts(("a photo",), ("cat",), processor, 3)
