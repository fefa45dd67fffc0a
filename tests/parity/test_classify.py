"""Fine-tuned models of the original: logits, losses and gradients of every classifier, and the vision branch."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl.backbone import Backbone, DecoderOptions, Stream
from onepeace_pl.backbone.interop import from_official
from onepeace_pl.backbone.loading import load_state
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.facts import DataFacts
from onepeace_pl.heads import ClassifyHead
from onepeace_pl.heads.official import head_from_official, head_to_official
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import MultipleChoice, OpenAnswer
from onepeace_pl.tasks.visual_reasoning import VisualReasoning

from .reference import TRANSFORMER, adapters, text_input
from .test_losses import check_gradients

NUMBERS = [str(i) for i in range(11)]
RUNS: dict[str, tuple[tuple[str, ...], Any]] = {
    "image": (("image",), partial(Classification, modality="image")),
    "vggsound": (("audio",), partial(Classification, modality="audio")),
    "fsd50k": (("audio",), partial(MultiLabelClassification, modality="audio")),
    "text_cls_pool": (("text",), partial(Classification, modality="text", pooling="summary", pooler=True)),
    "vqa": (("text", "image"), OpenAnswer),
    "aqa": (("text", "audio"), MultipleChoice),
    "nlvr2": (("text", "image"), VisualReasoning),
    "refcoco": (("text", "image"), Grounding),
    "refcocog": (("text", "image"), partial(Grounding, pool="text")),
}


def model(golden, run, **options):
    names, make = RUNS[run]
    made = adapters(names, image_size=96)
    if run == "nlvr2":
        made["text"] = partial(made["text"], types=1)
        made["image"] = partial(made["image"], types=2)
    backbone = Backbone(made, replace(TRANSFORMER, bias_per_layer=True), DecoderOptions(depth=0))
    theirs = load_file(golden / f"classify_{run}.safetensors")
    own = {n.removeprefix("state."): t for n, t in theirs.items() if n.startswith("state.")}
    state = load_file(golden / "pretrain_state.safetensors")
    state = {n: t for n, t in state.items() if "rel_pos_table" not in n} | own
    ours, left = from_official(state)
    report = load_state(backbone, ours, run)
    # a classifier of the original has neither projections nor a scale
    outputs = theirs["logits"].shape[-1]
    task = make(backbone, DataFacts(classes=tuple(map(str, range(outputs)))), **options)
    task.head.load_state_dict(head_from_official(left))
    backbone.apply_stage(task.modalities, until=task.until)
    return backbone, task, theirs, report


def batch(golden, run, theirs):
    x = load_file(golden / "finetune_inputs.safetensors")
    inputs = {
        "text": text_input(x["aqa_src_tokens" if run == "aqa" else "src_tokens"]),
        "image": ModalityInput(x["src_images"]),
        "audio": ModalityInput(x["src_audios"], x["audio_padding_masks"]),
    }
    if run == "nlvr2":
        inputs["image"] = ModalityInput(torch.stack([x["src_images"], x["src_images_2"]], 1).flatten(0, 1))
    names = RUNS[run][0]
    return Batch(
        ["a", "b", "c"], torch.arange(3), 0, {n: inputs[n] for n in names}, {}, targets=theirs["target"],
        labels=[{}] * 3,
    )  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_logits_loss_and_gradients(golden, run):
    backbone, task, theirs, _ = model(golden, run)
    given = batch(golden, run, theirs)
    expected = json.loads((golden / "losses.json").read_text())[f"classify_{run}"]
    outputs = task.outputs(backbone, given)
    wanted = theirs["boxes"] if "boxes" in theirs else theirs["logits"]
    assert (outputs - wanted).abs().max() <= 3e-5
    loss = task.loss(outputs, given.targets)
    total = loss * expected["sample_size"]
    assert total.item() == pytest.approx(expected["total"], rel=1e-5)
    total.backward()
    gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    from onepeace_pl.backbone.interop import to_official

    head = head_to_official({n: p.grad for n, p in task.head.named_parameters()})
    reference = json.loads((golden / "grad_norms.json").read_text())[f"classify_{run}"]
    check_gradients(to_official(gradients) | head, reference["with_grad"])
    if "n_correct" in expected["logging"] and run not in ("fsd50k", "vqa"):
        right = task.measure(outputs, given.targets)["accuracy"].sum().item()
        assert right == pytest.approx(expected["logging"]["n_correct"])


@pytest.mark.parametrize(
    ("variant", "target", "options"),
    [("soft_targets", "soft_target", {}), ("label_smoothing_0.1", "target", {"label_smoothing": 0.1})],
)
def test_other_targets_of_a_picture(golden, variant, target, options):
    backbone, task, theirs, _ = model(golden, "image", **options)
    expected = json.loads((golden / "losses.json").read_text())[f"classify_image.{variant}"]
    loss = task.loss(task.outputs(backbone, batch(golden, "image", theirs)), theirs[target])
    assert (3 * loss).item() == pytest.approx(expected["total"], rel=1e-5)


@torch.no_grad()
def test_vision_branch(golden):
    theirs = load_file(golden / "vision_branch.safetensors")
    ours, _ = from_official(load_file(golden / "pretrain_state.safetensors"))
    backbone = Backbone(adapters(("image",)), TRANSFORMER, DecoderOptions(depth=0))
    load_state(backbone, ours, "vision")
    task = Classification(backbone, DataFacts(classes=("a", "b", "c", "d", "e")), pooling="mean")
    task.head.load_state_dict(head_from_official({n.removeprefix("state."): t for n, t in theirs.items()}))
    images = ModalityInput(load_file(golden / "inputs_vl.safetensors")["src_images"])
    (features,), _ = backbone({"image": images}, [Stream(("image",), until="blocks")])
    assert (features.tokens["image"] - theirs["features"]).abs().max() <= 3e-5
    given = Batch(["a"] * 4, torch.arange(4), 0, {"image": images}, {})
    assert (task.outputs(backbone, given) - theirs["logits"]).abs().max() <= 3e-5


def test_head_names_go_both_ways(golden):
    for run in RUNS:
        theirs = load_file(golden / f"classify_{run}.safetensors")
        official = {n[6:]: t for n, t in theirs.items() if n.startswith("state.classify_head.")}
        again = head_to_official(head_from_official(official))
        for name, tensor in again.items():
            assert torch.equal(tensor, official[name]), name
        unused = {"classify_head.norm.weight", "classify_head.norm.bias"} if run == "text_cls_pool" else set()
        assert official.keys() - again.keys() == unused


def test_head_initialisation(golden):
    expected = json.loads((golden / "init_statistics.json").read_text())["classify_nlvr2"]
    torch.manual_seed(0)
    backbone = Backbone(adapters(("text",)), TRANSFORMER, DecoderOptions(depth=0))
    head = head_to_official(dict(ClassifyHead(backbone.config, 2, passes=2).named_parameters()))
    rows = {name: row for name, row in expected.items() if name.startswith("classify_head.")}
    assert rows.keys() == head.keys()
    for name, row in rows.items():
        tensor = head[name].detach()
        assert list(tensor.shape) == row["shape"], name
        assert tensor.abs().max() <= max(abs(row["min"]), abs(row["max"]), 0.02) + 1e-6, name
        assert tensor.std(correction=0).item() == pytest.approx(row["std"], rel=0.2, abs=1e-6), name
