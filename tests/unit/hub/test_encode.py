"""Encoding a folder of files as they are: broken ones, long ones, in parallel, for numpy."""

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.errors import UserError
from onepeace_pl.hub import Encoded
from onepeace_pl.modalities import ImageProcessor

from .conftest import TEXTS

rng = np.random.default_rng(0)
SOUNDS = [rng.normal(size=16000 + 3000 * (i % 3)).astype(np.float32) for i in range(4)]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Six files; the second and the fifth are broken."""
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
    paths[1].write_bytes(b"no image")
    paths[4].unlink()
    return paths


GOOD = [0, 2, 3, 5]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_file_is_left_out(model, pictures, num_workers):
    expected = model.encode(image=[pictures[i] for i in GOOD])
    with pytest.warns(UserWarning, match=r"2 of 6 items could not be read \(1: .*1\.png: unreadable") as seen:
        found = model.encode(image=pictures, on_error="skip", num_workers=num_workers)
    assert len(seen) == 1
    assert isinstance(found, Encoded)
    assert found.kept == GOOD
    assert torch.equal(found.vectors, expected)
    assert list(found.errors) == [1, 4]
    assert "no such image" in str(found.errors[4])
    with pytest.raises(UserError, match=r"1\.png: unreadable image"):
        model.encode(image=pictures, num_workers=num_workers)


def test_a_broken_file_keeps_its_place(model, pictures):
    with pytest.warns(UserWarning, match="2 of 6"):
        found = model.encode(image=pictures, on_error="none")
    assert found.isnan().all(1).tolist() == [i not in GOOD for i in range(6)]
    assert torch.equal(found[GOOD], model.encode(image=[pictures[i] for i in GOOD]))
    with pytest.warns(UserWarning, match="2 of 6"):
        rows = model.encode(image=pictures, on_error="none", tokens=True, precision="int8")
    assert [row is None for row in rows] == [i not in GOOD for i in range(6)]
    with pytest.warns(UserWarning, match="1 of 1"):
        assert model.encode(image=pictures[1], on_error="none").isnan().all()


def test_an_item_that_is_fused_needs_all_its_parts(model, pictures):
    texts = ["a dog", "two birds", None, "rain", "snow", "a roof"]
    with pytest.warns(UserWarning, match=r"3 of 6 items"):
        found = model.encode(image=pictures, text=texts, on_error="skip")
    assert found.kept == [0, 3, 5]
    expected = model.encode(image=[pictures[i] for i in found.kept], text=[texts[i] for i in found.kept])
    assert torch.equal(found.vectors, expected)
    with pytest.warns(UserWarning, match=r"1 of 1 items"):
        assert model.encode(image=pictures[1:2], on_error="skip").vectors.shape == (0, model.dim)


def test_nothing_is_told_of_good_files(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.encode(text=TEXTS, on_error="skip")
    assert (found.kept, found.errors) == ([0, 1, 2, 3], {})


class Broken(ImageProcessor):
    """A processor with a mistake of its author."""

    def __call__(self, raw, **options):
        raise AttributeError("a mistake")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_mistake_in_a_processor_is_no_bad_file(model, pictures, num_workers):
    model.processors["image"] = Broken(32)
    with pytest.raises(AttributeError, match="a mistake"):
        model.encode(image=pictures, on_error="skip", num_workers=num_workers)


@pytest.mark.parametrize("items", [{"text": TEXTS}, {"audio": SOUNDS}, {"audio": SOUNDS, "text": TEXTS}])
def test_workers_change_no_bit(model, items):
    many = {name: values * 9 for name, values in items.items()}
    expected = model.encode(batch_size=2, **many)
    for num_workers in (1, 3):
        assert torch.equal(model.encode(batch_size=2, num_workers=num_workers, **many), expected)


def test_workers_count_cuts_and_end_with_the_call(model):
    long = "a dog barks in the snow " * 9
    before = threading.active_count()
    with pytest.warns(UserWarning, match="40 of 40 text items were cut"):
        model.encode(text=[long] * 40, num_workers=3)
    assert model.truncation_counts["text"] == 40
    assert threading.active_count() == before


class Counting(ImageProcessor):
    """A processor that counts its calls, and stops the program at one of them."""

    calls = 0
    stop_at = -1
    lock = threading.Lock()

    def __call__(self, raw, **options):
        with self.lock:
            self.calls += 1
            if self.calls == self.stop_at:
                raise KeyboardInterrupt
        return super().__call__(raw, **options)


def test_an_interrupt_stops_the_workers(model):
    pictures = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)] * 400
    model.processors["image"] = counting = Counting(32)
    counting.stop_at, before = 50, threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        model.encode(image=pictures, batch_size=2, num_workers=2, on_error="skip")
    assert threading.active_count() == before
    assert counting.calls < 100


def test_few_items_are_prepared_ahead(model):
    pictures = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)] * 200
    model.processors["image"] = counting = Counting(32)
    embed, seen = model.backbone.embed_fused, []

    def watched(*args):
        seen.append(counting.calls)
        return embed(*args)

    model.backbone.embed_fused = watched
    model.encode(image=pictures, batch_size=2, num_workers=2)
    assert counting.calls == 200
    done = [2 * k for k in range(len(seen))]
    assert max(calls - before for calls, before in zip(seen, done, strict=True)) <= 32


def test_arrays_of_numpy(model):
    expected = model.encode(text=TEXTS).numpy()
    found = model.encode(text=TEXTS, convert_to_numpy=True)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.encode(text=TEXTS[0], convert_to_numpy=True), expected[0])
    assert model.encode(text=TEXTS, convert_to_numpy=True, precision="ubinary").dtype == np.uint8
    rows = model.encode(text=TEXTS, convert_to_numpy=True, tokens=True)
    assert {type(row) for row in rows} == {np.ndarray}


def test_what_is_cut_need_not_be_normalised_again(model):
    model.backbone.add_matryoshka_dims([model.dim, 8])
    whole = model.encode(text=TEXTS)
    found = model.encode(text=TEXTS, truncate_dim=8, normalize_embeddings=False)
    assert torch.equal(found, whole[:, :8])
    assert torch.equal(model.encode(text=TEXTS, normalize_embeddings=False), whole)


def test_a_progress_bar(model, capsys):
    model.encode(text=TEXTS)
    assert capsys.readouterr().err == ""
    model.encode(text=TEXTS, show_progress_bar=True)
    assert "4/4" in capsys.readouterr().err


def test_long_audio_is_the_mean_of_its_windows(model):
    long = rng.normal(size=80_000).astype(np.float32)  # 5 s; the model reads 2 s
    wave = torch.nn.functional.layer_norm(torch.from_numpy(long), (80_000,))
    windows = [wave[start : start + 32_000] for start in (0, 24_000, 48_000)]
    with torch.no_grad():
        rows = [model.backbone.embed(_batch(model, window))["audio"][0] for window in windows]
    expected = torch.nn.functional.normalize(torch.stack(rows).mean(0), dim=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.encode(audio=[long, *SOUNDS], long_audio="mean", batch_size=2)
    torch.testing.assert_close(found[0], expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(found[1:], model.encode(audio=SOUNDS), atol=2e-6, rtol=0)
    with pytest.warns(UserWarning, match="were cut"):
        cut = model.encode(audio=[long])
    assert (cut[0] - found[0]).abs().max() > 1e-4
    both = model.encode(audio=[long], text=TEXTS[:1], long_audio="mean")
    torch.testing.assert_close(both.norm(dim=1), torch.ones(1))


def _batch(model, window):
    from onepeace_pl.modalities import ModalityInput

    return {"audio": ModalityInput(window[None])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "on_error='ignore': choose one of raise, skip, none"),
        ({"on_error": "none", "precision": "int8"}, "rows of NaN, which int8 cannot hold; use 'skip'"),
        ({"num_workers": -1}, "num_workers=-1 must be 0 or more"),
        ({"long_audio": "max"}, "long_audio='max': choose one of cut, mean"),
        ({"long_audio": "mean", "tokens": True}, "of pooled vectors, not of tokens"),
    ],
)
def test_options_that_cannot_be(model, options, message):
    with pytest.raises(UserError, match=message):
        model.encode(text=TEXTS, **options)
    with pytest.raises(UserError, match="this is one item; pass a list"):
        model.encode(text=TEXTS[0], on_error="skip")
