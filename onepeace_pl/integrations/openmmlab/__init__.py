"""mmdetection and mmsegmentation on mmcv-lite: nothing is compiled, on CPU and CUDA.

Everything that imports mmdet or mmseg calls ``prepare`` first, inside a function: importing them takes seconds.
"""

from __future__ import annotations

import logging
import warnings
from importlib.metadata import PackageNotFoundError, version

from torch import nn

from onepeace_pl.integrations.openmmlab.extension import provide
from onepeace_pl.utils.libraries import LibraryError, importing

__all__ = ["init_weights", "prepare", "provide"]

# mmdet 3.3.0 and mmseg 1.2.2, their last releases, refuse mmcv 2.2
NEEDED = {"mmcv": ("2.1.0",), "mmdet": ("3.3.0",), "mmsegmentation": ("1.2.2",), "mmengine": ("0.10.",)}
NAMES = {"mmcv": ("mmcv", "mmcv-lite")}

# what the libraries' own code makes PyTorch or themselves complain of, and no user of theirs can change
HARMLESS = {
    "To copy construct from a tensor": r"mmdet\.",
    "``build_loss`` would be deprecated": r"mmseg\.",
    "Default ``avg_non_ignore`` is False": r"mmseg\.",
    "torch.meshgrid: in an upcoming release": r"torch\.functional",
}


def prepare() -> None:
    """Check versions and make mmcv's operators available.

    Raises:
        LibraryError: A package is missing, does not load, or its version does not fit the others.
    """
    for name, wanted in NEEDED.items():
        found = _version(NAMES.get(name, (name,)))
        if found is None or not found.startswith(wanted):
            fix = "mmcv-lite" if name == "mmcv" else name
            said = "is not installed" if found is None else f"is {found}"
            raise LibraryError(
                f"{name} {said}; dense tasks need {fix} {wanted[0]}: pip install '{fix}=={_pin(wanted[0])}'"
            )
    provide()
    with importing():
        import mmcv  # noqa: F401 - and with it OpenCV, whose usual build links libGL
    for message, module in HARMLESS.items():
        warnings.filterwarnings("ignore", message, UserWarning, module)


def init_weights(module: nn.Module) -> None:
    """Draw the first parameters of a module of OpenMMLab's, which would print a line of each to the terminal.

    A module whose parameters are not there yet is left alone: values would be looked at.
    """
    from mmengine.logging import MMLogger

    if next(module.parameters()).is_meta:
        return
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        module.init_weights()  # type: ignore[operator]
    finally:
        logger.setLevel(level)


def _version(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _pin(start: str) -> str:
    return f"{start}*" if start.endswith(".") else start
