import pickle
from pathlib import Path

import pytest

from onepeace_pl.modalities.processors import TextProcessor
from onepeace_pl.modalities.tokenizer import END, PAD, Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["a dog barks in the snow"] * 9, vocabulary_size=280)


def test_a_sentence(tokenizer: Tokenizer) -> None:
    sample = TextProcessor(tokenizer)("A dog  BARKS")
    assert sample.values.tolist() == [*tokenizer.encode(" a dog barks"), END]
    assert sample.length == len(sample.values)
    assert sample.word_starts is not None
    assert sample.word_starts.shape == sample.values.shape


def test_collate_pads_on_the_right(tokenizer: Tokenizer) -> None:
    processor = TextProcessor(tokenizer)
    short, long = processor("a"), processor("a dog barks in the snow")
    batch = processor.collate([short, long])
    assert batch.values[0, short.length :].eq(PAD).all()
    assert batch.padding is not None
    assert batch.padding.shape == (2, long.length + 1)
    assert (~batch.padding).sum(1).tolist() == [short.length + 1, long.length + 1]
    assert processor.collate([long, long]).padding is None


def test_cuts_are_counted_and_warned_about(tokenizer: Tokenizer) -> None:
    processor = TextProcessor(tokenizer, max_tokens=3)
    with pytest.warns(UserWarning, match=r"cut to 3 \(max_tokens\)"):
        sample = processor("a dog barks in the snow")
    assert sample.length == 4
    assert sample.values[-1] == END
    processor("a dog barks in the snow")
    assert processor.truncations.count == 2


def test_what_cannot_be_tokenised_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match=r"empty sentence '!!!'"):
        TextProcessor(tokenizer)("!!!")
    with pytest.raises(TypeError, match="must be a string, got int"):
        TextProcessor(tokenizer)(3)
    with pytest.raises(ValueError, match="no tokenizer"):
        TextProcessor()("a dog")
    with pytest.raises(ValueError, match="cleaning='upper'"):
        TextProcessor(cleaning="upper")  # type: ignore[arg-type]


def test_it_takes_a_path_and_can_be_pickled(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    processor = pickle.loads(pickle.dumps(TextProcessor(str(tmp_path / "tokenizer.json"))))
    assert processor.tokenizer == tokenizer
