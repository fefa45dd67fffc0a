import torch

from onepeace_pl.data.batches import Batch
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.modalities.masking import build_mask


def test_moving_a_batch_moves_what_the_model_computes_with() -> None:
    hidden = torch.tensor([[False, True, False], [False, False, True]])
    padding = torch.zeros(2, 3, dtype=torch.bool)
    batch = Batch(
        ids=["a", "b"],
        indices=torch.arange(2),
        epoch=0,
        inputs={"text": ModalityInput(torch.ones(2, 2), padding)},
        lengths={"text": torch.tensor([2, 2])},
        masks={"student": {"text": build_mask(hidden)}},
    )
    moved = batch.to("meta")
    assert len(moved) == 2
    assert moved.inputs["text"].values.is_meta
    assert moved.inputs["text"].padding is not None
    assert moved.inputs["text"].padding.is_meta
    assert moved.masks["student"]["text"].keep.is_meta
    assert moved.masks["student"]["text"].keep_padding is None
    assert not moved.lengths["text"].is_meta
    assert not moved.indices.is_meta
    assert not batch.inputs["text"].values.is_meta
