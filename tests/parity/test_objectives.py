"""The objectives on the original's own features give the original's own losses."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from onepeace_pl.modalities.base import Mask
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss, info_nce

from .files import record, table, tensors

RELATIVE = 1e-5
PAD = 1


def mask_of(hidden: Tensor, padding: Tensor) -> Mask:
    """Make the flat indices that collate makes, from (B, L) bools: hidden and padded positions."""
    real = ~padding
    real[:, 0] = False
    keys = real.flatten().nonzero()[:, 0]
    wanted = (hidden & real).flatten().nonzero()[:, 0]
    return Mask(torch.zeros(0, 0, dtype=torch.int64), None, wanted, keys, torch.searchsorted(keys, wanted))


def text_padding(tokens: Tensor) -> Tensor:
    return torch.cat([torch.zeros(len(tokens), 1, dtype=torch.bool), tokens == PAD], dim=1)


@pytest.fixture(scope="module")
def numbers(golden: Path) -> dict[str, dict[str, Tensor]]:
    names = ("features", "masked", "inputs_vl", "inputs_al")
    return {name: tensors(golden, name) for name in names}


@pytest.fixture(scope="module")
def losses(golden: Path) -> dict[str, dict[str, dict[str, float]]]:
    return record(golden, "losses")


# part of the loss record: run, inputs, student, teacher, mask
STREAMS = {
    "dcl_text": ("image_text_pretrain", "inputs_vl", "text.student", "text.features", "text"),
    "dcl_image": ("image_text_pretrain", "inputs_vl", "image.student", "image.features", "image"),
    "dcl_vl_text": ("image_text_pretrain", "inputs_vl", "vl.student_text", "vl.text_features", "vl_text"),
    "dcl_vl_image": ("image_text_pretrain", "inputs_vl", "vl.student_image", "vl.image_features", "vl_image"),
    "dcl_audio": ("audio_text_pretrain", "inputs_al", "audio.student", "al.audio_features", "audio"),
    "dcl_al_text": ("audio_text_pretrain", "inputs_al", "al.student_text", "al.text_features", "al_text"),
    "dcl_al_audio": ("audio_text_pretrain", "inputs_al", "al.student_audio", "al.audio_features", "al_audio"),
}
SWITCHES = {  # suffix of the run: arguments
    "": {},
    ".label_smoothing_0.0": {"smoothing": 0.0},
    ".label_smoothing_0.3": {"smoothing": 0.3},
    ".dcl_logit_scale_10": {"scale": 10.0},
}


CASES = [
    (part, switch) for part in STREAMS for switch in SWITCHES if not switch or STREAMS[part][0][0] == "i"
]


@pytest.mark.parametrize(("part", "switch"), CASES)
def test_denoising(part: str, switch: str, golden: Path, numbers: dict, losses: dict) -> None:
    run, source, student, teacher, name = STREAMS[part]
    inputs = numbers[source]
    hidden = inputs[f"{name}_mask_indices"]
    if "text" in name:
        padding = text_padding(inputs["src_tokens"])
    else:
        padding = inputs.get("audio_padding_masks", torch.zeros_like(hidden))
    criterion = table(golden, run)["criterion"]
    options = {"scale": criterion["dcl_logit_scale"], "smoothing": criterion["label_smoothing"]}
    loss = DenoisingLoss(**options | SWITCHES[switch])(
        numbers["masked"][student], numbers["features"][teacher], mask_of(hidden, padding.clone())
    ).loss
    assert loss.item() == pytest.approx(losses[run + switch]["parts"][part], rel=RELATIVE)


def test_alignment(numbers: dict, losses: dict) -> None:
    features, expected = numbers["features"], losses["image_text_pretrain"]
    found = CrossModalContrast()(features["image.proj"], features["text.proj"], features["logit_scale_exp"])
    assert found.losses[0].item() == pytest.approx(expected["parts"]["contrast_i2t"], rel=RELATIVE)
    assert found.losses[1].item() == pytest.approx(expected["parts"]["contrast_t2i"], rel=RELATIVE)
    assert found.loss.item() == pytest.approx(expected["logging"]["itc_loss"], rel=RELATIVE)
    count = len(features["image.proj"])
    assert found.accuracies[0].item() * count == pytest.approx(expected["logging"]["i2t_ncorrect"])
    assert found.accuracies[1].item() * count == pytest.approx(expected["logging"]["t2i_ncorrect"])


@pytest.mark.parametrize("rank", [0, 1])
def test_alignment_in_two_processes(rank: int, golden: Path, numbers: dict) -> None:
    """One rank's rows against the rows of both, as gathered."""
    runs = record(golden, "losses_two_ranks")
    rows = {r: torch.tensor(runs[f"rank{r}"]["image_text_pretrain"]["rows_of_inputs_vl"]) for r in (0, 1)}
    features = numbers["features"]
    order = torch.cat([rows[0], rows[1]])
    targets = torch.arange(len(rows[rank])) + rank * len(rows[0])
    found = info_nce(
        features["image.proj"][rows[rank]], features["text.proj"][order], targets, features["logit_scale_exp"]
    )
    expected = runs[f"rank{rank}"]["image_text_pretrain"]["parts"]["contrast_i2t"]
    assert found.loss.item() == pytest.approx(expected, rel=RELATIVE)
