"""Mask rules: exact counts, rates within sampling noise; index tensors as the original's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl.modalities.masking import MaskRule, RandomTokens, Spans, WholeWords, build_mask

DRAWS = 1500


@pytest.fixture(scope="module")
def statistics(golden: Path) -> Any:
    return json.loads((golden / "mask_statistics.json").read_text())


def counts(hidden: np.ndarray) -> tuple[int, int]:
    return int(hidden.sum(1).min()), int(hidden.sum(1).max())


def many(
    rule: MaskRule, length: int, starts: np.ndarray | None, others: np.ndarray | None = None
) -> np.ndarray:
    rng = np.random.default_rng(3)
    other = [None] * DRAWS if others is None else list(others)
    return np.stack([rule(length, starts, rng, o) for o in other])


def test_stage_one(statistics: Any) -> None:
    for entry in statistics["image_text"]:
        starts = np.array([*entry["word_start"], 1], dtype=bool)
        length, patches, expected = len(starts), entry["num_patches"], entry["masked_count"]
        text = many(WholeWords(0.15), length, starts)
        image = many(RandomTokens(0.75), patches, None)
        both_text = many(RandomTokens(0.4), length, starts, text)
        both_image = many(RandomTokens(0.6875), patches, None, image)
        for ours, name in (
            (text, "text"),
            (image, "image"),
            (both_text, "vl_text"),
            (both_image, "vl_image"),
        ):
            theirs = expected[f"{name}_mask_indices"]
            assert counts(ours) == (theirs["min"], theirs["max"]), name
            assert ours.sum(1).mean() == pytest.approx(theirs["mean"], abs=0.15)
        rates = entry["text_mask_rate_by_position_incl_cls_and_eos"]
        np.testing.assert_allclose([0, *text.mean(0)], rates, atol=0.06)
        assert (~image & ~both_image).sum() == entry["patches_visible_in_both_students"]
        assert (text & both_text).sum() == entry["mean_text_tokens_masked_in_both_students"] == 0


def test_stage_two(statistics: Any) -> None:
    entry = statistics["audio_text"][0]
    starts = np.array([*statistics["image_text"][0]["word_start"], 1], dtype=bool)
    assert len(starts) == entry["n_tokens_with_eos"]
    for rule, name, length, begins in (
        (Spans(0.55), "audio", entry["frames"], None),
        (Spans(0.45), "al_audio", entry["frames"], None),
        (WholeWords(0.4), "al_text", len(starts), starts),
    ):
        ours, theirs = many(rule, length, begins), entry["masked_count"][f"{name}_mask_indices"]
        assert counts(ours) == (theirs["min"], theirs["max"])
        assert ours.sum(1).mean() == pytest.approx(theirs["mean"], abs=0.25)


def test_spans(statistics: Any) -> None:
    for entry in statistics["block_mask"]:
        frames = entry["frames"]
        ours = many(Spans(entry["ratio"]), frames, None)
        assert counts(ours) == (entry["masked_min"], entry["masked_max"])
        padded = np.pad(ours, ((0, 0), (1, 0)))
        runs = (padded[:, 1:] & ~padded[:, :-1]).sum(1).mean()
        assert runs == pytest.approx(entry["mean_number_of_runs"], rel=0.04)
        assert ours.sum(1).mean() / runs == pytest.approx(entry["mean_run_length"], rel=0.04)
        assert ours[:, 0].mean() == pytest.approx(entry["rate_first_frame"], abs=0.1)
        assert ours[:, -1].mean() == pytest.approx(entry["rate_last_frame"], abs=0.1)
        middle = ours[:, frames // 3 : 2 * frames // 3].mean()
        assert middle == pytest.approx(entry["rate_middle_third"], abs=0.02)


@pytest.mark.parametrize(
    ("file", "stream"),
    [("vl", s) for s in ("text", "image", "vl_text", "vl_image")]
    + [("al", s) for s in ("audio", "al_audio", "al_text")],
)
def test_index_tensors(golden: Path, file: str, stream: str) -> None:
    inputs = load_file(golden / f"inputs_{file}.safetensors")
    padding = None
    if stream.endswith("text"):
        padding = torch.nn.functional.pad(inputs["src_tokens"] == 1, (1, 0))
    elif stream.endswith("audio"):
        padding = inputs["audio_padding_masks"]
    hidden, kept = inputs[f"{stream}_mask_indices"], inputs[f"{stream}_preserve_ids"]
    mask = build_mask(hidden, padding)
    empty = kept == -1
    assert torch.equal(mask.keep, kept.masked_fill(empty, kept.shape[1] - 1))
    assert (mask.keep_padding is None) == (not bool(empty.any()))
    if mask.keep_padding is not None:
        assert torch.equal(mask.keep_padding, empty)
    rows = [(b, i) for b in range(len(hidden)) for i in range(1, hidden.shape[1])]
    keys = [(b, i) for b, i in rows if padding is None or not padding[b, i]]
    expected = [(b, i) for b, i in keys if hidden[b, i]]
    width = hidden.shape[1]
    assert mask.keys.tolist() == [b * width + i for b, i in keys]
    assert mask.hidden.tolist() == [b * width + i for b, i in expected]
    assert mask.targets.tolist() == [keys.index(pair) for pair in expected]
