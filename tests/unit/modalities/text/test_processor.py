import pickle
from pathlib import Path

import pytest

from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import END, PAD, Tokenizer


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


def test_halves_of_surrogate_pairs(tokenizer: Tokenizer) -> None:
    processor = TextProcessor(tokenizer)
    for text, same in (
        ("a dog \ud83d", "a dog \ufffd"),
        ("\ud83d\ude00 dog", "\U0001f600 dog"),
        ("\udcff", "\ufffd"),
    ):
        assert processor(text).values.tolist() == processor(same).values.tolist()
    assert Tokenizer.train(["a \ud800 dog"] * 3, 270) == Tokenizer.train(["a \ufffd dog"] * 3, 270)


def test_a_text_of_millions_of_characters_is_not_tokenised_whole(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = Tokenizer.encode
    monkeypatch.setattr(Tokenizer, "encode", lambda self, text: seen.append(len(text)) or encode(self, text))
    with pytest.warns(UserWarning, match=r"cut to 70 \(max_tokens\)"):
        long = TextProcessor(tokenizer)("a dog barks " * 200_000)
    short = TextProcessor(tokenizer)
    with pytest.warns(UserWarning, match="cut to 70"):
        assert long.values.tolist() == short("a dog barks " * 100).values.tolist()
    assert max(seen) <= 100_001
    with pytest.raises(
        ValueError, match=r"a text of 2400000 characters, more than 100000; cut it, or set max_tokens"
    ):
        TextProcessor(tokenizer, max_tokens=None)("a dog barks " * 200_000)
