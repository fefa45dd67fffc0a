"""Items a second of ``embed`` beside a plain data loader that feeds the same model.

The plain side is what one writes by hand: a ``DataLoader`` whose worker processes read files, and the model that embeds
its batches. Pictures are read by torchvision in two ways: with its default loader, which is Pillow, as for
``ImageFolder``, and as tensors, whose pixels differ a little. Sounds are read by soundfile and resampled by torchaudio.
Our side is the whole verb, its Parquet files included.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import default_loader
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as tv

from onepeace_pl.benchmarks.timing import Comparison, compare
from onepeace_pl.embedding import Item, ItemEmbedder, Stamp
from onepeace_pl.embedding.job import embed_parts
from onepeace_pl.embedding.parts import EmbeddingFolder
from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace
from onepeace_pl.hub.preparation import Workers
from onepeace_pl.modalities import AudioProcessor, ImageProcessor, ModalitySample
from onepeace_pl.modalities.audio.processor import count_frames
from onepeace_pl.modalities.image.processor import normalise

PICTURE = (640, 480)  # width and height of generated pictures, pixels
SOUND = (10, 44_100)  # seconds and rate of generated sounds


@dataclass(frozen=True)
class Throughput:
    """Speed of one modality.

    Attributes:
        modality: The modality.
        plain_reader: Reader of the plain side.
        items: Number of items.
        times: Milliseconds for all of them; ``ratio`` above 1 means that ours is faster.
        cosine: Least cosine similarity between the vectors of both sides: decoders and resizing differ a little.
    """

    modality: str
    plain_reader: str
    items: int
    times: Comparison
    cosine: float

    @property
    def ours(self) -> float:
        """Items a second of ``embed``."""
        return self.items / self.times.ours * 1e3

    @property
    def plain(self) -> float:
        """Items a second of the plain loader."""
        return self.items / self.times.reference * 1e3


def generate(folder: Path, pictures: int, sounds: int) -> None:
    """Write JPEG pictures of 640 x 480 pixels and FLAC sounds of 10 s at 44.1 kHz: smooth noise."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(pictures):
        small = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(small).resize(PICTURE, Image.Resampling.BICUBIC).save(
            folder / f"{i:06}.jpg", quality=90
        )
    for i in range(sounds):
        wave = rng.normal(0, 0.1, SOUND[0] * SOUND[1]).cumsum() / 100
        soundfile.write(folder / f"{i:06}.flac", np.tanh(wave - wave.mean()), SOUND[1])


def compare_embedding(
    model: OnePeace,
    items: Sequence[Item],
    folder: Path,
    batch_size: int,
    num_workers: int,
    rounds: int,
    workers: Workers = "processes",
) -> list[Throughput]:
    """Time both sides in turns, for each modality of the items.

    Args:
        model: The model.
        items: Files of images or sounds.
        folder: For what is written; its content is removed.
        batch_size: Items per forward pass.
        num_workers: Workers of ours, and processes of the plain loader.
        rounds: Repetitions.
        workers: Kind of workers of ours; those of the verb are processes.

    Raises:
        UserError: An item is no file of an image or a sound.
    """
    by_modality: dict[str, list[Item]] = {}
    for item in items:
        by_modality.setdefault(item.modality, []).append(item)
    stamp, found = Stamp.of(model), []
    for name, several in by_modality.items():
        embedder = ItemEmbedder(
            model, model.dim, False, batch_size=batch_size, num_workers=num_workers, workers=workers
        )

        def ours(several: list[Item] = several, embedder: ItemEmbedder = embedder) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            embed_parts(several, embedder, EmbeddingFolder.open(folder, stamp, {}))

        for reader, read in _readers(model, name).items():
            plain = _Plain(
                model, name, _Files([item.file for item in several], read), batch_size, num_workers
            )
            times = compare(ours, plain, rounds)
            ours()
            cosine = F.cosine_similarity(_read(folder), plain()).min().item()
            found.append(Throughput(name, reader, len(several), times, cosine))
    shutil.rmtree(folder, ignore_errors=True)
    return found


def table(found: Sequence[Throughput]) -> list[str]:
    """Return lines of a table."""
    lines = [
        f"{'items a second':14} {'items':>6} {'embed':>8} {'DataLoader':>10}  ratio [least .. most]  cosine"
    ]
    for each in found:
        name = f"{each.modality}, {each.plain_reader}"
        spread = f"{each.times.ratio:.2f} [{each.times.least:.2f} .. {each.times.most:.2f}]"
        speeds = f"{each.ours:8.1f} {each.plain:10.1f}  {spread:21}"
        lines.append(f"{name:16} {each.items:6} {speeds}  {each.cosine:.4f}")
    return lines


class _Plain:
    """Embedding of all batches of a plain loader, whose processes stay."""

    def __init__(
        self, model: OnePeace, modality: str, files: _Files, batch_size: int, num_workers: int
    ) -> None:
        self.model, self.modality = model, modality
        self.loader = DataLoader(
            files,
            batch_size,
            num_workers=num_workers,
            collate_fn=model.processors[modality].collate,
            persistent_workers=num_workers > 0,
        )

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        rows = []
        for batch in self.loader:
            batch.values = batch.values.to(self.model.device)
            batch.padding = None if batch.padding is None else batch.padding.to(self.model.device)
            rows.append(self.model.backbone.embed({self.modality: batch})[self.modality].float().cpu())
        return torch.cat(rows)


class _Files(Dataset[ModalitySample]):
    """Files, read by a function."""

    def __init__(self, files: Sequence[str], read: Callable[[str], ModalitySample]) -> None:
        self.files, self.read = files, read
        if not all(files):
            raise UserError("a plain loader is for files; give others")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> ModalitySample:
        return self.read(self.files[index])


def _readers(model: OnePeace, modality: str) -> dict[str, Callable[[str], ModalitySample]]:
    processor = model.processors[modality]
    if isinstance(processor, ImageProcessor):
        return {
            "Pillow": partial(_picture, processor=processor, load=_pillow),
            "tensors": partial(
                _picture, processor=processor, load=partial(decode_image, mode=ImageReadMode.RGB)
            ),
        }
    if isinstance(processor, AudioProcessor):
        return {"soundfile": partial(_sound, processor=processor)}
    raise UserError(f"{modality}: a plain loader is for images and sounds; give others")


def _pillow(file: str) -> Image.Image:
    loaded: Image.Image = default_loader(file)
    return loaded


def _picture(
    file: str, processor: ImageProcessor, load: Callable[[str], Image.Image | Tensor]
) -> ModalitySample:
    side = processor.size
    image = load(file)
    size = [side, side] if processor.fit == "squash" else [side]
    image = tv.resize(image, size, interpolation=tv.InterpolationMode.BICUBIC, antialias=True)
    pixels = tv.to_dtype(tv.to_image(tv.center_crop(image, [side, side])), torch.float32, scale=True)
    return ModalitySample(normalise(pixels), (side // processor.patch) ** 2)


def _sound(file: str, processor: AudioProcessor) -> ModalitySample:
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    wave = torch.from_numpy(samples).mean(1)
    if rate != processor.rate:
        wave = torchaudio.functional.resample(wave, rate, processor.rate)
    wave = F.layer_norm(wave, wave.shape)[: int(processor.max_seconds * processor.rate)]
    return ModalitySample(wave, count_frames(len(wave), processor.front_end))


def _read(folder: Path) -> Tensor:
    import pyarrow.parquet as pq

    return torch.tensor(np.array(pq.read_table(folder)["vector"].to_pylist(), dtype=np.float32))
