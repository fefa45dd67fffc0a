"""Parallel preprocessing in processes, for long streams of files: Python's own work in threads takes turns.

Items go to the workers of a ``DataLoader`` in small pieces, as the "indices" of its batches; the tensors of a piece
come back as one for each dtype, so that few file descriptors are open.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from onepeace_pl.hub.encoding import ItemPreparation, PreparedItem
from onepeace_pl.hub.preparation import chunked
from onepeace_pl.modalities import RawInput
from onepeace_pl.modalities.truncation import truncation_counts
from onepeace_pl.utils.parent import end_with_parent

PIECE = 16
"""Items that a worker prepares at a time."""


def prepared_in_processes(
    preparation: ItemPreparation,
    chunks: Iterable[Sequence[Mapping[str, RawInput]]],
    num_workers: int,
    ahead: int,
) -> Generator[list[PreparedItem], None, None]:
    """Yield the prepared items of each chunk, or their errors; as :func:`~onepeace_pl.hub.preparation.prepared` does.

    Truncated inputs are counted by the processors of this process, too. Raw values are pickled.

    Args:
        preparation: Prepares an item.
        chunks: The items, a chunk at a time.
        num_workers: Processes.
        ahead: Items that are prepared ahead, at least.
    """
    sizes = deque[int]()

    def pieces() -> Iterator[list[Mapping[str, RawInput]]]:
        for chunk in chunks:
            sizes.append(len(chunk))
            yield from chunked(chunk, PIECE)

    loader = DataLoader(
        _Items(preparation),
        batch_sampler=pieces(),  # items take the place of indices
        num_workers=num_workers,
        collate_fn=_pack,
        prefetch_factor=max(2, -(-ahead // (PIECE * num_workers))),
        worker_init_fn=end_with_parent,
        # Its own generator: the loader's draw for its workers must not move the global one.
        generator=torch.Generator(),
    )
    made: list[PreparedItem] = []
    for piece in loader:
        items, truncated = piece.unpack()
        preparation.count_truncations(truncated)
        made += items
        while sizes and len(made) >= sizes[0]:
            size = sizes.popleft()
            yield made[:size]
            made = made[size:]
    while sizes:  # of chunks without items
        yield made[: sizes.popleft()]


@dataclass
class _Made:
    """A prepared item, and what was truncated in it, by modality."""

    item: PreparedItem
    truncated: Mapping[str, int]


class _Items(Dataset[_Made]):
    """Prepares the items that it is asked for."""

    def __init__(self, preparation: ItemPreparation) -> None:
        self.preparation = preparation

    def __getitem__(self, item: Mapping[str, RawInput]) -> _Made:
        before = Counter(truncation_counts(self.preparation.processors))
        made = self.preparation.attempt(item)
        return _Made(made, Counter(truncation_counts(self.preparation.processors)) - before)


@dataclass
class _Piece:
    """Pickled items; their tensors apart, joined to one for each dtype.

    Attributes:
        data: The items, with numbers in place of tensors.
        truncated: Number of inputs truncated, by modality.
        places: Dtype and shape of each tensor.
        joined: Values of all tensors of a dtype, in their order.
    """

    data: bytes
    truncated: Counter[str]
    places: list[tuple[torch.dtype, torch.Size]]
    joined: dict[torch.dtype, Tensor]

    def unpack(self) -> tuple[list[PreparedItem], Counter[str]]:
        """Return items and the number of inputs truncated."""
        counts = {
            dtype: [shape.numel() for each, shape in self.places if each == dtype] for dtype in self.joined
        }
        parts = {dtype: iter(torch.split(values, counts[dtype])) for dtype, values in self.joined.items()}
        tensors = [next(parts[dtype]).view(shape) for dtype, shape in self.places]
        return _Unpickler(self.data, tensors).load(), self.truncated


def _pack(made: Sequence[_Made]) -> _Piece:
    file, truncated = io.BytesIO(), Counter[str]()
    for each in made:
        truncated.update(each.truncated)
    pickler = _Pickler(file)
    pickler.dump([each.item for each in made])
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for tensor in pickler.tensors:
        by_dtype.setdefault(tensor.dtype, []).append(tensor.reshape(-1))
    places = [(tensor.dtype, tensor.shape) for tensor in pickler.tensors]
    return _Piece(file.getvalue(), truncated, places, {key: torch.cat(all) for key, all in by_dtype.items()})


class _Pickler(pickle.Pickler):
    """Sets tensors aside."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []

    def persistent_id(self, value: object) -> int | None:
        if not isinstance(value, Tensor):
            return None
        self.tensors.append(value)
        return len(self.tensors) - 1


class _Unpickler(pickle.Unpickler):
    """Puts tensors back. Reads what a worker of this process wrote, and nothing else."""

    def __init__(self, data: bytes, tensors: Sequence[Tensor]) -> None:
        super().__init__(io.BytesIO(data))
        self.tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        return self.tensors[number]
