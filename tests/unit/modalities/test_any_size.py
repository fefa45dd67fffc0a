import numpy as np
import pytest
import torch

from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor


def test_is_what_the_other_processor_gives_for_a_square():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    mine, theirs = AnySizeProcessor()(picture), ImageProcessor(64, train_crop=None)(picture)
    assert torch.equal(mine.values, theirs.values)
    assert mine.length == theirs.length == 16


def test_batches_are_padded_right_and_below():
    processor = AnySizeProcessor(divisor=32)
    samples = [processor(np.full((h, w, 3), 255, dtype=np.uint8)) for h, w in ((40, 20), (16, 50))]
    values = processor.collate(samples).values
    assert values.shape == (2, 3, 64, 64)
    assert (values[0, :, :40, :20] > 1).all()
    assert not values[0, :, 40:].any()
    assert not values[1, :, :, 50:].any()


def test_a_divisor_that_cuts_patches():
    with pytest.raises(ValueError, match="divisor=24 must be a multiple of patch=16"):
        AnySizeProcessor(24)
