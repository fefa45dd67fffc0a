"""Mask rules: exact counts, rates within sampling noise; index tensors as the original's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onepeace_pl.modalities.masking import MaskRule, RandomTokens, Spans, WholeWords, build_mask

from .files import record, table, tensors
from .pretraining import STAGES
from .sampling import assert_same_count, assert_same_mean


@pytest.fixture(scope="module")
def statistics(golden: Path) -> Any:
    return record(golden, "mask_statistics")


def many(
    rule: MaskRule, draws: int, length: int, starts: np.ndarray | None, others: np.ndarray | None = None
) -> np.ndarray:
    rng = np.random.default_rng(3)
    other = [None] * draws if others is None else list(others)
    return np.stack([rule(length, starts, rng, o) for o in other])


def test_stage_one(golden: Path, statistics: Any) -> None:
    ratios = table(golden, STAGES[1])["task"]
    draws = statistics["draws"]
    for entry in statistics["image_text"]:
        starts = np.array([*entry["word_start"], 1], dtype=bool)
        length, patches = len(starts), entry["num_patches"]
        text = many(WholeWords(ratios["text_mask_ratio"]), draws, length, starts)
        image = many(RandomTokens(ratios["image_mask_ratio"]), draws, patches, None)
        both_text = many(RandomTokens(ratios["vl_text_mask_ratio"]), draws, length, starts, text)
        both_image = many(RandomTokens(ratios["vl_image_mask_ratio"]), draws, patches, None, image)
        for ours, name in (
            (text, "text"),
            (image, "image"),
            (both_text, "vl_text"),
            (both_image, "vl_image"),
        ):
            theirs = entry["masked_count"][f"{name}_mask_indices"]
            assert_same_count(ours.sum(1), theirs["min"], theirs["max"], theirs["mean"], draws, name)
        rates = entry["text_mask_rate_by_position_incl_cls_and_eos"]
        assert len(rates) == 1 + length
        assert rates[0] == 0
        for position, rate in enumerate(rates[1:]):
            assert_same_mean(text[:, position], rate, draws, f"position {position}")
        assert (~image & ~both_image).sum() == entry["patches_visible_in_both_students"]
        assert (text & both_text).sum() == entry["mean_text_tokens_masked_in_both_students"] == 0


def test_stage_two(golden: Path, statistics: Any) -> None:
    ratios = table(golden, STAGES[2])["task"]
    starts = np.array([*statistics["image_text"][0]["word_start"], 1], dtype=bool)
    for entry in statistics["audio_text"]:
        assert len(starts) == entry["n_tokens_with_eos"]
        for rule, name, length, begins in (
            (Spans(ratios["audio_mask_ratio"]), "audio", entry["frames"], None),
            (Spans(ratios["al_audio_mask_ratio"]), "al_audio", entry["frames"], None),
            (WholeWords(ratios["al_text_mask_ratio"]), "al_text", len(starts), starts),
        ):
            hidden = many(rule, entry["draws"], length, begins).sum(1)
            theirs = entry["masked_count"][f"{name}_mask_indices"]
            assert_same_count(hidden, theirs["min"], theirs["max"], theirs["mean"], entry["draws"], name)


def test_spans(statistics: Any) -> None:
    for entry in statistics["block_mask"]:
        frames, draws, name = entry["frames"], entry["draws"], f"{entry['frames']} frames, {entry['ratio']}"
        ours = many(Spans(entry["ratio"]), draws, frames, None)
        hidden = ours.sum(1)
        assert (hidden.min(), hidden.max()) == (entry["masked_min"], entry["masked_max"])
        padded = np.pad(ours, ((0, 0), (1, 0)))
        runs = (padded[:, 1:] & ~padded[:, :-1]).sum(1)
        assert_same_mean(runs, entry["mean_number_of_runs"], draws, f"runs of {name}")
        # a ratio of means: what it leaves over has the mean 0
        over = (hidden - entry["mean_run_length"] * runs) / runs.mean()
        assert_same_mean(over, 0.0, draws, f"length of runs of {name}")
        assert_same_mean(ours[:, 0], entry["rate_first_frame"], draws, f"first of {name}")
        assert_same_mean(ours[:, -1], entry["rate_last_frame"], draws, f"last of {name}")
        middle = ours[:, frames // 3 : 2 * frames // 3].mean(1)
        assert_same_mean(middle, entry["rate_middle_third"], draws, f"middle of {name}")


@pytest.mark.parametrize(
    ("file", "stream"),
    [("vl", s) for s in ("text", "image", "vl_text", "vl_image")]
    + [("al", s) for s in ("audio", "al_audio", "al_text")],
)
def test_index_tensors(golden: Path, file: str, stream: str) -> None:
    inputs = tensors(golden, f"inputs_{file}")
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
