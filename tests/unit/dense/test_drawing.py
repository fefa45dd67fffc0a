import numpy as np
import torch

from onepeace_pl.dense.drawing import draw_detections, draw_semantic_mask, palette


def test_colours_differ():
    assert len(set(palette(150))) == 150


def test_pixels_of_a_class_are_coloured():
    picture = np.full((2, 3, 3), 100, dtype=np.uint8)
    mask = torch.tensor([[0, 1, 255], [0, 1, 1]])
    made = draw_semantic_mask(picture, mask, 2)
    assert (made[0, 2] == 100).all()
    assert (made[0, 0] == made[1, 0]).all()
    assert (made[0, 0] != made[0, 1]).any()
    assert (picture == 100).all()


def test_boxes_are_drawn_where_they_are():
    picture = np.zeros((40, 60, 3), dtype=np.uint8)
    found = {
        "boxes": torch.tensor([[10.0, 5.0, 30.0, 25.0], [40.0, 5.0, 58.0, 30.0]]),
        "classes": torch.tensor([0, 1]),
        "scores": torch.tensor([0.9, 0.1]),  # too low to be drawn
        "masks": torch.zeros(2, 40, 60, dtype=torch.bool),
    }
    found["masks"][0, 10:20, 15:25] = True
    made = draw_detections(picture, found, ["cat", "dog"])
    assert made.shape == (160, 240, 3)  # enlarged, so that names can be read
    assert made[60, 80].any()
    assert made[100, 80].any()  # the lower edge
    assert not made[:, 180:].any()
    large = np.zeros((400, 600, 3), dtype=np.uint8)
    found["masks"] = torch.zeros(2, 400, 600, dtype=torch.bool)
    assert draw_detections(large, found, ["cat", "dog"]).shape == large.shape
    nothing = {name: tensor[:0] for name, tensor in found.items()}
    assert not draw_detections(picture, nothing, ["cat", "dog"]).any()
