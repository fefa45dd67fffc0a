"""R@k of the original's own evaluation."""

from pathlib import Path

import pytest
import torch

from onepeace_pl.metrics import RetrievalMetric

from .files import record, tensors


def test_recall(golden: Path) -> None:
    inputs = tensors(golden, "metrics")
    expected = record(golden, "metrics")["recall"]
    text_ids, image_ids = inputs["recall.text_ids"], inputs["recall.image_ids"]
    # One row a caption, with its picture beside it.
    place = {int(i): row for row, i in enumerate(image_ids)}
    pictures = inputs["recall.image_logits"][[place[int(i)] for i in text_ids]]
    metric = RetrievalMetric(["image"], ["text"], one_per_id=["image"])
    metric.update(
        pictures, inputs["recall.text_logits"], [str(int(i)) for i in text_ids], torch.arange(len(text_ids))
    )
    result = metric.compute()
    for direction, prefix in (("image->text", "txt"), ("text->image", "img")):
        for k in (1, 5, 10):
            found = 100 * result.directions[direction].recall[k]
            assert found == pytest.approx(expected[f"{prefix}_r{k}"], rel=1e-9)
    assert 100 * result.mean_recall == pytest.approx(expected["r_mean"], rel=1e-9)
    to_text = result.directions["image->text"]
    assert len(to_text.queries) == expected["img_count"]
    assert len(to_text.candidates) == expected["txt_count"]
    for query, answers in zip(to_text.queries, to_text.top, strict=True):
        assert text_ids[answers].tolist() == expected["predict_txt"][str(int(text_ids[query]))]
