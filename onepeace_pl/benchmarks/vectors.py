"""Recall and size of shorter and quantized vectors, pooled or one a token, on retrieval galleries.

Shapes: N rows of a gallery, D width, L tokens of an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone.matryoshka import truncate
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.errors import UserError
from onepeace_pl.hub import OnePeace, Precision, dequantize_embeddings, quantize_embeddings
from onepeace_pl.metrics import RetrievalMetric
from onepeace_pl.metrics.bootstrap import Interval
from onepeace_pl.metrics.ranking import Similarity, dot_product
from onepeace_pl.nn.late_interaction import maxsim, pad_tokens
from onepeace_pl.training.evaluation import row_loader

Kind = Literal["pooled", "tokens"]
PRECISIONS: tuple[Precision, ...] = ("float32", "int8", "binary")
CANDIDATES = (
    40  # of binary vectors, to be ranked again by float32 ones: four times the greatest k of recall@k
)
KEYS = (1, 5, 10)


@dataclass(frozen=True)
class VectorForm:
    """Form in which vectors are stored and compared.

    Attributes:
        kind: ``pooled``, one vector an item, or ``tokens``, one a token, compared by MaxSim.
        dim: Length.
        precision: Precision.
        rescored: The best candidates of binary vectors are ranked again by float32 vectors, which are stored, too.
    """

    kind: Kind
    dim: int
    precision: Precision
    rescored: bool = False

    @property
    def bytes(self) -> float:
        """Bytes of one vector."""
        bits: int = {"float32": 32, "int8": 8, "uint8": 8, "binary": 1, "ubinary": 1}[self.precision]
        return self.dim * (bits + 32 * self.rescored) / 8

    def __str__(self) -> str:
        return f"{self.precision}, {CANDIDATES} rescored" if self.rescored else self.precision


@dataclass
class VectorResult:
    """Retrieval with vectors of one form.

    Attributes:
        form: The form.
        bytes: Mean bytes of an item, by modality.
        recall: R@1 with its interval over queries, by direction.
    """

    form: VectorForm
    bytes: dict[str, float] = field(default_factory=dict)
    recall: dict[str, Interval] = field(default_factory=dict)


@dataclass
class _Rows:
    """Embedded rows of a gallery: pooled vectors (N, D), and N times (L, D)."""

    pooled: dict[str, Tensor]
    tokens: dict[str, list[Tensor]]
    ids: list[str]
    indices: Tensor
    contents: dict[str, Tensor]


def forms(width: int, dims: Sequence[int] | None = None) -> list[VectorForm]:
    """Return the forms to compare.

    Args:
        width: Full length D.
        dims: Lengths; None for D and its half, quarter and eighth. Bits of lengths that fill no bytes are left out.

    Raises:
        UserError: A length is below 1 or above D.
    """
    dims = [width // part for part in (1, 2, 4, 8) if width // part] if dims is None else dims
    for dim in dims:
        if not 1 <= dim <= width:
            raise UserError(f"length {dim}: the model's vectors have {width} values")
    found = []
    kinds: tuple[Kind, ...] = ("pooled", "tokens")
    for kind in kinds:
        for dim in dict.fromkeys(dims):
            found += [VectorForm(kind, dim, each) for each in PRECISIONS if each != "binary" or dim % 8 == 0]
            if kind == "pooled" and dim % 8 == 0:
                found.append(VectorForm(kind, dim, "binary", rescored=True))
    return found


@torch.no_grad()
def compare_vectors(
    model: OnePeace, gallery: Gallery, wanted: Sequence[VectorForm], batch_size: int = 32
) -> list[VectorResult]:
    """Retrieve one modality of a gallery with the other by vectors of every form.

    Args:
        model: The model; a calibration is not applied.
        gallery: A gallery with one modality on each side.
        wanted: The forms.
        batch_size: Rows of a batch.

    Raises:
        UserError: A side has several modalities, or the model cannot read one.
    """
    if len(gallery.modalities) != 2:
        raise UserError(f"{gallery.name}: vectors are compared with one modality on each side")
    rows = _embed(model, gallery, batch_size)
    return [_measure(gallery, rows, form) for form in wanted]


def _embed(model: OnePeace, gallery: Gallery, batch_size: int) -> _Rows:
    names = gallery.modalities
    rows = _Rows({}, {name: [] for name in names}, [], torch.empty(0, dtype=torch.int64), {})
    parts: list[tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]] = []
    for whole in row_loader(model, [gallery], batch_size=batch_size):
        batch = whole.to(model.device)
        inputs = {name: batch.inputs[name] for name in names}
        for name in names:
            rows.tokens[name] += [
                each.cpu() for each in model.backbone.embed_tokens({name: inputs[name]}, "sum")
            ]
        pooled = {name: vectors.cpu() for name, vectors in model.backbone.embed(inputs).items()}
        parts.append((batch.indices.cpu(), pooled, {n: batch.contents[n].cpu() for n in names}))
        rows.ids += batch.ids
    rows.indices = torch.cat([indices for indices, _, _ in parts])
    rows.pooled = {name: torch.cat([pooled[name] for _, pooled, _ in parts]) for name in names}
    rows.contents = {name: torch.cat([contents[name] for _, _, contents in parts]) for name in names}
    return rows


def _measure(gallery: Gallery, rows: _Rows, form: VectorForm) -> VectorResult:
    similarity: Similarity = maxsim if form.kind == "tokens" else dot_product
    if form.rescored:
        similarity = _rescored(form.dim)
    metric = RetrievalMetric(
        gallery.query,
        gallery.target,
        both_directions=gallery.both_directions,
        one_per_id=gallery.one_per_id,
        merge_duplicates=gallery.merge_duplicates,
        ks=KEYS,
        similarity=similarity,
    )
    names = (gallery.query[0], gallery.target[0])
    one, two = (_vectors(rows, name, form) for name in names)
    metric.update(one, two, rows.ids, rows.indices, (rows.contents[names[0]], rows.contents[names[1]]))
    counts = {n: sum(map(len, rows.tokens[n])) / len(rows.ids) if form.kind == "tokens" else 1 for n in names}
    return VectorResult(
        form,
        {name: count * form.bytes for name, count in counts.items()},
        {name: direction.interval(1) for name, direction in metric.compute().directions.items()},
    )


def _vectors(rows: _Rows, name: str, form: VectorForm) -> Tensor:
    """Return what is compared: vectors as they are read back from their form, as unit vectors."""
    if form.kind == "tokens":
        return pad_tokens([_stored(tokens, form) for tokens in rows.tokens[name]])
    stored = _stored(rows.pooled[name], form)
    return torch.cat([truncate(rows.pooled[name], form.dim), stored], dim=1) if form.rescored else stored


def _stored(vectors: Tensor, form: VectorForm) -> Tensor:
    codes = quantize_embeddings(truncate(vectors, form.dim), form.precision)
    return F.normalize(dequantize_embeddings(codes, form.precision), dim=-1)


def _rescored(dim: int) -> Similarity:
    """Return the similarity of rows (N, 2 * dim) by their second half, of the best candidates by their first."""

    def similarity(queries: Tensor, candidates: Tensor) -> Tensor:
        fine = queries[:, :dim] @ candidates[:, :dim].T
        coarse = queries[:, dim:] @ candidates[:, dim:].T
        best = coarse.topk(min(CANDIDATES, len(candidates)), dim=1).indices
        return (coarse - 4).scatter(1, best, fine.gather(1, best))  # cosines: the others stay behind

    return similarity


def table(results: Sequence[VectorResult]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    names, directions = list(results[0].bytes), list(results[0].recall)
    heads = [
        "vector",
        "length",
        "precision",
        *(f"bytes, {n}" for n in names),
        *(f"R@1 {d}" for d in directions),
    ]
    yield f"| {' | '.join(heads)} |"
    yield f"|---|---:|---|{'---:|' * (len(names) + len(directions))}"
    for result in results:
        sizes = [f"{size:,.0f}" for size in result.bytes.values()]
        recall = [f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]" for r in result.recall.values()]
        yield f"| {result.form.kind} | {result.form.dim} | {result.form} | {' | '.join([*sizes, *recall])} |"
