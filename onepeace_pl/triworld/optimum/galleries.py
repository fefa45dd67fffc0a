"""Retrieval galleries with their best achievable recall@k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.errors import UserError
from onepeace_pl.triworld.language.captions import MENTION_RATES, Caption, Templates
from onepeace_pl.triworld.optimum.composed import COMPOSED
from onepeace_pl.triworld.optimum.retrieval import audio_image_scores, caption_scores, recall
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.factors import AUDIBLE, VISIBLE
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import Floats
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, World

Pair = Literal[
    "image_text",
    "image_text_audible",
    "audio_text",
    "audio_image",
    "image+text_image",
    "audio+text_image",
    "audio+image_image",
    "audio+image+text_image",
    "image+text_audio",
    "audio+text_audio",
]
STAGES: Final[dict[str, tuple[Pair, ...]]] = {
    "vision_language": ("image_text", "image_text_audible", "image+text_image"),
    "audio_language": (
        "audio_text",
        "audio_image",
        "audio+text_image",
        "audio+image_image",
        "audio+image+text_image",
        "image+text_audio",
        "audio+text_audio",
    ),
}
# Factors whose words a text encoder cannot know that was frozen before audio training.
UNLEARNT_FACTORS: Final = {
    "without rhythm": frozenset({"rhythm"}),
    "without rhythm and order": frozenset({"rhythm", "order"}),
}


def galleries(
    pairs: Sequence[Pair] | None = None,
    stage: str | None = None,
    split: str = "val",
    size: int = 256,
    novel_size: int = 0,
    objects: tuple[int, int] = (1, 2),
    image_size: int = 64,
    seconds: float = 1.0,
    seed: int = 0,
    templates: Templates = "train",
) -> list[Gallery]:
    """Return retrieval galleries of validation or test scenes, with optima.

    Args:
        pairs: Names of galleries. Captions of ``image_text_audible`` mention only what audio tells, too (kinds and
            sizes): audio that finds images by way of text finds them no better. Composed queries (:data:`COMPOSED`)
            have hard negatives.
        stage: ``"vision_language"`` or ``"audio_language"``: all galleries of a stage, instead of ``pairs``.
        split: ``"val"`` or ``"test"``.
        size: Scenes in each gallery, without held-out combinations.
        novel_size: Scenes in a second gallery ``NAME_novel`` of each pair, all with held-out combinations; 0 for none.
            Composed queries and ``image_text_audible`` have no such gallery.
        objects: Least and greatest number of objects of a scene.
        image_size: Side of images in pixels.
        seconds: Duration of audio.
        seed: Seed of the world.
        templates: ``"held_out"`` for captions in templates that training never uses.

    Raises:
        UserError: A name is unknown, or neither or both of pairs and stage are given.
    """
    if (pairs is None) == (stage is None):
        raise UserError("galleries: give either pairs or stage")
    if stage is not None and stage not in STAGES:
        raise UserError(f"stage={stage!r}: choose one of {', '.join(STAGES)}")
    chosen = STAGES[stage] if stage is not None else tuple(pairs or ())
    known = [pair for group in STAGES.values() for pair in group]
    result: list[Gallery] = []
    for pair in chosen:
        if pair not in known:
            raise UserError(f"pairs: {pair!r} is unknown; choose from {', '.join(known)}")
        builder = _GalleryBuilder(split, objects, image_size, seconds, seed, templates)
        result.append(builder.make(pair, size, novel=False))
        if novel_size and pair not in (*COMPOSED, "image_text_audible"):
            result.append(builder.make(pair, novel_size, novel=True))
    return result


class _GalleryBuilder:
    """Galleries of the same options."""

    def __init__(
        self,
        split: str,
        objects: tuple[int, int],
        image_size: int,
        seconds: float,
        seed: int,
        templates: Templates,
    ) -> None:
        if split not in SPLITS[1:]:
            raise UserError(f"split={split!r}: galleries are made of 'val' or 'test'")
        self.split = split
        self.objects = (objects[0], objects[1])
        self.image_size = image_size
        self.seconds = seconds
        self.seed = seed
        self.templates = templates

    def make(self, pair: Pair, size: int, novel: bool) -> Gallery:
        if pair == "image_text":
            return self._caption_gallery(
                pair, "image", "image", size, Law(self.objects, "visible" if novel else "exclude")
            )
        if pair == "image_text_audible":
            return self._caption_gallery(pair, "image", "objects", size, Law(self.objects))
        law = Law(self.objects, "audible" if novel else "exclude")
        if pair == "audio_text":
            return self._caption_gallery(pair, "audio", "audio", size, law)
        if pair == "audio_image":
            return self._audio_image_gallery(pair, size, law)
        return self._composed_gallery(pair, size, law)

    def _rows(
        self,
        scenes: Sequence[Scene],
        modalities: Sequence[str],
        caption: Caption,
        shown: Mapping[str, Sequence[Scene]] = {},
    ) -> SceneRows:
        return SceneRows(
            scenes,
            modalities=modalities,
            caption=caption,
            image_size=self.image_size,
            seconds=self.seconds,
            templates=self.templates,
            seed=self.seed,
            shown=shown,
        )

    def _caption_gallery(self, pair: str, modality: str, caption: Caption, size: int, law: Law) -> Gallery:
        scenes = list(World(self.split, size, law, self.seed))
        rows = self._rows(scenes, (modality, "text"), caption)
        contents = [rows.content(index) for index in range(size)]
        sentences = [rows.text(index) for index in range(size)]

        def optima(unlearnt: frozenset[str] = frozenset()) -> dict[str, dict[int, float]]:
            scores = caption_scores(contents, scenes, MENTION_RATES[caption], law, modality, unlearnt)
            return {
                f"{modality}->text": recall(scores.T, targets=sentences),
                f"text->{modality}": recall(scores, queries=sentences),
            }

        shown = VISIBLE if modality == "image" else AUDIBLE
        return Gallery(
            name=_name(pair, law),
            query=(modality,),
            target=("text",),
            rows=rows,
            optimum=optima(),
            optimum_variants={}
            if modality == "image"
            else {name: optima(lost) for name, lost in UNLEARNT_FACTORS.items()},
            groups=["novel" if _novel(scene, modality) else "seen" for scene in scenes],
            factors=_factors(scenes, shown),
        )

    def _audio_image_gallery(self, pair: str, size: int, law: Law) -> Gallery:
        scenes = list(World(self.split, size, law, self.seed))
        best = recall(audio_image_scores(scenes, scenes))
        return Gallery(
            name=_name(pair, law),
            query=("audio",),
            target=("image",),
            rows=self._rows(scenes, ("audio", "image"), "audiovisual"),
            optimum={"audio->image": best, "image->audio": dict(best)},
            groups=["novel" if scene.novel else "seen" for scene in scenes],
            factors=_factors(scenes, VISIBLE & AUDIBLE),
        )

    def _composed_gallery(self, pair: str, size: int, law: Law) -> Gallery:
        composed = COMPOSED[pair]
        scenes, shown = composed.scenes(self.seed, self.split, size, law)
        fields = (*composed.query, composed.target)
        rows = self._rows(scenes, fields, composed.caption, shown)
        contents = [rows.content(index) for index in range(size)] if "text" in fields else []
        parts = composed.scores(scenes, shown, contents, law)
        direction = f"{'+'.join(composed.query)}->{composed.target}"

        def optima(scores: Floats) -> dict[str, dict[int, float]]:
            return {direction: recall(scores)}

        return Gallery(
            name=pair,
            query=composed.query,
            target=(composed.target,),
            rows=rows,
            both_directions=False,
            optimum=optima(sum(parts.values(), np.zeros((size, size)))),
            optimum_alone={name: optima(scores) for name, scores in parts.items()},
            groups=["seen"] * size,
            factors=_factors(scenes, composed.factors),
        )


def _name(pair: str, law: Law) -> str:
    return pair if law.novelty == "exclude" else f"{pair}_novel"


def _novel(scene: Scene, modality: str) -> bool:
    return scene.novel_visible if modality == "image" else scene.novel_audible


def _factors(scenes: Sequence[Scene], names: frozenset[str]) -> list[dict[str, str]]:
    return [{name: value for name, value in scene.factors().items() if name in names} for scene in scenes]
