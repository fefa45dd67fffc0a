"""The released tokenizer, id for id. Its three files are not ours to copy, so this needs the folder of real files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepeace_pl import OnePeace
from onepeace_pl.commands.convert import main as convert
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.cleaning import clean_caption, lower_case
from onepeace_pl.modalities.text.tokenizer import END, Tokenizer
from tests.parity.files import record
from tests.parity.official_files import official_model, write
from tests.parity.reference import text_input


@pytest.fixture(scope="module")
def tokenizer(shared: Path) -> Tokenizer:
    return Tokenizer.load(shared / "bpe")


@pytest.fixture(scope="module")
def expected(golden: Path) -> Any:
    return record(golden, "tokenize")


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


@pytest.mark.filterwarnings("ignore:a sentence")
def test_texts_reach_the_model_as_the_embedding_interface_prepares_them(
    golden: Path, shared: Path, expected: Any, tmp_path: Path
) -> None:
    source = write(tmp_path / "one-peace.pt", golden, official_model(golden, "embedding_interface_val"))
    convert([str(source), "--to", str(tmp_path / "model"), "--bpe", str(shared / "bpe")])
    model = OnePeace.from_pretrained(tmp_path / "model", device="cpu")
    prepare = model.processors["text"]
    for entry in expected["strings"]:
        if entry["cleaned"]:
            assert prepare(entry["text"]).values.tolist() == entry["embedding_interface_ids"]
    config = record(golden, "config")
    known = [c for c in config["captions_image_text"] if max(prepare(c).values) < config["vocabulary_size"]]
    assert known
    ids = prepare.collate([prepare(c) for c in known]).values
    expected_vectors = model.backbone.embed({"text": text_input(ids)})["text"]
    assert (model.encode(text=known) - expected_vectors).abs().max() <= 2e-6
