"""The embedder: images, audio and text to unit vectors.

Shapes: N items, D width, L tokens of an item.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, TypeAlias, TypedDict, overload

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.backbone.fusion import check_fuse
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
from onepeace_pl.checkpoints.run_record import RunRecord
from onepeace_pl.errors import UserError
from onepeace_pl.hub.calibration import Calibration
from onepeace_pl.hub.device import find_device, find_dtype
from onepeace_pl.hub.encoding import (
    Embed,
    ItemPreparation,
    PreparedItem,
    embed_calibrated,
    embed_items,
    modalities_of,
    with_resampling,
)
from onepeace_pl.hub.failures import Encoded, OnError, check_on_error, warn_of_failures
from onepeace_pl.hub.form import Array, Form
from onepeace_pl.hub.inputs import Inputs
from onepeace_pl.hub.preparation import (
    Workers,
    check_batch_size,
    check_workers,
    chunked,
    prepared,
    progress_bar,
)
from onepeace_pl.hub.processes import prepared_in_processes
from onepeace_pl.hub.quantization import Precision, dequantize_embeddings
from onepeace_pl.hub.transfer import find_folder, upload_folder
from onepeace_pl.hub.weights import (
    Weights,
    check_plain,
    count_parameters,
    dtype_of_weights,
    is_quantized,
    quantize_weights,
)
from onepeace_pl.hub.zero_shot import LABEL_ALONE, ZeroShotResult, score_labels, sentences
from onepeace_pl.modalities import Processor, RawInput
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.modalities.truncation import LongAudio, check_long_audio, truncation_counts
from onepeace_pl.nn.late_interaction import maxsim, pad_tokens

WINDOW = 8  # batches whose items are prepared together, so that those of equal length can share a batch

Option: TypeAlias = Any
"""Another option of ``encode``, or the inputs of a modality."""

Encoding: TypeAlias = Tensor | Array | list[Tensor] | list[Tensor | None] | list[Array | None]
"""Vectors of one call; a list with ``tokens``, None for what could not be read."""


class LoadingOptions(TypedDict, total=False):
    """Options of :meth:`OnePeace.from_pretrained`, for callers that hand them on."""

    device: str | None
    tokenizer: str | None
    trust_remote_code: bool
    weights: Weights | None


class OnePeace:
    """A trained backbone with its preprocessing.

    Args:
        backbone: The backbone.
        processors: Processors by modality, as in training.
        extra: Tensors outside the backbone, saved with it.
        origin: Origin of converted weights.
        head: Head of a task, saved with the model.
        calibration: Calibration of the vectors, saved with the model.
        run: Record of the run that trained it, saved with the model.
    """

    def __init__(
        self,
        backbone: Backbone,
        processors: Mapping[str, Processor],
        extra: Mapping[str, Tensor] | None = None,
        origin: Origin | None = None,
        head: Head | None = None,
        calibration: Calibration | None = None,
        run: RunRecord | None = None,
    ) -> None:
        self.calibration = calibration
        self.backbone, self.processors = backbone.eval(), dict(processors)
        self._extra, self._origin, self._head = dict(extra or {}), origin, head or Head()
        self._run = run

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        tokenizer: str | Path | Tokenizer | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        token: str | None = None,
        weights: Weights | None = None,
    ) -> Self:
        """Load a model folder, or a model of the Hugging Face Hub.

        Args:
            folder: Model folder (``runs/NAME/model``, or of ``convert``), run folder (``runs/NAME``), or ``owner/name``
                on the Hub, which is downloaded once. What is a folder is never looked for on the Hub, nor is
                ``runs/NAME`` where there is a folder ``runs``.
            device: Device; by default a GPU if available, else the CPU.
            dtype: Dtype of the weights, such as ``"bfloat16"``; None for that of the file.
            tokenizer: For a folder without one: a saved tokenizer, or a folder with the released dict.txt,
                encoder.json and vocab.bpe.
            trust_remote_code: Import the folder's classes whatever their module. Otherwise they must be this
                package's, a plug-in's, or imported already.
            revision: Branch, tag or commit on the Hub.
            token: Token of the Hub; by default that of ``hf auth login``.
            weights: ``int8`` for weight-only quantization of the transformer blocks' linear layers (their activations,
                and all else, have ``dtype``); ``bf16`` and ``float32`` are short for a ``dtype``; None for those of
                the file. Int8 weights can neither be trained nor saved.

        Raises:
            FileNotFoundError: The folder or one of its files is missing.
            UserError: The folder is no model folder, or damaged, or names a class that is not trusted; there is no
                such device, dtype or kind of weights, or they contradict each other; or the Hub has no such model, or
                cannot be reached.
        """
        device, dtype = find_device(device), dtype_of_weights(weights, find_dtype(dtype))
        folder = find_folder(folder, revision, token)
        origin = read_origin(read_config(folder))
        backbone, processors = load_folder(folder, device, dtype, trust_remote_code)
        if weights == "int8":
            quantize_weights(backbone)
        calibration = Calibration.of_folder(folder)
        head, run = head_of_folder(folder), RunRecord.of_folder(folder)
        model = cls(backbone, processors, read_extra(folder), origin, head, calibration, run)
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
        """Write a model folder.

        Raises:
            UserError: Weights are in int8.
        """
        check_plain(self.backbone, "saved")
        path = save_folder(
            folder,
            self.backbone,
            self.processors,
            extra=self._extra,
            origin=self._origin,
            run=self._run,
            head=bool(self._head.state),
        )
        save_head(path, self._head.state, self._head.config)
        if self.calibration is not None:
            self.calibration.save(path)
        return path

    def push_to_hub(
        self,
        repo_id: str,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Upload the model folder to the Hugging Face Hub; return the address of the commit.

        Args:
            repo_id: ``owner/name``, or a name of the token's owner; made if missing.
            private: Of a new repository; None for its owner's default.
            token: Token with the right to write; by default that of ``hf auth login``.
            commit_message: Message of the commit.

        Raises:
            UserError: The Hub refuses it, or cannot be reached; or weights are in int8.
        """
        with TemporaryDirectory() as folder:
            return upload_folder(self.save_pretrained(folder), repo_id, private, token, commit_message)

    def model_card(self) -> str:
        """Return the text of the model card that :meth:`save_pretrained` writes."""
        made_new = self._origin.made_new if self._origin else ()
        head = bool(self._head.state)
        extra = sorted(self._extra)
        return model_card(self.backbone, self.processors, made_new, extra, run=self._run, head=head)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | str | None = None) -> Self:
        """Move the weights, or change their type, in place.

        Raises:
            UserError: There is no such device or dtype.
        """
        place = None if device is None else find_device(device)
        self.backbone.to(device=place, dtype=find_dtype(dtype))
        return self

    def __repr__(self) -> str:
        lines = [
            f"modalities: {', '.join(self.modalities)}",
            f"width: {self.dim}",
            f"parameters: {count_parameters(self.backbone):,}",
            f"device: {self.device}",
            f"dtype: {str(self.dtype).removeprefix('torch.')}"
            + (", linear layers int8" if is_quantized(self.backbone) else ""),
            f"trained lengths: {', '.join(map(str, self.backbone.matryoshka_dims or (self.dim,)))}",
            f"joint: {', '.join(map('+'.join, self.backbone.joint)) or 'none'}",
            f"fuse: {self.backbone.fuse}",
            f"calibrated: {'no' if self.calibration is None else 'yes'}",
        ]
        return "OnePeace(\n" + "".join(f"  {line}\n" for line in lines) + ")"

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
        return truncation_counts(self.processors)

    @overload
    def encode(
        self,
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        normalize_embeddings: bool = True,
        precision: Precision = "float32",
        ranges: Tensor | None = None,
        tokens: Literal[False] = False,
        convert_to_numpy: Literal[False] = False,
        batch_size: int = 32,
        num_workers: int = 0,
        show_progress_bar: bool | None = None,
        on_error: Literal["raise", "none"] = "raise",
        resample: bool = True,
        long_audio: LongAudio = "cut",
        **inputs: RawInput | Sequence[RawInput],
    ) -> Tensor: ...

    # Those below name the options that their type depends on.
    @overload
    def encode(
        self,
        *,
        convert_to_numpy: Literal[True],
        tokens: Literal[False] = False,
        on_error: Literal["raise", "none"] = "raise",
        **others: Option,
    ) -> Array: ...

    @overload
    def encode(
        self,
        *,
        tokens: Literal[True],
        convert_to_numpy: Literal[False] = False,
        on_error: Literal["raise"] = "raise",
        **others: Option,
    ) -> list[Tensor] | Tensor: ...

    @overload
    def encode(
        self,
        *,
        on_error: Literal["skip"],
        tokens: Literal[False] = False,
        convert_to_numpy: Literal[False] = False,
        **others: Option,
    ) -> Encoded[Tensor]: ...

    @overload
    def encode(
        self,
        *,
        tokens: bool = False,
        convert_to_numpy: bool = False,
        on_error: OnError = "raise",
        **others: Option,
    ) -> Encoding | Encoded[Encoding] | None: ...

    @torch.no_grad()
    def encode(
        self,
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        normalize_embeddings: bool = True,
        precision: Precision = "float32",
        ranges: Tensor | None = None,
        tokens: bool = False,
        convert_to_numpy: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        show_progress_bar: bool | None = None,
        on_error: OnError = "raise",
        resample: bool = True,
        long_audio: LongAudio = "cut",
        **inputs: RawInput | Sequence[RawInput],
    ) -> Encoding | Encoded[Encoding] | None:
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
            normalize_embeddings: Normalise vectors again that ``truncate_dim`` has cut; those of all D values are unit
                vectors in any case.
            precision: As in sentence-transformers: ``float32``, ``int8``, ``uint8``, ``binary`` or ``ubinary``
                (:func:`quantize_embeddings`).
            ranges: Ranges of ``int8`` and ``uint8``; by default the same for all vectors.
            tokens: Return one vector for each token, for late interaction (:meth:`maxsim`).
            convert_to_numpy: Return arrays rather than tensors.
            batch_size: Inputs per forward pass, at most.
            num_workers: Threads that read and prepare inputs while the model embeds those before them; 0 for the
                calling thread. The vectors are the same bit by bit. At most ``16 * batch_size`` prepared inputs are in
                memory, half of it without workers.
            show_progress_bar: None shows one on a terminal for what takes more than two seconds.
            on_error: An item that cannot be read: ``raise`` its error; ``skip`` it, the result is then
                :class:`Encoded`, which says which ones are left out; or keep its place with ``none``, a row of NaN
                (with ``tokens`` None in the list). The number and the first ones are warned about.
            resample: Resample audio of another rate than the model's; False raises instead.
            long_audio: Audio above the processor's ``max_seconds``: ``cut`` it, or return the normalised ``mean`` of
                the vectors of windows of this length. They are as few as cover all of it, evenly spaced; each is
                fused with the item's other modalities.
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
            UserError: An unknown modality, fusion, precision or policy, a length above D, lists of different length, an
                item that cannot be used, options that exclude each other, or a calibration that is missing, does not
                know a modality, or is asked for with ``tokens``.
        """
        if fuse is not None:
            check_fuse(fuse)
        self._check_calibrate(calibrate)
        if calibrate and tokens:
            raise UserError(
                "calibrate=True: a calibration is of pooled vectors, not of tokens; drop one of both"
            )
        dim = self.dim if truncate_dim is None else truncate_dim
        form = Form(dim, precision, ranges, normalize_embeddings)
        form.check(self.dim, self.backbone.matryoshka_dims)
        check_batch_size(batch_size)
        check_workers(num_workers)
        check_on_error(on_error)
        check_long_audio(long_audio)
        if tokens and long_audio == "mean":
            raise UserError("long_audio='mean' is of pooled vectors, not of tokens; drop one of both")
        if on_error == "none" and precision != "float32" and not tokens:
            raise UserError(f"on_error='none' gives rows of NaN, which {precision} cannot hold; use 'skip'")
        given = Inputs.of(inputs, self.processors, self.modalities)
        if given.single and on_error == "skip":
            raise UserError("on_error='skip' leaves items of a list out, and this is one item; pass a list")
        before, training = self.truncation_counts, self.backbone.training
        self.backbone.eval()
        try:
            pooled = self._pooled(fuse, calibrate)
            embed: Embed = partial(self.backbone.embed_tokens, fuse=fuse) if tokens else pooled
            preparation = self._preparation(given.lists, resample, long_audio)
            prepare: Callable[[Mapping[str, RawInput]], PreparedItem] = preparation.attempt
            if on_error == "raise":
                prepare = preparation.prepare
            rows: list[Tensor | Exception] = []
            with (
                closing(
                    prepared(prepare, chunked(given.items(), batch_size * WINDOW), num_workers)
                ) as chunks,
                progress_bar(given.count, show_progress_bar) as bar,
            ):
                for chunk in chunks:
                    rows += self._embed_items(chunk, embed, batch_size)
                    bar.update(len(chunk))
        finally:
            self.backbone.train(training)
        self._warn_of_truncations(before, dict.fromkeys(given.lists, given.count))
        errors = {i: row for i, row in enumerate(rows) if isinstance(row, Exception)}
        good = {i: row for i, row in enumerate(rows) if isinstance(row, Tensor)}
        warn_of_failures(errors, given.count)
        places = range(given.count) if on_error == "none" else list(good)
        found: Encoding
        if tokens:
            made = {i: form.apply(row) for i, row in good.items()}
            listed = [made.get(i) for i in places]
            found = [None if row is None else row.numpy() for row in listed] if convert_to_numpy else listed
        else:
            missing = torch.full((self.dim,), torch.nan)
            stacked = [good.get(i, missing) for i in places]
            vectors = form.apply(torch.stack(stacked) if stacked else torch.empty(0, self.dim))
            found = vectors.numpy() if convert_to_numpy else vectors
        if given.single:
            return found[0]
        return Encoded(found, list(places), errors) if on_error == "skip" else found

    @torch.no_grad()
    def encode_chunks(
        self,
        chunks: Iterable[Sequence[Mapping[str, RawInput]]],
        *,
        fuse: Fuse | None = None,
        calibrate: bool | None = None,
        truncate_dim: int | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        workers: Workers = "threads",
        resample: bool = True,
        long_audio: LongAudio = "cut",
    ) -> Generator[list[Tensor | Exception], None, None]:
        """Embed a stream of items, a chunk at a time; for more items than fit in memory.

        Items are of any modalities, in any mixture. A vector depends on its chunk alone, bit by bit: batches do not
        reach beyond it. Close the iterator (``contextlib.closing``) to stop it early.

        Args:
            chunks: The items, raw values by modality; those of several modalities are fused. A chunk should hold
                several batches, so that items of equal length share one. Read one chunk ahead with workers.
            fuse: See :meth:`encode`.
            calibrate: See :meth:`encode`.
            truncate_dim: See :meth:`encode`.
            batch_size: See :meth:`encode`.
            num_workers: Workers that prepare the next items while the model embeds those before them.
            workers: Kind of workers: ``threads``, or ``processes`` for long streams of files; to these, raw values are
                pickled.
            resample: See :meth:`encode`.
            long_audio: See :meth:`encode`.

        Yields:
            For each chunk, the (D,) float32 unit vector of each item, or the error of one that cannot be read.

        Raises:
            UserError: An option is out of range.
        """
        self._check_calibrate(calibrate)
        if fuse is not None:
            check_fuse(fuse)
        form = Form(self.dim if truncate_dim is None else truncate_dim)
        form.check(self.dim, self.backbone.matryoshka_dims)
        check_batch_size(batch_size)
        check_workers(num_workers, workers)
        check_long_audio(long_audio)
        before, training, seen = self.truncation_counts, self.backbone.training, Counter[str]()
        preparation = self._preparation(self.processors, resample, long_audio)
        if num_workers and workers == "processes":
            stream = prepared_in_processes(preparation, chunks, num_workers, batch_size * WINDOW)
        else:
            stream = prepared(preparation.attempt, chunks, num_workers)
        embed = self._pooled(fuse, calibrate)
        self.backbone.eval()
        try:
            with closing(stream) as made:
                for chunk in made:
                    seen.update(name for each in chunk for name in modalities_of(each))
                    rows = self._embed_items(chunk, embed, batch_size)
                    yield [form.apply(row) if isinstance(row, Tensor) else row for row in rows]
        finally:
            self.backbone.train(training)
        self._warn_of_truncations(before, seen)

    def classify(
        self,
        labels: Sequence[str],
        prompts: Sequence[str] = LABEL_ALONE,
        *,
        fuse: Fuse | None = None,
        batch_size: int = 32,
        resample: bool = True,
        **inputs: RawInput | Sequence[RawInput],
    ) -> ZeroShotResult:
        """Classify inputs zero-shot: by the label whose prompts have the most similar embedding.

        Embeddings are those of the model without calibration: the logit scale was learned with them.

        Args:
            labels: Names of the classes.
            prompts: Templates with ``{}`` for the label, such as "a photo of {}"; of several, the normalised mean
                embedding counts, as in open_clip.
            fuse: See :meth:`encode`.
            batch_size: See :meth:`encode`.
            resample: See :meth:`encode`.
            inputs: By modality, as for :meth:`encode`; one input without a list gives a result of one row.

        Raises:
            TypeError: An input is of no type that the modality reads.
            UserError: Labels or prompts cannot be used, the model reads no text, or see :meth:`encode`.
        """
        classes, texts = zip(*sentences(labels, prompts), strict=True)
        named = self.encode(text=texts, calibrate=False, batch_size=batch_size)
        how = {"calibrate": False, "batch_size": batch_size, "resample": resample}
        items = self.encode(fuse=fuse, **how, **inputs).view(-1, self.dim)  # type: ignore[call-overload]
        scale = self.backbone.similarity_scale().item()
        return score_labels(items, named, classes, labels, scale)

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

    def _check_calibrate(self, calibrate: bool | None) -> None:
        if calibrate and self.calibration is None:
            raise UserError(
                "the model has no calibration; `python -m onepeace_pl calibrate` adds one to its folder"
            )

    def processor(self, name: str, resample: bool = True) -> Processor:
        """Return the processor of a modality, as :meth:`encode` uses it.

        Args:
            name: The modality.
            resample: Resample audio of another rate than the model's; False raises instead.
        """
        return with_resampling(self.processors[name], resample)

    def _embed_items(
        self, items: Sequence[PreparedItem], embed: Embed, batch_size: int
    ) -> list[Tensor | Exception]:
        return embed_items(items, embed, self.processors, self.device, batch_size)

    def _preparation(self, names: Iterable[str], resample: bool, long_audio: LongAudio) -> ItemPreparation:
        processors = {name: self.processor(name, resample) for name in names}
        return ItemPreparation.of(self.backbone, processors, long_audio)

    def _pooled(self, fuse: Fuse | None, calibrate: bool | None) -> Embed:
        calibration = None if calibrate is False else self.calibration
        return partial(embed_calibrated, self.backbone, fuse=fuse, calibration=calibration)

    def _warn_of_truncations(self, before: Mapping[str, int], seen: Mapping[str, int]) -> None:
        """Warn of their number; processors warn of the first one only."""
        for name, count in self.truncation_counts.items():
            new = count - before[name]
            if new and count > 1:
                warnings.warn(f"{new} of {seen[name]} {name} items were cut", stacklevel=3)


def _rows(vectors: Tensor, precision: Precision, ranges: Tensor | None) -> Tensor:
    rows = dequantize_embeddings(torch.as_tensor(vectors), precision, ranges)
    return rows[None] if rows.ndim == 1 else rows
