"""The embedder ``OnePeace``, and model folders."""

from onepeace_pl.checkpoints.folder import load_folder, save_folder
from onepeace_pl.hub.onepeace import OnePeace

__all__ = ["OnePeace", "load_folder", "save_folder"]
