import numpy as np
import pytest
from torchvision.transforms import v2

from onepeace_pl.data.labels.transforms import JointTransform, VariedCrop
from onepeace_pl.data.source import Row
from onepeace_pl.errors import UserError


def row(height=6, width=8):
    """A picture whose red value tells the class of its pixel."""
    mask = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    picture = np.stack([mask, np.zeros_like(mask), np.zeros_like(mask)], 2)
    return Row("a", {"image": picture}, {"mask": mask, "group": "x"})


def rng(seed=0):
    return np.random.default_rng(seed)


def test_picture_and_mask_change_together():
    change = JointTransform([v2.RandomHorizontalFlip(1.0), v2.RandomCrop((4, 5))])
    made = change(row(), train=True, rng=rng())
    assert made.fields["image"].shape == (4, 5, 3)
    assert np.array_equal(made.fields["image"][..., 0], made.labels["mask"])
    assert (made.labels["mask"][:, 0] > made.labels["mask"][:, -1]).all()
    assert (made.labels["image_size"], made.labels["input_size"], made.labels["group"]) == (
        (8, 6),
        (5, 4),
        "x",
    )


def test_draws_depend_on_the_generator_alone():
    change = JointTransform([v2.RandomCrop((3, 3))])
    masks = [change(row(), train=True, rng=rng(seed)).labels["mask"].tolist() for seed in (1, 1, 2, 3, 4, 5)]
    assert masks[0] == masks[1]
    assert len({str(m) for m in masks}) > 2


def test_outside_training_labels_stay_as_stored():
    change = JointTransform([v2.RandomHorizontalFlip(1.0)], [v2.Resize(3)])
    made = change(row(), train=False, rng=rng())
    assert made.fields["image"].shape == (3, 4, 3)
    assert np.array_equal(made.labels["mask"], row().labels["mask"])
    assert (made.labels["image_size"], made.labels["input_size"]) == ((8, 6), (4, 3))


def test_a_mask_of_another_size_is_refused():
    given = row()
    odd = Row("a", given.fields, {"mask": given.labels["mask"][:, :5]})
    with pytest.raises(ValueError, match="the mask has 5 x 6 pixels and its image 8 x 6"):
        JointTransform()(odd, train=True, rng=rng())


def test_crops_are_varied():
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, 30:] = 1
    given = Row("a", {"image": np.stack([mask] * 3, 2)}, {"mask": mask})
    crops = [JointTransform([VariedCrop(12)])(given, train=True, rng=rng(seed)) for seed in range(30)]
    assert all(np.array_equal(crop.fields["image"][..., 0], crop.labels["mask"]) for crop in crops)
    assert {crop.labels["mask"].shape for crop in crops} == {(12, 12)}
    assert np.mean([0.25 < crop.labels["mask"].mean() < 0.75 for crop in crops]) > 0.5  # by chance 0.2
    small = JointTransform([VariedCrop(60)])(given, train=True, rng=rng())
    assert small.labels["mask"].shape == (40, 40)
    with pytest.raises(ValueError, match="cat_max_ratio=0 a share above 0"):
        VariedCrop(12, 0)


def test_the_config_is_what_runs_outside_training():
    steps = [v2.Resize(160, max_size=200), v2.CenterCrop([32, 48])]
    config = JointTransform([v2.RandomHorizontalFlip()], steps, "image").to_config()
    assert list(config["init_args"]) == ["evaluation", "field"]
    resize, crop = config["init_args"]["evaluation"]
    assert resize["class_path"] == "torchvision.transforms.v2.Resize"
    interpolation = resize["init_args"].pop("interpolation")
    assert v2.InterpolationMode[interpolation.upper()] == v2.InterpolationMode.BILINEAR
    assert resize["init_args"] == {"size": [160], "max_size": 200, "antialias": True}
    assert crop["init_args"] == {"size": [32, 48]}
    with pytest.raises(UserError, match="Lambda does not keep its option 'lambd' as a plain value"):
        JointTransform(evaluation=[v2.Lambda(lambda image: image)]).to_config()
