"""The pretraining tasks of the reference numbers: students, batches, official names of loss parts."""

from __future__ import annotations

from pathlib import Path

import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.facts import DataFacts
from onepeace_pl.modalities.masking import RandomTokens, Spans, WholeWords
from onepeace_pl.tasks.pretraining import Pretraining, Student

from .reference import ALL, Rows, audio_language, vision_language

VISION_STUDENTS = {
    "text": Student({"text": WholeWords(0.15)}, {"text": 0.5}, "own"),
    "image": Student({"image": RandomTokens(0.75)}, {"image": 1.0}, "own"),
    "text+image": Student(
        {"text": RandomTokens(0.4), "image": RandomTokens(0.6875)},
        {"text": 0.5, "image": 0.5},
        "joint",
        apart=True,
    ),
}
AUDIO_STUDENTS = {
    "audio": Student({"audio": Spans(0.55)}, {"audio": 1.0}, "joint"),
    "text+audio": Student(
        {"text": WholeWords(0.4), "audio": Spans(0.45)}, {"text": 0.5, "audio": 0.5}, "joint"
    ),
}
PARTS = {  # official name -> ours
    "dcl_text": "denoise/text",
    "dcl_image": "denoise/image",
    "dcl_audio": "denoise/audio",
    "dcl_vl_text": "denoise/text+image.text",
    "dcl_vl_image": "denoise/text+image.image",
    "dcl_al_text": "denoise/text+audio.text",
    "dcl_al_audio": "denoise/text+audio.audio",
    "contrast_i2t": "align/image->text",
    "contrast_t2i": "align/text->image",
    "contrast_a2t": "align/audio->text",
    "contrast_t2a": "align/text->audio",
}


def task(backbone: Backbone, stage: int, **options) -> Pretraining:
    pair, students = (
        (("text", "image"), VISION_STUDENTS) if stage == 1 else (("text", "audio"), AUDIO_STUDENTS)
    )
    return Pretraining(backbone, DataFacts(), pair, students, **options)


def batch(golden: Path, stage: int, rows: Rows = ALL) -> Batch:
    inputs, masks = vision_language(golden, rows) if stage == 1 else audio_language(golden, rows)
    count = len(inputs["text"].values)
    return Batch([str(i) for i in range(count)], torch.arange(count), 0, inputs, {}, masks=masks)
