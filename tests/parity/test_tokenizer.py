"""What the original does to a text before and behind its tokenizer; its files are needed in between.

Ids: ``tests/integration/test_official_tokenizer.py``.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from onepeace_pl.modalities import ModalitySample, TextProcessor
from onepeace_pl.modalities.text.cleaning import clean_caption
from onepeace_pl.modalities.text.tokenizer import END

from .files import record


@pytest.fixture(scope="module")
def expected(golden: Path) -> Any:
    return record(golden, "tokenize")


def test_cleaning_of_every_string(expected: Any) -> None:
    for entry in expected["strings"]:
        assert clean_caption(entry["text"]) == entry["cleaned"]
        assert clean_caption(entry["text"], max_words=5) == entry["cleaned_max_words_5"]


def test_padding_of_a_batch(expected: Any) -> None:
    rows = [entry["embedding_interface_ids"] for entry in expected["strings"][:6]]
    assert all(row[-1] == END for row in rows)
    samples = [ModalitySample(torch.tensor(row), len(row)) for row in rows]
    assert TextProcessor().collate(samples).values.tolist() == expected["padded_batch_of_first_six"]
