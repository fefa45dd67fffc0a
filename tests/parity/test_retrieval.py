"""Retrieval models of the original: vectors, losses, gradients, and ten steps with layer decay."""

import pytest
import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.loading import load_state
from onepeace_pl.checkpoints.names import from_official, to_official
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.optim import build_optimizer
from onepeace_pl.tasks.retrieval import Retrieval

from .files import own_state, record, tensors
from .reference import NO_DECODER, adapters, fine_tuning_inputs, transformer
from .test_losses import check_gradients, official_gradients, original_adam

RUNS = {"image_text": ("image", "text"), "audio_text": ("audio", "text")}


def model(golden, run):
    pair = RUNS[run]
    made = adapters(golden, ("text", pair[0]), f"{run}_retrieval")
    options = transformer(golden, f"{run}_retrieval", bias_per_layer=True)
    backbone = Backbone(made, options, NO_DECODER)
    theirs = tensors(golden, f"retrieval_{run}")
    own = own_state(golden, f"retrieval_{run}")
    state = tensors(golden, "pretrain_state")
    state = {n: t for n, t in state.items() if "rel_pos_table" not in n} | own
    load_state(backbone, from_official(state)[0], run)
    task = Retrieval(backbone, DataInfo(), pair)
    backbone.apply_stage(task.reads.modalities)
    inputs = fine_tuning_inputs(golden)
    count = len(inputs["text"].values)
    ids = [str(i) for i in range(count)]
    batch = Batch(ids, torch.arange(count), 0, {name: inputs[name] for name in pair}, {})
    return backbone, task, batch, theirs


@pytest.mark.parametrize("run", RUNS)
def test_vectors_loss_and_gradients(golden, run):
    backbone, task, batch, theirs = model(golden, run)
    for name, vectors in backbone.embed(batch.inputs).items():
        assert (vectors - theirs[f"{name}_proj"]).abs().max() <= 2e-6
    step = task(backbone, batch)
    expected = record(golden, "losses")[f"{run}_retrieval"]
    assert step.loss.item() == pytest.approx(expected["total"], rel=1e-5)
    assert step.logs["scale"].item() == pytest.approx(expected["logging"]["logit_scale_exp"], rel=1e-6)
    letter = RUNS[run][0][0]
    for name, direction in (
        (f"{letter}2t", f"{RUNS[run][0]}->text"),
        (f"t2{letter}", f"text->{RUNS[run][0]}"),
    ):
        assert step.logs[f"align/{direction}"].item() == pytest.approx(
            expected["parts"][f"contrast_{name}"], rel=1e-5
        )
        right = len(batch.ids) * step.logs[f"accuracy/{direction}"].item()
        assert right == pytest.approx(expected["logging"][f"{name}_ncorrect"])
    step.loss.backward()
    reference = record(golden, "grad_norms")[f"{run}_retrieval"]
    check_gradients(official_gradients(backbone), reference["with_grad"])


def test_ten_steps_with_layer_decay(golden):
    story = record(golden, "trajectory")["image_text_retrieval"]
    backbone, task, batch, _ = model(golden, "image_text")
    start = to_official({n: p.detach().clone() for n, p in backbone.named_parameters()})
    optimizer = build_optimizer(
        backbone,
        lambda groups: original_adam(groups, story["optimizer"]),
        story["layer_decay"],
    )
    for expected in story["steps"]:
        peak = max(expected["lr_values_used"])
        for group in optimizer.param_groups:
            group["lr"] = peak * group["lr_scale"]
        used = sorted({group["lr"] for group in optimizer.param_groups})
        assert used == pytest.approx(sorted(expected["lr_values_used"]), rel=1e-9)
        optimizer.zero_grad()
        step = task(backbone, batch)
        assert step.loss.item() == pytest.approx(expected["loss"], rel=1e-4)
        step.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(backbone.parameters(), float("inf"))
        assert norm.item() == pytest.approx(expected["grad_norm_before_clip"], rel=1e-4)
        optimizer.step()
    final = to_official({n: p.detach() for n, p in backbone.named_parameters()})
    for name, value in story["final_parameter_l2"].items():
        assert final[name].norm().item() == pytest.approx(value, rel=1e-4), name
    for name, value in story["final_parameter_l2_change"].items():
        assert (final[name] - start[name]).norm().item() == pytest.approx(value, rel=1e-4), name
