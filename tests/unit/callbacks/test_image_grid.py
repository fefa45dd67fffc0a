import numpy as np
from PIL import Image

from onepeace_pl.callbacks.image_grid import GAP, image_grid, write_image_grids


def picture(height, width, value):
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_pictures_stand_in_two_columns():
    sheet = image_grid([picture(200, 100, 1), picture(200, 120, 2), picture(300, 90, 3)])
    assert sheet.shape == (500 + GAP, 220 + GAP, 3)
    assert (sheet[0, 0, 0], sheet[0, 100 + GAP, 0], sheet[200 + GAP, 0, 0]) == (1, 2, 3)
    assert (sheet[0, 100, 0], sheet[-1, -1, 0]) == (255, 255)


def test_small_ones_are_enlarged(tmp_path):
    write_image_grids({"a": [picture(48, 40, 1)], "b": [picture(160, 120, 2)]}, tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (120, 3 * 48 + GAP + 160)
