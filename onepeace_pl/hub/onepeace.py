"""The embedder: images, audio and text to unit vectors.

Shapes: N items, D width, L tokens of an item.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Self, overload

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.backbone.fusion import check_fuse, normalised_sum
from onepeace_pl.backbone.matryoshka import truncate
from onepeace_pl.checkpoints.card import model_card
from onepeace_pl.checkpoints.folder import (
    Origin,
    load_folder,
    read_config,
    read_extra,
    read_origin,
    save_folder,
)
from onepeace_pl.checkpoints.head import Head, head_of_folder, save_head
from onepeace_pl.checkpoints.preprocessing import set_tokenizer
from onepeace_pl.errors import UserError
from onepeace_pl.hub.calibration import Calibration, joint_name
from onepeace_pl.hub.device import find_device
from onepeace_pl.hub.quantization import (
    Precision,
    check_precision,
    dequantize_embeddings,
    quantize_embeddings,
)
from onepeace_pl.metrics.late_interaction import maxsim, pad_tokens
from onepeace_pl.modalities import ModalityInput, ModalitySample, Processor, RawInput
from onepeace_pl.modalities.audio.resampling import Resamples
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.modalities.truncation import CountsTruncations

WINDOW = 8  # batches whose items are prepared together, so that those of equal length can share a batch


class OnePeace:
    """A trained backbone with its preprocessing.

    Args:
        backbone: The backbone.
        processors: Processors by modality, as in training.
        extra: Tensors outside the backbone, saved with it.
        origin: Origin of converted weights.
        head: Head of a task, saved with the model.
        calibration: Calibration of the vectors, saved with the model.
    """

    def __init__(
        self,
        backbone: Backbone,
        processors: Mapping[str, Processor],
        extra: Mapping[str, Tensor] | None = None,
        origin: Origin | None = None,
        head: Head | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.calibration = calibration
        self.backbone, self.processors = backbone.eval(), dict(processors)
        self._extra, self._origin, self._head = dict(extra or {}), origin, head or Head()

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        tokenizer: str | Path | Tokenizer | None = None,
        trust_remote_code: bool = False,
    ) -> Self:
        """Load a local model folder; nothing is downloaded.

        Args:
            folder: Model folder of a run (``runs/NAME/model``) or of ``convert``.
            device: Device; by default a GPU if available, else the CPU.
            dtype: Dtype of the weights; None for that of the file.
            tokenizer: For a folder without one: a saved tokenizer, or a folder with the released dict.txt,
                encoder.json and vocab.bpe.
            trust_remote_code: Import the folder's classes whatever their module. Otherwise they must be this
                package's, a plug-in's, or imported already.

        Raises:
            FileNotFoundError: The folder or one of its files is missing.
            UserError: The folder is no model folder, or damaged, or names a class that is not trusted; or there is
                no such device.
        """
        folder = Path(folder)
        device = find_device(device)
        origin = read_origin(read_config(folder))
        backbone, processors = load_folder(folder, device, dtype, trust_remote_code)
        calibration = Calibration.of_folder(folder)
        model = cls(backbone, processors, read_extra(folder), origin, head_of_folder(folder), calibration)
        if tokenizer is not None:
            given = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer.load(tokenizer)
            set_tokenizer(model.processors.values(), given)
        random = [
            n for n in model.modalities if origin and f"encoder.projections.{n}.weight" in origin.made_new
        ]
        if random:
            warnings.warn(
                f"{folder}: the projection of {', '.join(random)} is random: the converted checkpoint had "
                "none; vectors can be compared within a modality only, until it is trained",
                stacklevel=2,
            )
        return model

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a model folder."""
        path = save_folder(folder, self.backbone, self.processors, extra=self._extra, origin=self._origin)
        save_head(path, self._head.state, self._head.config)
        if self.calibration is not None:
            self.calibration.save(path)
        return path

    def model_card(self) -> str:
        """Return the text of the model card that :meth:`save_pretrained` writes."""
        made_new = self._origin.made_new if self._origin else ()
        return model_card(self.backbone, self.processors, made_new, sorted(self._extra))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move the weights, or change their type, in place."""
        self.backbone.to(device=device, dtype=dtype)
        return self

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.backbone.logit_scale.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return self.backbone.logit_scale.dtype

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities."""
        return self.backbone.modalities

    @property
    def dim(self) -> int:
        """Embedding dimension D."""
        return self.backbone.config.width

    @property
    def truncation_counts(self) -> dict[str, int]:
        """Number of inputs truncated so far, by modality (long texts and long audio)."""
        return {
            name: processor.truncations.count
            for name, processor in self.processors.items()
            if isinstance(processor, CountsTruncations)
        }

    @overload
    def encode(
        self,
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Tensor | None = None,
        tokens: Literal[False] = False,
        batch_size: int = 32,
        resample: bool = True,
        **inputs: RawInput | Sequence[RawInput],
    ) -> Tensor: ...

    @overload
    def encode(
        self,
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Tensor | None = None,
        tokens: Literal[True],
        batch_size: int = 32,
        resample: bool = True,
        **inputs: RawInput | Sequence[RawInput],
    ) -> list[Tensor] | Tensor: ...

    @torch.no_grad()
    def encode(
        self,
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Tensor | None = None,
        tokens: bool = False,
        batch_size: int = 32,
        resample: bool = True,
        **inputs: RawInput | Sequence[RawInput],
    ) -> list[Tensor] | Tensor:
        """Embed inputs of one modality, or fuse those of several modalities.

        But for rounding, an embedding depends neither on the other inputs nor on ``batch_size``.

        Args:
            fuse: How several modalities become one vector: ``sum``, the normalised sum of their own vectors, or
                ``joint``, one joint pass. None for what the model was trained for: ``joint`` for the combinations
                that its config lists under ``joint``, ``fuse`` for others.
            calibrate: Calibrate the vectors (:class:`Calibration`), so that modalities share one scale: before
                they are summed, or after a joint pass with statistics of joint passes. None does so where the model
                has a calibration, True requires one, False gives the model's own vectors.
            truncate_dim: Length that vectors are cut to, and normalised again; None for all D. Lengths that the model
                was not trained at (``matryoshka_dims`` of the task) are warned about.
            precision: As in sentence-transformers: ``float32``, ``int8``, ``uint8``, ``binary`` or ``ubinary``
                (:func:`quantize_embeddings`).
            ranges: Ranges of ``int8`` and ``uint8``; by default the same for all vectors.
            tokens: Return one vector for each token, for late interaction (:meth:`maxsim`).
            batch_size: Inputs per forward pass, at most.
            resample: Resample audio of another rate than the model's; False raises instead.
            inputs: By modality, a list of :data:`~onepeace_pl.modalities.TextInput`,
                :data:`~onepeace_pl.modalities.ImageInput` or :data:`~onepeace_pl.modalities.AudioInput`. Several
                names: input i of each is fused to one embedding. One string, path, image or (array, rate) may stand
                without a list. Other modalities: whatever their processor reads.

        Returns:
            (N, D) float32 unit vectors on the CPU in the order of the inputs, (D,) for one input without a
            list; of another length or dtype as asked for. With ``tokens`` (L, D) for each input, its first that of the
            CLS token, as without ``tokens``. Truncated inputs are warned about.

        Raises:
            TypeError: An input is of no type that the modality reads.
            UserError: An unknown modality, fusion or precision, a length above D, lists of different length, an item
                that cannot be used, or a calibration that is missing, does not know a modality, or is asked for
                with ``tokens``.
        """
        if fuse is not None:
            check_fuse(fuse)
        if calibrate and self.calibration is None:
            raise UserError(
                "the model has no calibration; `python -m onepeace_pl calibrate` adds one to its folder"
            )
        if calibrate and tokens:
            raise UserError(
                "calibrate=True: a calibration is of pooled vectors, not of tokens; drop one of both"
            )
        dim = self.dim if truncate_dim is None else truncate_dim
        self._check_form(dim, precision, ranges)
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} must be at least 1")
        if not inputs:
            raise UserError(f"nothing to encode; pass a list for one or more of {', '.join(self.modalities)}")
        for name in inputs:
            if name not in self.modalities:
                raise UserError(f"no modality {name!r}; the model has {', '.join(self.modalities)}")
            if name not in self.processors:
                raise UserError(
                    f"the model has {name}, but no preprocessing for it; give OnePeace a processor for {name!r}"
                )
        single = {name for name, items in inputs.items() if self.processors[name].is_single(items)}
        if single and len(single) < len(inputs):
            raise UserError(
                f"{sorted(single)[0]} is one item and {next(n for n in inputs if n not in single)} a list; "
                "items fused must be as many"
            )
        lists = {name: [items] if single else _as_list(name, items) for name, items in inputs.items()}
        lengths = {name: len(items) for name, items in lists.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(
                f"items fused must be as many: {', '.join(f'{n} {k}' for k, n in lengths.items())}"
            )
        before, training = self.truncation_counts, self.backbone.training
        self.backbone.eval()
        try:
            calibration = None if calibrate is False else self.calibration
            pooled = partial(self._embed, fuse=fuse, calibration=calibration)
            embed = partial(self.backbone.embed_tokens, fuse=fuse) if tokens else pooled
            rows = self._encode(lists, next(iter(lengths.values())), embed, batch_size, resample)
        finally:
            self.backbone.train(training)
        self._warn_of_truncations(before, lengths)

        def finish(vectors: Tensor) -> Tensor:
            return quantize_embeddings(truncate(vectors, dim), precision, ranges)

        if tokens:
            result = [finish(row) for row in rows]
            return result[0] if single else result
        vectors = finish(torch.stack(rows) if rows else torch.empty(0, self.dim))
        return vectors[0] if single else vectors

    @staticmethod
    def similarity(
        a: Tensor, b: Tensor, precision: Precision = "float32", ranges: Tensor | None = None
    ) -> Tensor:
        """Return cosine similarities (N, M) of vectors (N, D) and (M, D); one vector (D,) counts as N = 1.

        Args:
            a: Vectors, floating-point or quantized.
            b: The same; floating-point queries may be compared with quantized documents.
            precision: Of those that are quantized. Binary ones count as plus and minus 1: their cosine is
                1 - 2 * Hamming distance / D.
            ranges: Those of :meth:`encode`.

        Raises:
            UserError: Vectors of different length, or quantized ones without their precision.
        """
        a, b = (_rows(x, precision, ranges) for x in (a, b))
        if a.shape[-1] != b.shape[-1]:
            raise UserError(
                f"vectors of {a.shape[-1]} and {b.shape[-1]} dimensions; they are of different models"
            )
        normalize = torch.nn.functional.normalize
        return normalize(a, dim=-1) @ normalize(b, dim=-1).T

    @staticmethod
    def maxsim(queries: Sequence[Tensor], documents: Sequence[Tensor]) -> Tensor:
        """Return late-interaction scores (N, M) of token vectors, N times (L, D) and M times (L, D).

        Each is the mean over the query's tokens of the greatest similarity to a token of the document (ColBERT's
        MaxSim, which sums).
        """
        return maxsim(pad_tokens(queries), pad_tokens(documents))

    def _encode(
        self,
        lists: Mapping[str, Sequence[RawInput]],
        count: int,
        embed: Callable[[Mapping[str, ModalityInput]], list[Tensor] | Tensor],
        batch_size: int,
        resample: bool,
    ) -> list[Tensor]:
        """Return what ``embed`` makes of each item."""
        processors = {name: self.processor(name, resample) for name in lists}
        result: dict[int, Tensor] = {}
        for first in range(0, count, batch_size * WINDOW):
            window = range(first, min(first + batch_size * WINDOW, count))
            samples = {
                name: {i: self._sample(name, processors[name], items[i]) for i in window}
                for name, items in lists.items()
            }
            lengths = {i: tuple(rows[i].length for rows in samples.values()) for i in window}
            for index in _batches(lengths, batch_size):
                inputs = self._inputs({name: [rows[i] for i in index] for name, rows in samples.items()})
                result |= {i: row.float().cpu() for i, row in zip(index, embed(inputs), strict=True)}
        return [result[i] for i in range(count)]

    def processor(self, name: str, resample: bool = True) -> Processor:
        """Return the processor of a modality, as :meth:`encode` uses it.

        Args:
            name: The modality.
            resample: Resample audio of another rate than the model's; False raises instead.
        """
        processor = self.processors[name]
        if not isinstance(processor, Resamples) or processor.resample == resample:
            return processor
        changed = copy.copy(processor)  # the one that is saved with the model stays as it was in training
        changed.resample = resample
        return changed

    def _sample(self, name: str, processor: Processor, item: RawInput) -> ModalitySample:
        sample = processor(item)
        rows = self.backbone.encoder.adapter(name).vocabulary
        if rows is not None and int(sample.values.max()) >= rows:
            raise UserError(
                f"{name} {str(item)[:40]!r} has the token {int(sample.values.max())}, the model knows {rows};"
                " the tokenizer is of another model"
            )
        return sample

    def _inputs(self, samples: Mapping[str, Sequence[ModalitySample]]) -> dict[str, ModalityInput]:
        inputs = {}
        for name, rows in samples.items():
            field = self.processors[name].collate(rows)
            padding = None if field.padding is None else field.padding.to(self.device)
            inputs[name] = replace(field, values=field.values.to(self.device), padding=padding)
        return inputs

    def _embed(
        self, inputs: Mapping[str, ModalityInput], fuse: Fuse | None, calibration: Calibration | None
    ) -> Tensor:
        if calibration is None:
            return self.backbone.embed_fused(inputs, fuse)
        if len(inputs) > 1 and (fuse or self.backbone.default_fuse(inputs)) == "joint":
            return calibration.transform(joint_name(inputs), self.backbone.embed_jointly(inputs))
        vectors = self.backbone.embed(inputs)
        parts = [calibration.transform(name, rows) for name, rows in vectors.items()]
        return normalised_sum(parts) if len(parts) > 1 else parts[0]

    def _check_form(self, dim: int, precision: Precision, ranges: Tensor | None) -> None:
        """Refuse a form of the vectors before anything is embedded, and warn of lengths without training."""
        check_precision(precision)
        quantize_embeddings(truncate(torch.ones(1, self.dim), dim), precision, ranges)
        trained = self.backbone.matryoshka_dims or (self.dim,)
        if dim not in (*trained, self.dim):
            warnings.warn(
                f"truncate_dim={dim}: the model was trained at {', '.join(map(str, trained))} values; "
                "train with matryoshka_dims for others",
                stacklevel=3,
            )

    def _warn_of_truncations(self, before: Mapping[str, int], lengths: Mapping[str, int]) -> None:
        """Warn of their number; processors warn of the first one only."""
        for name, count in self.truncation_counts.items():
            new = count - before[name]
            if new and count > 1:
                warnings.warn(f"{new} of {lengths[name]} {name} items were cut", stacklevel=3)


def _as_list(name: str, items: RawInput | Sequence[RawInput]) -> Sequence[RawInput]:
    if isinstance(items, np.ndarray | Tensor) and items.ndim == 4:
        return list(items)
    if isinstance(items, np.ndarray) and items.dtype.kind in "US":
        return [str(item) for item in items]
    if isinstance(items, np.ndarray | Tensor):
        raise TypeError(
            f"{name} is an array of {items.ndim} dimensions, one item or several? "
            f"write {name}=[array] for one, {name}=list(array) for several"
        )
    if not isinstance(items, Sequence | Iterator):
        raise TypeError(f"{name} must be a list of items, not one {type(items).__name__}; write {name}=[...]")
    return list(items)


def _rows(vectors: Tensor, precision: Precision, ranges: Tensor | None) -> Tensor:
    rows = dequantize_embeddings(torch.as_tensor(vectors), precision, ranges)
    return rows[None] if rows.ndim == 1 else rows


def _batches(lengths: Mapping[int, tuple[int, ...]], size: int) -> Iterator[list[int]]:
    """Yield batches of items of equal length: nothing is padded, so that no item feels its neighbours."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, length in lengths.items():
        groups.setdefault(length, []).append(index)
    for group in groups.values():
        for first in range(0, len(group), size):
            yield group[first : first + size]
