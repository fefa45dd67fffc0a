"""One backbone for image, audio and text, extended modality by modality.

Importing this package costs no torch: the public names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onepeace_pl.version import VERSION as __version__

if TYPE_CHECKING:
    from onepeace_pl.hub import OnePeace
    from onepeace_pl.modalities import ModalityAdapter
    from onepeace_pl.prediction import Predictor
    from onepeace_pl.training.experiment import Experiment
    from onepeace_pl.training.task import Task


__all__ = ["Experiment", "ModalityAdapter", "OnePeace", "Predictor", "Task", "__version__"]

_HOME = {
    "OnePeace": "onepeace_pl.hub",
    "Predictor": "onepeace_pl.prediction",
    "Experiment": "onepeace_pl.training.experiment",
    "Task": "onepeace_pl.training.task",
    "ModalityAdapter": "onepeace_pl.modalities",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from onepeace_pl.utils.libraries import importing

        with importing():
            return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'onepeace_pl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
