"""The embedder ``OnePeace``, calibration, quantization and zero-shot classification of its vectors, model folders."""

from onepeace_pl.checkpoints.folder import load_folder, save_folder
from onepeace_pl.hub.calibration import Calibration
from onepeace_pl.hub.failures import Encoded, OnError
from onepeace_pl.hub.onepeace import LoadingOptions, OnePeace
from onepeace_pl.hub.quantization import Precision, dequantize_embeddings, quantize_embeddings
from onepeace_pl.hub.weights import Weights
from onepeace_pl.hub.zero_shot import ZeroShotResult

__all__ = [
    "Calibration",
    "Encoded",
    "LoadingOptions",
    "OnError",
    "OnePeace",
    "Precision",
    "Weights",
    "ZeroShotResult",
    "dequantize_embeddings",
    "load_folder",
    "quantize_embeddings",
    "save_folder",
]
