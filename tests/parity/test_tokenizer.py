"""The released tokenizer, id for id."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepeace_pl.modalities.processors import TextProcessor
from onepeace_pl.modalities.text_cleaning import clean_caption, lower_case
from onepeace_pl.modalities.tokenizer import END, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(shared: Path) -> Tokenizer:
    return Tokenizer.load(shared / "bpe")


@pytest.fixture(scope="module")
def expected(golden: Path) -> Any:
    return json.loads((golden / "tokenize.json").read_text())


def test_cleaning_of_every_string(expected: Any) -> None:
    for entry in expected["strings"]:
        assert clean_caption(entry["text"]) == entry["cleaned"]
        assert clean_caption(entry["text"], max_words=5) == entry["cleaned_max_words_5"]


def test_ids_and_word_starts_of_every_string(tokenizer: Tokenizer, expected: Any) -> None:
    for entry in expected["strings"]:
        ids = tokenizer.encode(" " + clean_caption(entry["text"]))
        assert [*ids, END] == entry["dataset_ids_untruncated"], entry["text"]
        assert [*ids[:70], END] == entry["dataset_ids"]
        interface = tokenizer.encode(" " + lower_case(entry["text"]))[:70]
        assert [*interface, END] == entry["embedding_interface_ids"], entry["text"]
        assert tokenizer.word_starts(entry["dataset_ids"]).tolist() == [bool(s) for s in entry["word_start"]]


def test_vocabulary(tokenizer: Tokenizer, expected: Any) -> None:
    assert tokenizer.vocabulary_size == expected["dictionary_size"]
    starts = tokenizer.word_starts(range(tokenizer.vocabulary_size))
    assert int(starts.sum()) == expected["n_word_start_symbols"]
    assert (
        hashlib.sha256(starts.astype(np.uint8).tobytes()).hexdigest()
        == expected["word_start_flags_uint8_sha256"]
    )


@pytest.mark.filterwarnings("ignore:a sentence")
def test_processor_gives_the_same(tokenizer: Tokenizer, expected: Any) -> None:
    dataset = TextProcessor(tokenizer=tokenizer)
    interface = TextProcessor(tokenizer=tokenizer, cleaning="lower")
    for entry in expected["strings"]:
        if entry["cleaned"]:
            assert dataset(entry["text"]).values.tolist() == entry["dataset_ids"]
            assert interface(entry["text"]).values.tolist() == entry["embedding_interface_ids"]
    first = [interface(entry["text"]) for entry in expected["strings"][:6]]
    assert interface.collate(first).values.tolist() == expected["padded_batch_of_first_six"]
