"""The pretraining tasks of the reference numbers: students, batches, official names of loss parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.modalities.masking import RandomTokens, Spans, WholeWords
from onepeace_pl.tasks.pretraining import Pretraining, Student

from .files import table
from .reference import ALL, Rows, audio_language, vision_language

STAGES = {1: "image_text_pretrain", 2: "audio_text_pretrain"}  # run by stage
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


def students(golden: Path, stage: int) -> dict[str, Student]:
    run = table(golden, STAGES[stage])
    drawn, weight = run["task"], run["criterion"]
    if stage == 1:
        return {
            "text": Student(
                {"text": WholeWords(drawn["text_mask_ratio"])}, {"text": weight["dcl_text_alpha"]}, "own"
            ),
            "image": Student(
                {"image": RandomTokens(drawn["image_mask_ratio"])},
                {"image": weight["dcl_image_alpha"]},
                "own",
            ),
            "text+image": Student(
                {
                    "text": RandomTokens(drawn["vl_text_mask_ratio"]),
                    "image": RandomTokens(drawn["vl_image_mask_ratio"]),
                },
                {"text": weight["dcl_vl_text_alpha"], "image": weight["dcl_vl_image_alpha"]},
                "joint",
                apart=True,
            ),
        }
    return {
        "audio": Student(
            {"audio": Spans(drawn["audio_mask_ratio"])}, {"audio": weight["dcl_audio_alpha"]}, "joint"
        ),
        "text+audio": Student(
            {"text": WholeWords(drawn["al_text_mask_ratio"]), "audio": Spans(drawn["al_audio_mask_ratio"])},
            {"text": weight["dcl_al_text_alpha"], "audio": weight["dcl_al_audio_alpha"]},
            "joint",
        ),
    }


def task(golden: Path, backbone: Backbone, stage: int, **options: Any) -> Pretraining:
    criterion = table(golden, STAGES[stage])["criterion"]
    options = {
        "denoising_smoothing": criterion["label_smoothing"],
        "denoising_scale": criterion["dcl_logit_scale"],
    } | options
    pair = ("text", "image" if stage == 1 else "audio")
    return Pretraining(backbone, DataInfo(), pair, students(golden, stage), **options)


def batch(golden: Path, stage: int, rows: Rows = ALL) -> Batch:
    inputs, masks = vision_language(golden, rows) if stage == 1 else audio_language(golden, rows)
    count = len(inputs["text"].values)
    return Batch([str(i) for i in range(count)], torch.arange(count), 0, inputs, {}, masks=masks)
