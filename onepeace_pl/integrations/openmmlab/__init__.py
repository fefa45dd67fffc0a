"""MMDetection and MMSegmentation without a compiled mmcv, on CPU and CUDA.

Call ``prepare`` before importing mmdet or mmseg, inside functions: importing them takes seconds.
"""

from __future__ import annotations

import logging
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, runtime_checkable

from torch import nn

from onepeace_pl.integrations.openmmlab.extension import provide
from onepeace_pl.utils.libraries import LibraryError, importing

__all__ = ["init_weights", "prepare", "provide"]

# mmdet 3.3.0 and mmseg 1.2.2, the last releases, reject mmcv 2.2
NEEDED = {"mmcv": ("2.1.0",), "mmdet": ("3.3.0",), "mmsegmentation": ("1.2.2",), "mmengine": ("0.10.",)}
NAMES = {"mmcv": ("mmcv", "mmcv-lite")}

# warnings caused by the libraries' own code: message -> module
HARMLESS = {
    "To copy construct from a tensor": r"mmdet\.",
    "``build_loss`` would be deprecated": r"mmseg\.",
    "Default ``avg_non_ignore`` is False": r"mmseg\.",
    "torch.meshgrid: in an upcoming release": r"torch\.functional",
}


def prepare() -> None:
    """Check versions and register mmcv's operators.

    Raises:
        LibraryError: A package is missing, fails to load, or has an incompatible version.
    """
    for name, wanted in NEEDED.items():
        found = _version(NAMES.get(name, (name,)))
        if found is None or not found.startswith(wanted):
            fix = "mmcv-lite" if name == "mmcv" else name
            status = "is not installed" if found is None else f"is {found}"
            raise LibraryError(
                f"{name} {status}; dense tasks need {fix} {wanted[0]}: pip install '{fix}=={_pin(wanted[0])}'"
            )
    provide()
    with importing():
        import mmcv  # noqa: F401 - imports OpenCV, whose usual build links libGL
    for message, module in HARMLESS.items():
        warnings.filterwarnings("ignore", message, UserWarning, module)


@runtime_checkable
class InitWeights(Protocol):
    """A module of OpenMMLab, which initialises itself."""

    def init_weights(self) -> None:
        """Initialise the parameters in place."""


def init_weights(module: nn.Module) -> None:
    """Initialise an OpenMMLab module, without its log line per parameter; modules on the meta device are skipped."""
    from mmengine.logging import MMLogger

    assert isinstance(module, InitWeights)
    if next(module.parameters()).is_meta:
        return
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        module.init_weights()
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
