import pytest

from onepeace_pl.data.tokenizers import Tokenizers
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

TEXTS = ["a dog barks", "a cat sits"] * 4


def tokenizers() -> Tokenizers:
    return Tokenizers({"text": TextProcessor(), "image": ImageProcessor(32)}, vocabulary_size=280)


def test_text_processors_without_a_tokenizer_get_one() -> None:
    made = tokenizers()
    assert made.embedded is None
    made.train({"text": TEXTS}.__getitem__)
    assert made.embedded is not None
    assert 260 < made.embedded <= 280
    made.train(lambda modality: pytest.fail("nothing is left to train"))


def test_checkpoints_keep_what_was_trained() -> None:
    trained, other = tokenizers(), tokenizers()
    trained.train(lambda modality: TEXTS)
    state = trained.state_dict()
    assert list(state) == ["text"]
    other.train(lambda modality: ["something else"] * 4)
    with pytest.warns(UserWarning, match="takes the checkpoint's tokenizer"):
        other.load_state_dict(state)
    assert other.state_dict() == state


def test_a_given_tokenizer_is_not_kept_in_checkpoints() -> None:
    given = Tokenizers({"text": TextProcessor(tokenizer=Tokenizer.train(TEXTS, 280))}, 280)
    given.train(lambda modality: pytest.fail("it has one"))
    assert given.state_dict() == {}
