"""Items that are prepared in processes."""

from __future__ import annotations

import warnings
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import RawInput

Items = list[dict[str, RawInput]]


@pytest.fixture
def items(tmp_path: Path) -> Items:
    rng = np.random.default_rng(0)
    found: Items = []
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        found += [{"image": str(tmp_path / f"{i}.png")}, {"text": f"two birds sing {i}"}]
    found.insert(3, {"image": str(tmp_path / "none.png")})
    found.insert(30, {"text": "rain on a roof", "image": str(tmp_path / "1.png")})
    return found


def test_vectors_and_errors_are_those_of_the_calling_process(model: OnePeace, items: Items) -> None:
    chunks = [items[:25], [], items[25:], []]
    expected = list(model.encode_chunks(chunks, batch_size=4))
    state = torch.get_rng_state()
    found = list(model.encode_chunks(chunks, batch_size=4, num_workers=2, workers="processes"))
    assert [len(chunk) for chunk in found] == [25, 0, len(items) - 25, 0]
    for mine, theirs in zip(chain(*found), chain(*expected), strict=True):
        if isinstance(theirs, torch.Tensor):
            assert torch.equal(mine, theirs)
        else:
            assert (type(mine), str(mine)) == (type(theirs), str(theirs))
    assert isinstance(found[0][3], UserError)
    assert torch.equal(torch.get_rng_state(), state)


def test_truncated_texts_are_counted(model: OnePeace) -> None:
    long: Items = [{"text": "a bird " * 30}] * 20 + [{"text": "a bird"}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list(model.encode_chunks([long], num_workers=2, workers="processes"))
    assert model.truncation_counts["text"] == 20


def test_stopping_early_ends_the_processes(model: OnePeace, items: Items) -> None:
    stream = model.encode_chunks([items] * 50, batch_size=4, num_workers=1, workers="processes")
    assert len(next(stream)) == len(items)
    stream.close()
    assert not torch.multiprocessing.active_children()


def test_an_unknown_kind_is_named(model: OnePeace) -> None:
    with pytest.raises(UserError, match=r"workers='process': did you mean 'processes'\?"):
        next(model.encode_chunks([[{"text": "a"}]], workers="process"))  # type: ignore[arg-type]
