"""Fine-tuned models of the original: logits, losses and gradients of every classifier, and the vision branch."""

from functools import partial
from typing import Any

import pytest
import torch

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.checkpoints.heads import head_from_official, head_to_official
from onepeace_pl.checkpoints.loading import load_state
from onepeace_pl.checkpoints.names import from_official
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.tasks.classification import Classification, MultiLabelClassification
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.question_answering import MultipleChoice, OpenAnswer
from onepeace_pl.tasks.visual_reasoning import VisualReasoning

from .files import own_state, record, tensors
from .reference import NO_DECODER, adapters, fine_tuning_inputs, pretrained_state, text_input, transformer
from .sampling import assert_same_initialisation
from .test_losses import check_gradients

RUNS: dict[str, tuple[tuple[str, ...], Any]] = {
    "image": (("image",), partial(Classification, modality="image")),
    "vggsound": (("audio",), partial(Classification, modality="audio")),
    "fsd50k": (("audio",), partial(MultiLabelClassification, modality="audio")),
    "text_cls_pool": (("text",), partial(Classification, modality="text", pooling="cls", pooler=True)),
    "vqa": (("text", "image"), OpenAnswer),
    "aqa": (("text", "audio"), MultipleChoice),
    "nlvr2": (("text", "image"), VisualReasoning),
    "refcoco": (("text", "image"), Grounding),
    "refcocog": (("text", "image"), partial(Grounding, pool="text")),
}


def model(golden, run, **options):
    names, make = RUNS[run]
    made = adapters(golden, names, f"classify_{run}")
    if run == "nlvr2":
        made["text"] = partial(made["text"], types=1)
        made["image"] = partial(made["image"], types=2)
    backbone = Backbone(made, transformer(golden, f"classify_{run}", bias_per_layer=True), NO_DECODER)
    theirs = tensors(golden, f"classify_{run}")
    state = tensors(golden, "pretrain_state")
    state = {n: t for n, t in state.items() if "rel_pos_table" not in n} | own_state(
        golden, f"classify_{run}"
    )
    ours, left = from_official(state)
    report = load_state(backbone, ours, run)
    # a classifier of the original has neither projections nor a scale
    outputs = theirs["logits"].shape[-1]
    task = make(backbone, DataInfo(classes=tuple(map(str, range(outputs)))), **options)
    task.head.load_state_dict(head_from_official(left))
    backbone.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    return backbone, task, theirs, report


def batch(golden, run, theirs):
    x = tensors(golden, "finetune_inputs")
    inputs = fine_tuning_inputs(golden)
    if run == "aqa":
        inputs["text"] = text_input(x["aqa_src_tokens"])
    if run == "nlvr2":
        inputs["image"] = ModalityInput(torch.stack([x["src_images"], x["src_images_2"]], 1).flatten(0, 1))
    count = len(x["src_tokens"])
    ids = [str(i) for i in range(count)]
    chosen = {name: inputs[name] for name in RUNS[run][0]}
    return Batch(ids, torch.arange(count), 0, chosen, {}, targets=theirs["target"], labels=[{}] * count)


@pytest.mark.parametrize("run", RUNS)
def test_logits_loss_and_gradients(golden, run):
    backbone, task, theirs, _ = model(golden, run)
    given = batch(golden, run, theirs)
    expected = record(golden, "losses")[f"classify_{run}"]
    outputs = task.outputs(backbone, given)
    wanted = theirs["boxes"] if "boxes" in theirs else theirs["logits"]
    assert (outputs - wanted).abs().max() <= 3e-5
    loss = task.loss(outputs, given.targets)
    total = loss * expected["sample_size"]
    assert total.item() == pytest.approx(expected["total"], rel=1e-5)
    total.backward()
    gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    from onepeace_pl.checkpoints.names import to_official

    head = head_to_official({n: p.grad for n, p in task.head.named_parameters()})
    reference = record(golden, "grad_norms")[f"classify_{run}"]
    check_gradients(to_official(gradients) | head, reference["with_grad"])
    if "n_correct" in expected["logging"] and run not in ("fsd50k", "vqa"):
        right = task.metrics(outputs, given.targets)["accuracy"].sum().item()
        assert right == pytest.approx(expected["logging"]["n_correct"])


@pytest.mark.parametrize(
    ("variant", "target", "options"),
    [("soft_targets", "soft_target", {}), ("label_smoothing_0.1", "target", {"label_smoothing": 0.1})],
)
def test_other_targets_of_a_picture(golden, variant, target, options):
    backbone, task, theirs, _ = model(golden, "image", **options)
    expected = record(golden, "losses")[f"classify_image.{variant}"]
    loss = task.loss(task.outputs(backbone, batch(golden, "image", theirs)), theirs[target])
    assert (len(theirs[target]) * loss).item() == pytest.approx(expected["total"], rel=1e-5)


@torch.no_grad()
def test_vision_branch(golden):
    theirs = tensors(golden, "vision_branch")
    backbone = Backbone(adapters(golden, ("image",)), transformer(golden), NO_DECODER)
    load_state(backbone, pretrained_state(golden), "vision")
    classes = tuple(map(str, range(theirs["logits"].shape[-1])))
    task = Classification(backbone, DataInfo(classes=classes), pooling="mean")
    task.head.load_state_dict(head_from_official(own_state(golden, "vision_branch")))
    images = ModalityInput(tensors(golden, "inputs_vl")["src_images"])
    (features,), _ = backbone({"image": images}, [ForwardPass(("image",), stop_after="blocks")])
    assert (features.tokens["image"] - theirs["features"]).abs().max() <= 3e-5
    count = len(images.values)
    given = Batch(["a"] * count, torch.arange(count), 0, {"image": images}, {})
    assert (task.outputs(backbone, given) - theirs["logits"]).abs().max() <= 3e-5


def test_head_names_go_both_ways(golden):
    for run in RUNS:
        state = own_state(golden, f"classify_{run}")
        official = {n: t for n, t in state.items() if n.startswith("classify_head.")}
        again = head_to_official(head_from_official(official))
        for name, tensor in again.items():
            assert torch.equal(tensor, official[name]), name
        unused = {"classify_head.norm.weight", "classify_head.norm.bias"} if run == "text_cls_pool" else set()
        assert official.keys() - again.keys() == unused


def test_head_initialisation(golden):
    expected = record(golden, "init_statistics")["classify_nlvr2"]
    torch.manual_seed(0)
    run = "classify_nlvr2"
    backbone = Backbone(adapters(golden, ("text",), run), transformer(golden, run), NO_DECODER)
    classes = expected["classify_head.classifier.3.bias"]["shape"][0]
    head = head_to_official(dict(ClassificationHead(backbone.config, classes, passes=2).named_parameters()))
    rows = {name: row for name, row in expected.items() if name.startswith("classify_head.")}
    assert rows.keys() == head.keys()
    for name, row in rows.items():
        tensor = head[name].detach()
        assert list(tensor.shape) == row["shape"], name
        assert_same_initialisation(tensor, row, name)
