"""Pretraining: cross-modal contrast and denoising of masked tokens (paper, section 3.3).

Shapes: B samples, L tokens with the CLS token at index 0, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import Tensor

from onepeace_pl.backbone import Backbone, Extend, Features, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.objectives import CrossModalContrast, DenoisingLoss
from onepeace_pl.tasks.pretraining.composed import ComposedQuery, check_fields
from onepeace_pl.tasks.pretraining.students import MaskSampler, Student
from onepeace_pl.training.retrieval import RetrievalTask
from onepeace_pl.training.task import TaskOutput


class Pretraining(RetrievalTask):
    """Aligns two modalities, and lets masked students reconstruct the tokens of unmasked teachers.

    In a stage that extends the backbone by one modality, the other one is read without gradient.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        pair: The two modalities.
        students: Masked passes by name; without any only alignment trains.
        alignment: Weight of the alignment loss.
        gradient: Gradient of the key side of alignment: ``local`` none (the original's), ``exact`` the full one.
        denoising: Loss of a reconstructed token against its teacher's; ``none`` leaves the students out.
        denoising_scale: Inverse temperature of the contrastive comparison.
        denoising_smoothing: Its label smoothing.
        denoising_precision: Of the factors of its matrix products: ``float32``, or ``run``, bfloat16 where the model
            computes in bfloat16; sums and logits are in float32.
        denoising_share: Share of a batch's samples that students, and the teacher of both modalities, read; 1 is the
            original's. Alignment always reads all: a step costs less, and more of them fit the time.
        ignore_duplicates: Leave rows of a batch with the same text, image or audio out of each other's negatives in
            alignment; the original does not.
        tile: Rows of logits alive at a time.
        further_pairs: Further pairs of fields of a row that alignment trains, with the same weight each, such as
            ``[audio, "text:objects"]``: another caption, which costs one more pass over the words.
        matryoshka_dims: Lengths of the vectors that alignment trains beside each other, so that ``encode`` may cut
            them (``truncate_dim``), such as ``[128, 64, 32, 16]``; empty for the full one alone.
        matryoshka_weights: Weight of each length; by default all alike.
        composed: Composed queries, whose joint vectors are contrasted with their targets; the original has none.
        composed_share: Share of a batch's samples that composed queries read, its first ones.
    """

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        pair: tuple[str, str] = ("text", "image"),
        students: dict[str, Student] = {},  # noqa: B006 - read only
        alignment: float = 1.0,
        gradient: Literal["local", "exact"] = "local",
        denoising: Literal["none", "contrastive", "smooth_l1", "l2", "cosine"] = "contrastive",
        denoising_scale: float = 2.5,
        denoising_smoothing: float = 0.1,
        denoising_precision: Literal["float32", "run"] = "float32",
        denoising_share: float = 1.0,
        ignore_duplicates: bool = False,
        tile: int = 1024,
        further_pairs: Sequence[tuple[str, str]] = (),
        matryoshka_dims: Sequence[int] = (),
        matryoshka_weights: Sequence[float] | None = None,
        composed: Sequence[ComposedQuery] = (),
        composed_share: float = 1.0,
    ) -> None:
        if not 0 < denoising_share <= 1:
            raise UserError(f"denoising_share={denoising_share} must be a share above 0 and at most 1")
        if not 0 < composed_share <= 1:
            raise UserError(f"composed_share={composed_share} must be a share above 0 and at most 1")
        active = {name: each for name, each in students.items() if each.active and denoising != "none"}
        for query in composed:
            query.check(backbone)
        super().__init__(
            backbone,
            pair,
            ignore_duplicates,
            reconstructs=tuple(dict.fromkeys(name for student in active.values() for name in student.hide)),
            batch_transform=partial(MaskSampler, active, share=denoising_share) if active else None,
            fields=tuple(
                dict.fromkeys(
                    name for each in [*further_pairs, *(c.fields for c in composed)] for name in each
                )
            ),
        )
        self.further_pairs = [(first, second) for first, second in further_pairs]
        for each in self.further_pairs:
            check_fields("further_pairs", each, backbone)
        self.composed, self.composed_share = list(composed), composed_share
        self.alignment, self.share, self.students = alignment, denoising_share, active
        for name, spec in self.students.items():
            for modality in spec.hide:
                if modality not in backbone.modalities or modality not in self.pair:
                    there = f"the pair is {', '.join(self.pair)}, the backbone has "
                    there += ", ".join(backbone.modalities)
                    raise UserError(f"students.{name}: no modality {modality!r} to train on; {there}")
        stage = backbone.stage
        if isinstance(stage, Extend) and stage.extend not in self.pair:
            raise UserError(
                f"stage extends by {stage.extend!r}, which the pair {', '.join(self.pair)} leaves untrained; "
                "put it into the pair"
            )
        self.contrast = CrossModalContrast(
            gradient, tile=tile, matryoshka_dims=matryoshka_dims, matryoshka_weights=matryoshka_weights
        )
        backbone.add_matryoshka_dims(matryoshka_dims)
        backbone.add_joint(query.modalities for query in self.composed)
        self.denoise = (
            None
            if denoising == "none"
            else DenoisingLoss(denoising, denoising_scale, denoising_smoothing, tile, denoising_precision)
        )
        self.learns = {
            name: not isinstance(stage, Extend) or name == stage.extend for name in backbone.modalities
        }

    def passes(self, batch: Batch) -> dict[str, ForwardPass]:
        """Return the passes of a training step by name: each modality alone, both as a teacher, the students."""
        passes = {name: ForwardPass((name,), grad=self.learns[name]) for name in self.pair}
        for name in (name for each in self.further_pairs for name in each):
            passes.setdefault(name, ForwardPass.of([name], grad=self.learns[modality_of(name)]))
        missing = [name for name in self.students if name not in batch.masks]
        if missing:
            raise UserError(
                f"the batch has no masks for student {missing[0]!r}; call the data module's connect(task.needs) first"
            )
        hidden = (mask for masks in batch.masks.values() for mask in masks.values())
        rows = None if self.share == 1 else next((len(mask.keep) for mask in hidden), None)
        if any(student.teacher == "joint" for student in self.students.values()):
            passes["teacher"] = ForwardPass(self.pair, grad=False, rows=rows)
        some = None if self.composed_share == 1 else max(1, round(self.composed_share * len(batch)))
        for query in self.composed:
            passes = {**passes, **{n: p for n, p in query.passes(some).items() if n not in passes}}
        for name, student in self.students.items():
            passes[f"student {name}"] = ForwardPass(tuple(student.hide), batch.masks[name], rows=rows)
        return passes

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Run all passes in one call and sum the weighted losses."""
        passes = self.passes(batch)
        features, scale = backbone(batch.inputs, list(passes.values()))
        seen: dict[str, Features] = dict(zip(passes, features, strict=True))
        first, second = self.pair
        aligned = self.contrast(
            seen[first].embeddings[first], seen[second].embeddings[second], scale, self.contents(batch)
        )
        loss: Tensor = self.alignment * aligned.loss
        logs = {"align/mean": aligned.loss.detach()} | self.alignment_logs(aligned, scale)
        for one, other in self.further_pairs:
            vectors = (seen[name].embeddings[modality_of(name)] for name in (one, other))
            also = self.contrast(*vectors, scale)
            loss = loss + self.alignment * also.loss
            logs[f"align/{one}-{other}"] = also.loss.detach()
        for query in self.composed:
            found = query.contrast(self.contrast, seen, scale)
            loss = loss + query.weight * found.loss
            logs |= {
                f"composed/{query.name}": found.loss.detach(),
                f"accuracy/{query.name}": found.accuracies[0],
            }
        for name, student in self.students.items():
            assert self.denoise is not None
            for modality in student.hide:
                # without weight it is measured all the same, so that every part of the decoder has a gradient
                weight = student.weights.get(modality, 0.0)
                teacher = seen["teacher" if student.teacher == "joint" else modality].tokens[modality]
                restored = seen[f"student {name}"].reconstructed[modality]
                result = self.denoise(restored, teacher[: len(restored)], batch.masks[name][modality])
                loss = loss + weight * result.loss
                key = name if name == modality else f"{name}.{modality}"
                logs[f"denoise/{key}"] = result.loss.detach()
        return TaskOutput(loss, logs)
