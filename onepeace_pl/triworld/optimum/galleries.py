"""Retrieval galleries with their best achievable recall@k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.errors import UserError
from onepeace_pl.triworld.language.captions import MENTION_RATES, Caption, Templates
from onepeace_pl.triworld.optimum.retrieval import audio_image_scores, caption_scores, recall
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.factors import AUDIBLE, BACKGROUNDS, COLOURS, KINDS, RHYTHMS, VISIBLE, layouts
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import Floats, KeyedRandom, RandomPurpose
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, World, compose, is_allowed, split_of

Pair = Literal["image_text", "audio_text", "audio_image", "audio+text_image"]
STAGES: Final[dict[str, tuple[Pair, ...]]] = {
    "vision_language": ("image_text",),
    "audio_language": ("audio_text", "audio_image", "audio+text_image"),
}
# Factors whose words a text encoder cannot know that was frozen before audio training.
UNLEARNT_FACTORS: Final = {
    "without rhythm": frozenset({"rhythm"}),
    "without rhythm and order": frozenset({"rhythm", "order"}),
}
_HARD_FROM: Final = 1_000_000  # indices of composed scenes, beyond those of sampled ones
_TRIES: Final = 2000


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
        pairs: Names of galleries. ``audio+text_image`` has hard negatives: every image has one of the same kinds and
            sizes with another background and one of other kinds with the same; the text names the background.
        stage: ``"vision_language"`` or ``"audio_language"``: all galleries of a stage, instead of ``pairs``.
        split: ``"val"`` or ``"test"``.
        size: Scenes in each gallery, without held-out combinations.
        novel_size: Scenes in a second gallery ``NAME_novel`` of each pair, all with held-out combinations; 0 for none.
            The hard pair has no such gallery.
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
        if novel_size and pair != "audio+text_image":
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
        law = Law(self.objects, "audible" if novel else "exclude")
        if pair == "audio_text":
            return self._caption_gallery(pair, "audio", "audio", size, law)
        if pair == "audio_image":
            return self._audio_image_gallery(pair, size, law)
        return self._composed_gallery(pair, size, law)

    def _rows(self, scenes: Sequence[Scene], modalities: Sequence[str], caption: Caption) -> SceneRows:
        return SceneRows(
            scenes,
            modalities=modalities,
            caption=caption,
            image_size=self.image_size,
            seconds=self.seconds,
            templates=self.templates,
            seed=self.seed,
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
            if caption == "image"
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
        scenes = hard_scenes(self.seed, self.split, size, law)
        rows = self._rows(scenes, ("audio", "text", "image"), "background")
        contents = [rows.content(index) for index in range(size)]
        audio = audio_image_scores(scenes, scenes)
        text = caption_scores(contents, scenes, MENTION_RATES["background"], law, "image")
        direction = "audio+text->image"

        def optima(scores: Floats) -> dict[str, dict[int, float]]:
            return {direction: recall(scores)}

        return Gallery(
            name=pair,
            query=("audio", "text"),
            target=("image",),
            rows=rows,
            both_directions=False,
            optimum=optima(audio + text),
            optimum_alone={"audio": optima(audio), "text": optima(text)},
            groups=["seen"] * size,
            factors=_factors(scenes, frozenset({"kind", "size", "count", "background"})),
        )


def _name(pair: str, law: Law) -> str:
    return pair if law.novelty == "exclude" else f"{pair}_novel"


def _novel(scene: Scene, modality: str) -> bool:
    return scene.novel_visible if modality == "image" else scene.novel_audible


def _factors(scenes: Sequence[Scene], names: frozenset[str]) -> list[dict[str, str]]:
    return [{name: value for name, value in scene.factors().items() if name in names} for scene in scenes]


def hard_scenes(seed: int, split: str, size: int, law: Law) -> list[Scene]:
    """Return scenes with hard negatives, in groups of four: two sets of objects, each with the same two backgrounds.

    The objects of a set agree in kind and size, so that audio is ambiguous between two images, and a background
    between two others; together they are not. As far as possible no two scenes of the gallery agree in kinds, sizes
    and background. Colours, places and rhythms are sampled for each scene.
    """
    scenes: list[Scene] = []
    used: set[tuple[object, ...]] = set()
    group = 0
    while len(scenes) < size:
        rng = KeyedRandom(seed, SPLITS.index(split), group, RandomPurpose.GALLERY)
        group += 1
        backgrounds = rng.shuffled(range(len(BACKGROUNDS)))[:2]
        count = law.objects[0] + rng.integer(law.objects[1] - law.objects[0] + 1)
        kinds = rng.shuffled(range(len(KINDS)))
        sets = [[(kinds.pop(), rng.integer(2)) for _ in range(count)] for _ in range(2)]
        cells = [(things, background) for things in sets for background in backgrounds]
        keys = {(tuple(sorted(things)), background) for things, background in cells}
        if keys & used and group < _TRIES:
            continue
        made: list[Scene] = []
        for things, background in cells:
            scene = _cell(seed, split, _HARD_FROM + len(scenes) + len(made), things, background, law, rng)
            if scene is None:
                break
            made.append(scene)
        if len(made) == len(cells):
            used |= keys
            scenes.extend(made)
    return scenes[:size]


def _cell(
    seed: int,
    split: str,
    index: int,
    things: Sequence[tuple[int, int]],
    background: int,
    law: Law,
    rng: KeyedRandom,
) -> Scene | None:
    """Return a scene of these kinds and sizes with a background; None where they are held out of training."""
    for _ in range(200):
        places = rng.choice(layouts(len(things)))
        drafts = [
            (kind, size, rng.integer(len(COLOURS)), place, rng.integer(len(RHYTHMS)))
            for (kind, size), place in zip(things, places, strict=True)
        ]
        if is_allowed(background, drafts, law.novelty) and split_of(background, drafts) == split:
            return compose(seed, split, index, background, drafts, rng)
    return None
