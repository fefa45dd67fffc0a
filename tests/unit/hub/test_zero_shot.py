"""Zero-shot classification by the embedder."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.data.evaluation.prompts import class_prompts
from onepeace_pl.hub import Calibration

LABELS = ["bell", "big drum", "dog"]
PROMPTS = ["a picture of a {}", "the {} in the snow"]
rng = np.random.default_rng(0)
INPUTS = {
    "image": [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(3)],
    "audio": [rng.normal(size=16000 + 800 * i).astype(np.float32) for i in range(3)],
    "text": ["a dog", "rain", "two birds sing"],
}


def expected(model, items, prompts):
    """Follow open_clip's build_zero_shot_classifier and its softmax."""
    weights = []
    for label in LABELS:
        vectors = model.encode(text=[prompt.replace("{}", label) for prompt in prompts])
        weights.append(F.normalize(F.normalize(vectors, dim=-1).mean(0), dim=0))
    return (model.backbone.logit_scale.exp() * items @ torch.stack(weights).T).softmax(-1)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("prompts", [PROMPTS, ["{}"]])
@torch.no_grad()
def test_probabilities_are_those_of_open_clip(model, name, prompts):
    result = model.classify(LABELS, prompts, **{name: INPUTS[name]})
    wanted = expected(model, model.encode(**{name: INPUTS[name]}), prompts)
    torch.testing.assert_close(result.probabilities, wanted, atol=1e-6, rtol=0)
    assert result.predicted == [LABELS[i] for i in wanted.argmax(-1).tolist()]
    if prompts == ["{}"]:
        again = model.classify(labels=LABELS, **{name: INPUTS[name]})
        assert torch.equal(again.probabilities, result.probabilities)


@torch.no_grad()
def test_the_task_has_the_same_classes(model):
    batches = class_prompts(PROMPTS, LABELS, model.processors["text"], batch_size=4)
    sums = torch.zeros(3, model.dim)
    for classes, texts in batches:
        sums.index_add_(0, classes, model.backbone.embed({"text": texts})["text"])
    similarities = model.encode(image=INPUTS["image"]) @ F.normalize(sums, dim=-1).T
    found = model.classify(LABELS, PROMPTS, image=INPUTS["image"]).similarities
    torch.testing.assert_close(found, similarities, atol=2e-6, rtol=0)


def test_results_as_plain_data(model):
    result = model.classify(LABELS, PROMPTS, image=INPUTS["image"][:1])
    (best,) = result.top(2)
    assert best[0]["label"] == result.predicted[0]
    assert best[0]["probability"] >= best[1]["probability"]
    assert len(result.top(9)[0]) == 3
    plain = result.to_dict()
    assert plain["labels"] == LABELS
    assert sum(plain["probabilities"][0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="k=0"):
        result.top(0)


def test_one_input_without_a_list_and_fused_inputs(model):
    assert model.classify(LABELS, text="a dog").probabilities.shape == (1, 3)
    fused = model.classify(LABELS, text=INPUTS["text"], image=INPUTS["image"], fuse="joint")
    vectors = model.encode(text=INPUTS["text"], image=INPUTS["image"], fuse="joint")
    torch.testing.assert_close(fused.probabilities, expected(model, vectors, ["{}"]), atol=1e-6, rtol=0)


def test_a_calibration_does_not_change_it(model):
    before = model.classify(LABELS, image=INPUTS["image"]).probabilities
    vectors = {name: model.encode(**{name: 3 * INPUTS[name]}) for name in ("image", "text")}
    model.calibration = Calibration.fit(
        vectors, "centring", {name: [str(i) for i in range(9)] for name in vectors}
    )
    assert torch.equal(model.classify(LABELS, image=INPUTS["image"]).probabilities, before)


@pytest.mark.parametrize(
    ("labels", "prompts", "match"),
    [
        ([], PROMPTS, "no labels"),
        (LABELS, [], "no prompts"),
        (["a", "a"], PROMPTS, "'a' is repeated"),
        (["a", " "], PROMPTS, "empty"),
        (LABELS, ["a photo"], "no placeholder"),
        ("bell", PROMPTS, "lists of texts"),
        (LABELS, "a {}", "lists of texts"),
    ],
)
def test_unusable_labels_and_prompts(model, labels, prompts, match):
    with pytest.raises(ValueError, match=match):
        model.classify(labels, prompts, image=INPUTS["image"])
