"""Image size, joint transform and processor of dense tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.init_model import InitModel
from onepeace_pl.utils.json_files import JsonObject

STEP: Final = 32  # sides are multiples of it, for pyramids of stride 32
ENLARGED: Final = 4  # times the size of pretraining, as in the paper's dense recipes
SMALL: Final = 384  # width up to which a small head is taken
PROCESSOR: Final[JsonObject] = {"class_path": "AnySizeProcessor"}
_TRANSFORMS = "torchvision.transforms.v2"


def dense_size(model: InitModel, sides: Sequence[int], given: int | None, guesses: Guesses) -> int:
    """Return the side of training crops, and the shorter side of images in evaluation, in pixels.

    Args:
        model: The model to start from.
        sides: Shorter sides of the images.
        given: Size of the command line; None to guess.
        guesses: Takes in the size.

    Raises:
        UserError: The size is no multiple of 32.
    """
    if given is not None:
        if given % STEP:
            raise UserError(f"--size {given} must be a multiple of {STEP} pixels")
        guesses.add("image size", f"{given} px", "--size")
        return given
    median = sorted(sides)[len(sides) // 2]
    most = ENLARGED * (model.size or 256)
    size = max(2 * STEP, min(median, most) // STEP * STEP)
    why = f"images of {median} px" if median <= most else f"{ENLARGED} times that of the model"
    guesses.add("image size", f"{size} px", why, "--size")
    return size


def joint_transform(size: int, smallest: float, largest: float, fill: int | None = None) -> JsonObject:
    """Return class and options of the transform: random scale, crop and flip; outside training the shorter side.

    Args:
        size: Side of crops in pixels.
        smallest: Shorter side of the smallest images in training, as a share of the size.
        largest: That of the largest.
        fill: Value of padded pixels and labels; None for the default.
    """
    crop: JsonObject = {"size": [size, size], "pad_if_needed": True}
    if fill is not None:
        crop["fill"] = fill
    scale = {"min_size": int(smallest * size), "max_size": int(largest * size)}
    return {
        "class_path": "JointTransform",
        "init_args": {
            "train": [
                {"class_path": f"{_TRANSFORMS}.RandomResize", "init_args": scale},
                {"class_path": f"{_TRANSFORMS}.RandomCrop", "init_args": crop},
                {"class_path": f"{_TRANSFORMS}.RandomHorizontalFlip"},
            ],
            "evaluation": [
                {"class_path": f"{_TRANSFORMS}.Resize", "init_args": {"size": size, "max_size": 2 * size}}
            ],
        },
    }
