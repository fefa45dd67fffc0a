import numpy as np
import pytest
from PIL import Image

from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.modalities.image.augment import MOVES, OPERATIONS, PAIRS, SINGLE, RandAugment, jitter


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(20, 120, (48, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", [*OPERATIONS, *MOVES])
def test_every_operation_keeps_the_size(picture: Image.Image, name: str) -> None:
    changed = RandAugment().apply(name, picture, 0.7, -1)
    assert (changed.size, changed.mode) == (picture.size, "RGB")
    assert (np.asarray(changed) == np.asarray(picture)).all() == (name == "identity")


def test_level_maps(picture: Image.Image) -> None:
    """Magnitude 10: ten pixels, 30 degrees, a factor of 1.9; what leaves the picture is grey, or as configured."""
    apply, pixels = RandAugment().apply, np.asarray(picture).astype(int)
    moved = np.asarray(apply("translate_x", picture, 1.0, 1))
    assert (moved[:, -10:] == 128).all()
    assert (moved[:, :-10] == pixels[:, 10:]).all()
    blue = RandAugment(fill=(0, 0, 255), bicubic=True)
    assert (np.asarray(blue.apply("translate_x", picture, 1.0, 1))[:, -9:] == (0, 0, 255)).all()
    turned = picture.rotate(15, Image.Resampling.BICUBIC, fillcolor=(0, 0, 255))
    assert (np.asarray(blue.apply("rotate", picture, 0.5, 1)) == np.asarray(turned)).all()
    brighter = np.asarray(apply("brightness", picture, 1.0, 1)).astype(int)
    assert abs(brighter[10, 10, 0] - 1.9 * pixels[10, 10, 0]) <= 1
    darker = np.asarray(apply("brightness", picture, 0.0, 1)).astype(int)
    assert abs(darker[40, 40, 0] - 0.1 * pixels[40, 40, 0]) <= 1
    assert (np.asarray(apply("solarize_add", picture, 0.5, 1)) == pixels + 55).all()  # all below 128


def test_draws_depend_on_the_generator_alone(picture: Image.Image) -> None:
    augment = RandAugment(probability=1.0, operations=SINGLE, magnitude=9, deviation=0.5)
    made = [np.asarray(augment(picture, np.random.default_rng(seed))) for seed in (1, 1, 2, 3)]
    assert (made[0] == made[1]).all()
    assert any((made[0] != other).any() for other in made[2:])
    never = RandAugment(probability=0.0)
    assert never(picture, np.random.default_rng(0)) is picture


def test_share_of_applied_operations(picture: Image.Image) -> None:
    augment = RandAugment(count=1, probability=0.5, operations=("equalize",))
    changed = [augment(picture, np.random.default_rng(seed)) is not picture for seed in range(400)]
    assert 0.4 < np.mean(changed) < 0.6


def test_processor_changes_training_alone_and_says_how(picture: Image.Image) -> None:
    options = {
        "train_jitter": 1.0,
        "train_blur": 1.0,
        "train_flip": 1.0,
        "train_augment": RandAugment(3, 10, 0.0, 1.0),
    }
    processor = ImageProcessor(size=48, train_crop=None, **options)
    plain = ImageProcessor(size=48, train_crop=None)
    assert (processor(picture).values == plain(picture).values).all()
    assert (
        processor(picture, train=True, rng=np.random.default_rng(0)).values != plain(picture).values
    ).any()
    again = ImageProcessor.from_config(processor.to_config())
    assert again.train_augment == processor.train_augment
    assert tuple(again.train_augment.operations) == PAIRS
    flipped = ImageProcessor(size=48, train_crop=None, train_flip=1.0)(picture, train=True).values
    assert (flipped.flip(-1) == plain(picture).values).all()


def test_jitter_stays_within_its_bounds(picture: Image.Image) -> None:
    grey = Image.new("RGB", (8, 8), (100, 100, 100))
    means = [np.asarray(jitter(grey, np.random.default_rng(seed))).mean() for seed in range(50)]
    assert 59 <= min(means) < 80
    assert 120 < max(means) <= 141


@pytest.mark.parametrize(
    ("options", "message"), [({"operations": ("melt",)}, "melt"), ({"magnitude": 11}, "between")]
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandAugment(**options)
