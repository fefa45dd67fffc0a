import numpy as np
import pytest

from onepeace_pl.data.labels.segmentations import decode_segmentation

SQUARE = [2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]


def test_all_encodings_give_the_same_mask():
    from pycocotools import mask as coco

    drawn = decode_segmentation([SQUARE], 8, 10)
    packed = coco.encode(np.asfortranarray(drawn.astype(np.uint8)))
    runs, last, count = [], False, 0
    for pixel in drawn.T.ravel():  # column by column, beginning with what is outside
        if pixel != last:
            runs.append(count)
            last, count = pixel, 0
        count += 1
    runs.append(count)
    for segmentation in (packed, {"size": [8, 10], "counts": runs}, drawn):
        assert np.array_equal(decode_segmentation(segmentation, 8, 10), drawn)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[float("nan")] * 6], "not finite numbers"),
        ([[0.0, 0.0, 5.0, 5.0, float("inf"), 1.0]], "not finite numbers"),
        ([[1, 1, 5, 1, 5, 10**400]], "not finite numbers"),
        ([[1, 1, "5", 1, 5, 1]], "not finite numbers"),
        ([[1, 1, 5, 1, 1e30, 5]], r"a corner at 1e\+30, far outside its image of 10 x 8"),
        ([[-20.0, -20.0, 20.0, 20.0] * 100_000], "pixels; leave the object out"),
        ({"size": [8, 10], "counts": [3, 78]}, "RLE of 81 pixels for an image of 80"),
        ({"size": [8, 10], "counts": [90, -10]}, "RLE count -10 is no whole number from 0"),
        ({"size": [8, 10], "counts": "~~~~~~~~~~~~~~~~~~"}, "compressed RLE is damaged"),
        ({"size": [8, 10], "counts": "o"}, "compressed RLE is truncated"),
        ({"size": [8, 10], "counts": 80}, "RLE counts are a int"),
        ({"size": 80, "counts": [80]}, "RLE of size 80"),
    ],
)
def test_segmentations_that_would_end_the_process(segmentation, message):
    with pytest.raises(ValueError, match=message):
        decode_segmentation(segmentation, 8, 10)
