import io

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from onepeace_pl.data.labels.objects import Objects, ObjectsTarget
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.source import Row

CLASSES = ("cat", "dog")
SQUARE = [2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]


def labels(**more):
    thing = {"class": "dog", "box": (2, 1, 6, 5), "segmentation": [SQUARE], **more}
    return {"objects": [thing], "image_size": (10, 8)}


def test_objects_are_read():
    objects = ObjectsTarget(CLASSES, masks=True)(labels(crowd=True))
    assert objects.boxes.tolist() == [[2, 1, 6, 5]]
    assert (objects.classes.tolist(), objects.crowd.tolist()) == ([1], [True])
    assert objects.masks.shape == (1, 8, 10)
    assert objects.masks[0, 1:5, 2:6].all()
    assert objects.masks.sum() == 16


def test_a_picture_may_have_none():
    objects = ObjectsTarget(CLASSES, masks=True)({"objects": [], "image_size": (10, 8)})
    assert len(objects) == 0
    assert objects.masks.shape == (0, 8, 10)
    (target,) = ObjectsTarget(CLASSES, masks=True).collate([objects])
    assert {name: tuple(t.shape) for name, t in target.items()} == {
        "boxes": (0, 4),
        "classes": (0,),
        "crowd": (0,),
        "areas": (0,),
        "masks": (0, 8, 10),
    }


def test_areas_are_those_of_the_file_or_of_what_is_known():
    assert ObjectsTarget(CLASSES)(labels(area=11.5)).areas.tolist() == [11.5]
    triangle = [2.0, 1.0, 6.0, 1.0, 2.0, 5.0]
    masked = ObjectsTarget(CLASSES, masks=True)(labels(segmentation=[triangle]))
    assert masked.areas.tolist() == [masked.masks.sum()]
    assert ObjectsTarget(CLASSES)(labels()).areas.tolist() == [16.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "cow"}, "object 0: class 'cow' is none of the 2"),
        ({"box": (6, 1, 2, 5)}, "object 0: box .* is reversed or empty"),
        ({"box": (2, 1, 26, 5)}, "object 0: box .* lies outside its image of 10 x 8"),
        (
            {"segmentation": None},
            "object 0 has no segmentation; give it one, or set the task's masks to false",
        ),
        ({"segmentation": [[1, 2, 3, 4]]}, "three corners or more"),
        ({"segmentation": {"size": [1, 1], "counts": [1]}}, "RLE of size"),
        ({"segmentation": "everywhere"}, "none of polygons"),
    ],
)
def test_bad_objects(change, message):
    with pytest.raises(ValueError, match=message):
        ObjectsTarget(CLASSES, masks=True)(labels(**change))


def test_objects_move_with_their_picture():
    picture = np.zeros((8, 10, 3), np.uint8)
    picture[1:5, 2:6] = 255
    change = JointTransform([v2.RandomHorizontalFlip(1.0)])
    change.read_objects = ObjectsTarget(CLASSES, masks=True)
    made = change(Row("a", {"image": picture}, labels()), train=True, rng=np.random.default_rng(0))
    objects = made.labels["objects"]
    assert objects.boxes.tolist() == [[4, 1, 8, 5]]
    assert np.array_equal(objects.masks[0], made.fields["image"][..., 0] > 0)


def test_objects_that_are_cut_away_are_left_out():
    change = JointTransform([v2.CenterCrop((4, 4))])  # columns 3 to 6, rows 2 to 5
    change.read_objects = ObjectsTarget(CLASSES)
    things = [{"class": 0, "box": (0, 0, 2, 2)}, {"class": 1, "box": (5, 4, 9, 8)}]
    row = Row("a", {"image": np.zeros((8, 10, 3), np.uint8)}, {"objects": things, "image_size": (10, 8)})
    objects = change(row, train=True, rng=np.random.default_rng(0)).labels["objects"]
    assert objects.boxes.tolist() == [[2, 2, 4, 4]]
    assert objects.classes.tolist() == [1]


def test_slivers_and_what_has_no_pixel_are_not_visible():
    masks = np.ones((3, 4, 4), np.bool_)
    masks[2] = False
    boxes = np.array([[0, 0, 4, 4], [0, 0, 0.5, 4], [0, 0, 4, 4]], np.float32)
    objects = Objects(boxes, np.arange(3), np.zeros(3, np.bool_), np.ones(3, np.float32), masks)
    assert objects.visible().classes.tolist() == [0]


def test_masks_that_would_fill_the_memory():
    thing = {"class": "dog", "box": (0, 0, 5, 5), "segmentation": [SQUARE]}
    with pytest.raises(ValueError, match="200 masks of an image of 30000 x 20000 pixels take 112 GiB"):
        ObjectsTarget(CLASSES, masks=True)({"objects": [thing] * 200, "image_size": (30_000, 20_000)})


def rotated(orientation):
    """Return the picture of 10 x 8 pixels as a file that is stored on its side, and what is white in it."""
    picture = np.zeros((8, 10, 3), np.uint8)
    picture[1:5, 2:6] = 255
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("masks", [True, False])
def test_labels_are_of_the_upright_picture_or_say_that_they_are_of_the_stored_one(masks):
    change = JointTransform()
    change.read_objects = ObjectsTarget(CLASSES, masks=masks)
    raw, rng = rotated(6), np.random.default_rng(0)
    upright = change(Row("a", {"image": raw}, labels()), train=False, rng=rng)
    assert upright.fields["image"].shape == (8, 10, 3)
    assert upright.fields["image"][1:5, 2:6].all()
    things = [{"class": "dog", "box": (1, 4, 5, 8), "segmentation": [[1, 4, 5, 4, 5, 8, 1, 8]]}]
    stored = change(
        Row("a", {"image": raw}, {"objects": things, "image_size": (8, 10)}), train=False, rng=rng
    )
    assert stored.fields["image"].shape == (10, 8, 3)
    assert stored.fields["image"][4:8, 1:5].all()
    if masks:
        assert np.array_equal(stored.labels["objects"].masks[0], stored.fields["image"][..., 0] > 0)
    with pytest.raises(ValueError, match="the labels are for 9 x 8 pixels and its image 10 x 8"):
        change(Row("a", {"image": raw}, {"objects": things, "image_size": (9, 8)}), train=False, rng=rng)


def test_a_mask_says_by_its_size_how_its_picture_is_turned():
    raw, rng = rotated(6), np.random.default_rng(0)
    for shape in ((8, 10), (10, 8)):
        row = Row("a", {"image": raw}, {"mask": np.zeros(shape, np.uint8)})
        assert JointTransform()(row, train=False, rng=rng).fields["image"].shape == (*shape, 3)
