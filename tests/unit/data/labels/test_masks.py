import io

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.data.labels.masks import MaskTarget, open_mask, padded_masks

CLASSES = ("sky", "road", "car")


def test_any_kind_of_mask_is_opened(tmp_path):
    mask = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    encoded = io.BytesIO()
    palette = Image.fromarray(mask, mode="L").convert("P")
    palette.putdata(mask.ravel().tolist())
    palette.save(encoded, "PNG")
    for raw in (
        tmp_path / "mask.png",
        str(tmp_path / "mask.png"),
        encoded.getvalue(),
        Image.fromarray(mask),
        mask.astype(np.int64),
    ):
        assert np.array_equal(open_mask(raw), mask)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("absent.png", "no such mask"),
        (b"nonsense", "unreadable mask"),
        (Image.new("RGB", (2, 2)), "has colours, not classes"),
        (np.zeros((2, 2)), "whole numbers, got float64"),
        (np.full((2, 2), 300), "numbers from 300 to 300"),
        (7, "got int"),
    ],
)
def test_bad_masks(raw, message):
    with pytest.raises((ValueError, TypeError), match=message):
        open_mask(raw)


def test_targets():
    read = MaskTarget(CLASSES)
    mask = np.array([[0, 2], [255, 1]], dtype=np.uint8)
    assert np.array_equal(read({"mask": mask}), mask)
    with pytest.raises(ValueError, match="has number 3, and there are 3 classes, counted from 0; write 255"):
        read({"mask": np.array([[3]], dtype=np.uint8)})
    with pytest.raises(ValueError, match="no label 'mask'; the row has class"):
        read({"class": 1})
    with pytest.raises(ValueError, match="names no classes"):
        MaskTarget(())


def test_padding():
    masks = padded_masks([torch.zeros(2, 3).long(), torch.ones(1, 1).long()], (2, 4))
    assert masks.tolist() == [[[0, 0, 0, 255], [0, 0, 0, 255]], [[1, 255, 255, 255], [255] * 4]]
