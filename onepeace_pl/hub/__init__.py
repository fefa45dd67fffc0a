"""The embedder ``OnePeace``, its calibration, and model folders."""

from onepeace_pl.checkpoints.folder import load_folder, save_folder
from onepeace_pl.hub.calibration import Calibration
from onepeace_pl.hub.onepeace import OnePeace

__all__ = ["Calibration", "OnePeace", "load_folder", "save_folder"]
