"""Data: sources, typed batches and data modules; names are imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onepeace_pl.data.batches import Batch
    from onepeace_pl.data.data_info import DataInfo
    from onepeace_pl.data.datamodule import PairsDataModule
    from onepeace_pl.data.evaluation.gallery import Gallery
    from onepeace_pl.data.source import Row, Source

__all__ = ["Batch", "DataInfo", "Gallery", "PairsDataModule", "Row", "Source"]

# Some sources need neither torch nor lightning, and importing their modules should not bring them.
_HOMES = {
    "Batch": "batches",
    "DataInfo": "data_info",
    "Gallery": "evaluation.gallery",
    "PairsDataModule": "datamodule",
    "Row": "source",
    "Source": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
