"""Export of TriWorld to disk in the layouts of the official data: TSV, PNG, FLAC, COCO JSON and masks.

The folder that is written::

    images/SPLIT/000000.png   audio/SPLIT/000000.flac   masks/SPLIT/000000.png (semantic_classes.json)
    train.tsv, val_new.tsv, test_new.tsv      image_id, image, caption; all captions in val_texts.json ...
    audio_train.tsv, audio_val_new.tsv ...    uniq_id, audio, text, duration; texts in audio_val_texts.json
    sounds_SPLIT.tsv                          the same, text = comma-separated classes (classes.json)
    aqa_SPLIT.tsv                             the same, text = question&&&four answers&&&choice
    vqa_SPLIT.tsv                             uniq_id, image, question, refs; labels in vqa_ans2label.json
    grounding_SPLIT.tsv                       image, text, region_coord
    pairs_SPLIT.tsv                           uniq_id, text, image1, image2, label
    instances_SPLIT.json                      COCO: boxes and masks (RLE)
    scenes_SPLIT.jsonl                        factors of every scene, and whether training ever has such
    clips/SPLIT/000000/00.png ...             where asked for; clips_SPLIT.tsv: clip, frames, label
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.audio import RATE, check_seconds, synthesise
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.regions import SEMANTIC_CLASSES, mask_boxes
from onepeace_pl.triworld.image.render import CLIP_CLASSES, check_size, render, render_clip
from onepeace_pl.triworld.language.expressions import referring_expressions
from onepeace_pl.triworld.language.questions import Question, answers, questions_about, statement
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.factors import KINDS
from onepeace_pl.triworld.world.laws import Law, Novelty
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, World
from onepeace_pl.utils.libraries import importing

_ANSWERS: Final = answers()


@dataclass(frozen=True)
class WriteOptions:
    """Options of an export.

    Attributes:
        scenes: Number of scenes by split.
        image_size: Side of images in pixels.
        seconds: Duration of audio.
        objects: Least and greatest number of objects of a scene.
        captions: Image captions, and audio captions, of each scene.
        questions: Questions of each scene and table.
        clip_frames: Frames of each video clip; 0 writes no clips.
        novelty: Held-out combinations in val and test: ``"exclude"``, ``"include"``, or only scenes with
            ``"visible"`` or ``"audible"`` ones.
        seed: Seed of scenes and captions.
        progress: Show a progress bar.
    """

    scenes: Mapping[str, int] = field(default_factory=lambda: {"train": 1000, "val": 200, "test": 200})
    image_size: int = 224
    seconds: float = 2.0
    objects: tuple[int, int] = (1, 3)
    captions: int = 2
    questions: int = 3
    clip_frames: int = 0
    novelty: Novelty = "exclude"
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        check_size(self.image_size)
        check_seconds(self.seconds)
        unknown = [split for split in self.scenes if split not in SPLITS]
        if unknown:
            raise UserError(f"scenes: split {unknown[0]!r} is unknown; choose from {', '.join(SPLITS)}")


class _Table:
    """Streaming TSV writer."""

    def __init__(self, path: Path, *columns: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self.row(*columns)

    def row(self, *values: object) -> None:
        self._file.write("\t".join(str(value) for value in values) + "\n")

    def close(self) -> None:
        self._file.close()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _one_line(question: Question, position: int) -> str:
    choices = list(question.distractors)
    choices.insert(position, question.answer)
    return "&&&".join([question.text, *choices, str(position)])


class _SplitWriter:
    """Streaming export of one split: one scene at a time in memory."""

    def __init__(self, folder: Path, split: str, options: WriteOptions) -> None:
        self.folder, self.split, self.options = folder, split, options
        self.frames = options.clip_frames
        for kind in ("images", "audio", "masks"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        new = "" if split == "train" else "_new"
        sound = ("uniq_id", "audio", "text", "duration")
        self.tables = {
            "image": _Table(folder / f"{split}{new}.tsv", "image_id", "image", "caption"),
            "audio": _Table(folder / f"audio_{split}{new}.tsv", *sound),
            "sounds": _Table(folder / f"sounds_{split}.tsv", *sound),
            "aqa": _Table(folder / f"aqa_{split}.tsv", *sound),
            "vqa": _Table(folder / f"vqa_{split}.tsv", "uniq_id", "image", "question", "refs"),
            "grounding": _Table(folder / f"grounding_{split}.tsv", "image", "text", "region_coord"),
            "pairs": _Table(folder / f"pairs_{split}.tsv", "uniq_id", "text", "image1", "image2", "label"),
        }
        if self.frames:
            self.tables["clips"] = _Table(folder / f"clips_{split}.tsv", "clip", "frames", "label")
        self.scene_lines = (folder / f"scenes_{split}.jsonl").open("w", encoding="utf-8")
        self.texts: dict[str, dict[str, list[str]]] = {"": {}, "audio_": {}}
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.previous: Scene | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in self.tables.values():
            table.close()
        self.scene_lines.close()

    def finish(self) -> None:
        """Write the files of the whole split."""
        categories = [{"id": number + 1, "name": kind} for number, kind in enumerate(KINDS)]
        content = {"images": self.images, "annotations": self.annotations, "categories": categories}
        (self.folder / f"instances_{self.split}.json").write_text(json.dumps(content), encoding="utf-8")
        if self.split != "train":
            for prefix, texts in self.texts.items():
                _write_json(self.folder / f"{prefix}{self.split}_texts.json", texts)

    def write(
        self, number: int, scene: Scene, image_captions: Sequence[str], audio_captions: Sequence[str]
    ) -> None:
        """Write one scene with its captions."""
        image, audio = self._image_path(number), f"audio/{self.split}/{number:06d}.flac"
        self._media(number, scene, image, audio)
        self._captions(number, image, audio, image_captions, audio_captions)
        classes = ",".join(str(KINDS.index(kind)) for kind in sorted(scene.kinds, key=KINDS.index))
        duration = self.options.seconds
        self.tables["sounds"].row(number, audio, classes, duration)
        self._questions(number, scene, image, audio)
        self._regions(number, scene, image)
        if self.previous is not None:
            claim = statement(self.previous, scene)
            self.tables["pairs"].row(number, claim.text, self._image_path(number - 1), image, claim.truth)
        self.previous = scene
        record = {"id": number, "image": image, "audio": audio, "novel": scene.novel, **scene.factors()}
        self.scene_lines.write(json.dumps(record) + "\n")

    def _image_path(self, number: int) -> str:
        return f"images/{self.split}/{number:06d}.png"

    def _media(self, number: int, scene: Scene, image: str, audio: str) -> None:
        with importing():
            import soundfile

        _save_png(self.folder / image, render(scene, self.options.image_size))
        # Samples are integer multiples of 1/32768, so 16 bits are lossless.
        samples = (synthesise(scene, self.options.seconds) * 32768).astype(np.int16)
        soundfile.write(str(self.folder / audio), samples, RATE, format="FLAC", subtype="PCM_16")
        if self.frames:
            clip = render_clip(scene, self.frames, self.options.image_size)
            path = f"clips/{self.split}/{number:06d}"
            (self.folder / path).mkdir(parents=True, exist_ok=True)
            for position, frame in enumerate(clip.frames):
                _save_png(self.folder / path / f"{position:02d}.png", frame)
            self.tables["clips"].row(path, self.frames, clip.label)

    def _captions(
        self,
        number: int,
        image: str,
        audio: str,
        image_captions: Sequence[str],
        audio_captions: Sequence[str],
    ) -> None:
        # Evaluation tables have one row per image or clip; further captions are in the JSON.
        rows = len(image_captions) if self.split == "train" else 1
        for sentence in image_captions[:rows]:
            self.tables["image"].row(number, image, sentence)
        for sentence in audio_captions[:rows]:
            self.tables["audio"].row(number, audio, sentence, self.options.seconds)
        self.texts[""][str(number)] = list(image_captions)
        self.texts["audio_"][str(number)] = list(audio_captions)

    def _questions(self, number: int, scene: Scene, image: str, audio: str) -> None:
        asked = questions_about(scene)
        for table, modality in (("vqa", "image"), ("aqa", "audio")):
            suited = [q for q in asked if q.needs in ({modality}, {"image or audio"})]
            # Evenly spaced: questions are sorted by type.
            step = max(len(suited) / max(self.options.questions, 1), 1.0)
            for turn in range(min(self.options.questions, len(suited))):
                question = suited[int((turn + 0.5 * (number % 2)) * step)]
                name = f"{number}_{turn}"
                if table == "aqa":
                    text = _one_line(question, (number + turn) % 4)
                    self.tables[table].row(name, audio, text, self.options.seconds)
                else:
                    refs = f"{question.answer}|!+{_ANSWERS.index(question.answer)}|!+1.0"
                    self.tables[table].row(name, image, question.text, refs)

    def _regions(self, number: int, scene: Scene, image: str) -> None:
        with importing():
            from pycocotools import mask as rle

        size = self.options.image_size
        _save_png(self.folder / f"masks/{self.split}/{number:06d}.png", regions.semantic_mask(scene, size))
        self.images.append({"id": number, "file_name": image, "width": size, "height": size})
        masks = regions.instance_masks(scene, size)
        boxes = mask_boxes(masks).tolist()
        for thing, mask, (x0, y0, x1, y1) in zip(scene.objects, masks, boxes, strict=True):
            coded = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": number,
                    "category_id": KINDS.index(thing.kind) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": {"size": coded["size"], "counts": coded["counts"].decode("ascii")},
                }
            )
        for expression in referring_expressions(scene):
            coordinates = ",".join(f"{value:.1f}" for value in boxes[expression.target])
            self.tables["grounding"].row(image, expression.text, coordinates)


def _save_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, compress_level=1)  # four times as fast as the default


def write_world(folder: str | Path, options: WriteOptions | None = None) -> Path:
    """Export splits of TriWorld to a folder in the official layouts (see the module's docstring).

    Args:
        folder: Output folder; created if missing, files of the same names are replaced.
        options: Options of the export.

    Returns:
        The folder.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    options = options or WriteOptions()
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    _write_json(root / "classes.json", {str(number): [kind] for number, kind in enumerate(KINDS)})
    _write_json(root / "semantic_classes.json", dict(enumerate(SEMANTIC_CLASSES)))
    _write_json(root / "vqa_ans2label.json", {answer: number for number, answer in enumerate(_ANSWERS)})
    if options.clip_frames:
        _write_json(root / "clip_classes.json", dict(enumerate(CLIP_CLASSES)))
    for split, count in options.scenes.items():
        law = Law(options.objects, "exclude" if split == "train" else options.novelty)
        scenes = World(split, count, law, options.seed)
        image_rows = SceneRows(
            scenes, ("text",), "image", vague=0.5 if split == "train" else 0.0, seed=options.seed
        )
        audio_rows = SceneRows(scenes, ("text",), "audio", seed=options.seed)
        with _SplitWriter(root, split, options) as writer:
            for number in tqdm(range(count), desc=split, unit="scene", disable=not options.progress):
                captions = [
                    [rows.text(number, epoch) for epoch in range(options.captions)]
                    for rows in (image_rows, audio_rows)
                ]
                writer.write(number, scenes[number], *captions)
            writer.finish()
    return root
