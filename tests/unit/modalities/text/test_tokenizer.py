import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from onepeace_pl.modalities.text.tokenizer import Tokenizer

TEXTS = ["a small bell rings twice", "two birds in the snow", "the red drum is left of the bell"] * 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocabulary_size=320)


def test_round_trip_of_any_text(tokenizer: Tokenizer) -> None:
    for text in (" two bells", " naïve café 😀 \u4f60\n", "", "<s> </s> <pad>"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert not ids or min(ids) >= 4
        assert not ids or max(ids) < tokenizer.vocabulary_size


def test_specials_are_left_out_of_decoding(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([0, *tokenizer.encode(" bell"), 2, 1, 1]) == " bell"


def test_word_starts(tokenizer: Tokenizer) -> None:
    text = " small zebras rings"
    ids = [*tokenizer.encode(text), 2]
    starts = tokenizer.word_starts(ids)
    assert starts.sum() == len(text.split()) + 1
    assert starts[0]
    assert starts[-1]


def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    for copy in (Tokenizer.load(tmp_path / "tokenizer.json"), pickle.loads(pickle.dumps(tokenizer))):
        assert copy == tokenizer
        assert copy.encode(" the bell") == tokenizer.encode(" the bell")


def test_training_gives_the_same_in_another_process(tokenizer: Tokenizer) -> None:
    code = (
        "import hashlib, sys\nfrom onepeace_pl.modalities.text.tokenizer import Tokenizer\n"
        f"made = Tokenizer.train({TEXTS[:3]!r} * 20, vocabulary_size=320)\n"
        "print(hashlib.sha256(made.to_json().encode()).hexdigest())"
    )
    import hashlib

    expected = hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected


def test_a_literal_special_in_the_texts_is_no_special() -> None:
    tokenizer = Tokenizer.train(["<s> <s><s> <pad>"] * 50, vocabulary_size=300)
    assert min(tokenizer.encode(" <s> <pad> <s>")) >= 4


def test_errors_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.json: .*check the path"):
        Tokenizer.load(tmp_path / "gone.json")
    with pytest.raises(ValueError, match=r"dict\.txt"):
        Tokenizer.load(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match=r"other\.json: not a saved tokenizer"):
        Tokenizer.load(tmp_path / "other.json")
    with pytest.raises(ValueError, match="at least 260"):
        Tokenizer.train(["a"], vocabulary_size=100)
    with pytest.raises(ValueError, match="no text"):
        Tokenizer.train([])
