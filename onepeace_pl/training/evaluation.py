"""Retrieval by a model folder on rows of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from onepeace_pl.backbone.fusion import MeasuredFuse
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import OnError, PreparedRows
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.samplers import EpochBatchSampler
from onepeace_pl.data.loading.skips import SkipLog
from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace
from onepeace_pl.metrics import RetrievalResult
from onepeace_pl.modalities.base import Processor, modality_of
from onepeace_pl.modalities.text.tokenizer import HasTokenizer
from onepeace_pl.training.retrieval import RetrievalEvaluator


@torch.no_grad()
def evaluate_retrieval(
    model: OnePeace,
    galleries: Sequence[Gallery],
    *,
    fuse: MeasuredFuse | None = None,
    batch_size: int = 32,
    num_workers: int = 0,
    limit: int | None = None,
    on_error: OnError = "raise",
    resample: bool = True,
    skips: SkipLog | None = None,
) -> dict[str, RetrievalResult]:
    """Evaluate a model by retrieval, with its own preprocessing.

    Vectors are those of :meth:`OnePeace.encode` without calibration. Each field of a row is embedded once, whatever the
    number of galleries, and equal values of a batch once.

    Args:
        model: The model.
        galleries: Galleries of the same rows (:func:`onepeace_pl.data.evaluation.directions.galleries`).
        fuse: Measure this one vector of several modalities; None compares sum, joint pass and each modality alone.
        batch_size: Rows of a batch.
        num_workers: Processes that prepare rows.
        limit: Evaluate the first rows only; results are then marked as partial.
        on_error: "raise" stops at a row that cannot be prepared, "skip" leaves it out.
        resample: Resample audio of another rate than the model's; False raises instead.
        skips: Log of rows that were left out.

    Returns:
        The result of each gallery by its name.

    Raises:
        UserError: Galleries have different rows, the model lacks a modality or its preprocessing, or a row cannot be
            prepared.
    """
    loader = row_loader(
        model,
        galleries,
        batch_size=batch_size,
        num_workers=num_workers,
        limit=limit,
        on_error=on_error,
        resample=resample,
    )
    evaluator = RetrievalEvaluator(galleries, fuse)
    skips = SkipLog() if skips is None else skips
    for batch in tqdm(loader, desc="rows", unit="batch", disable=None):  # None: shown on a terminal only
        skips.add(batch.skipped)
        evaluator.update_all(model.backbone, batch.to(model.device))
    evaluator.compute()
    return {name: each for name, each in evaluator.results.items() if isinstance(each, RetrievalResult)}


def row_loader(
    model: OnePeace,
    galleries: Sequence[Gallery],
    *,
    batch_size: int = 32,
    num_workers: int = 0,
    limit: int | None = None,
    on_error: OnError = "raise",
    resample: bool = True,
) -> ResumableLoader:
    """Return the loader of the rows of some galleries, prepared by the model's own processors.

    Options are those of :func:`evaluate_retrieval`.

    Raises:
        UserError: Galleries have different rows, or the model lacks a modality or its preprocessing.
    """
    if not galleries or any(gallery.rows is not galleries[0].rows for gallery in galleries):
        raise UserError(f"{len(galleries)} galleries of different rows; evaluate each source by itself")
    if limit is not None and limit < 1:
        raise UserError(f"limit={limit} must be at least 1")
    rows = galleries[0].rows
    processors = _processors(model, [name for gallery in galleries for name in gallery.modalities], resample)
    size = len(rows) if limit is None else min(limit, len(rows))
    return ResumableLoader(
        PreparedRows(rows, processors, on_error=on_error, compare=True),
        EpochBatchSampler(size, batch_size, train=False),
        Collator(processors),
        num_workers,
    )


def _processors(model: OnePeace, fields: Iterable[str], resample: bool) -> dict[str, Processor]:
    """Return the model's processor of each field."""
    found = {}
    for field in dict.fromkeys(fields):
        name = modality_of(field)
        if name not in model.modalities:
            raise UserError(f"no modality {name!r}; the model has {', '.join(model.modalities)}")
        if name not in model.processors:
            raise UserError(f"the model has {name}, but no preprocessing for it; evaluate other directions")
        processor = model.processor(name, resample)
        rows = model.backbone.encoder.adapter(name).vocabulary
        if rows is not None and isinstance(processor, HasTokenizer) and processor.tokenizer is not None:
            size = processor.tokenizer.vocabulary_size
            if size > rows:
                raise UserError(
                    f"the tokenizer has {size} ids, the model knows {rows}; it is of another model"
                )
        found[field] = processor
    return found
