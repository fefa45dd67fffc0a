"""Galleries of scenes with the best achievable recall beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.triworld.language.content import HABITS, Caption
from onepeace_pl.triworld.language.sentence import Phrasing
from onepeace_pl.triworld.optimum.optimum import recall, sentence_scores, shared_scores
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.draws import Draws, Stream
from onepeace_pl.triworld.world.factors import AUDIBLE, BACKGROUNDS, COLOURS, KINDS, RHYTHMS, VISIBLE
from onepeace_pl.triworld.world.laws import Floats
from onepeace_pl.triworld.world.layout import layouts
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, Law, World, allowed, compose, split_of

Pair = Literal["image_text", "audio_text", "audio_image", "audio+text_image"]
STAGES: Final[dict[str, tuple[Pair, ...]]] = {
    "vision_language": ("image_text",),
    "audio_language": ("audio_text", "audio_image", "audio+text_image"),
}
# What a text side that was frozen before it met sounds can't know.
UNHEARD: Final = {
    "without rhythm": frozenset({"rhythm"}),
    "without rhythm and order": frozenset({"rhythm", "order"}),
}
_HARD_FROM: Final = 1_000_000  # numbers of composed scenes, beyond those that a world draws
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
    phrasing: Phrasing = "known",
) -> list[Gallery]:
    """Return galleries of scenes that were never trained on, with optima.

    Args:
        pairs: Which galleries. ``audio+text_image`` is hard: every picture has one of the same kinds and
            sizes before another background and one of other kinds before the same; the text names the ground.
        stage: ``"vision_language"`` or ``"audio_language"``: all galleries of a stage, instead of ``pairs``.
        split: ``"val"`` or ``"test"``.
        size: Scenes in each gallery; all combinations in them are known from training.
        novel_size: Scenes in a second gallery ``NAME_novel`` of each pair, of which every scene holds a
            combination that training never has; 0 makes none. The hard pair has no such gallery.
        objects: Fewest and most objects of a scene.
        image_size: Side of pictures in pixels.
        seconds: Length of sounds.
        seed: Seed of the world.
        phrasing: ``"new"`` for sentences in frames that training never uses.

    Raises:
        ValueError: A name is unknown, or neither or both of pairs and stage are given.
    """
    if (pairs is None) == (stage is None):
        raise ValueError("galleries: give either pairs or stage")
    if stage is not None and stage not in STAGES:
        raise ValueError(f"stage={stage!r}: choose one of {', '.join(STAGES)}")
    chosen = STAGES[stage] if stage is not None else tuple(pairs or ())
    known = [pair for group in STAGES.values() for pair in group]
    found: list[Gallery] = []
    for pair in chosen:
        if pair not in known:
            raise ValueError(f"pairs: {pair!r} is unknown; choose from {', '.join(known)}")
        maker = _Maker(split, objects, image_size, seconds, seed, phrasing)
        found.append(maker.make(pair, size, novel=False))
        if novel_size and pair != "audio+text_image":
            found.append(maker.make(pair, novel_size, novel=True))
    return found


class _Maker:
    """Makes galleries with the same options."""

    def __init__(
        self,
        split: str,
        objects: tuple[int, int],
        image_size: int,
        seconds: float,
        seed: int,
        phrasing: Phrasing,
    ) -> None:
        if split not in SPLITS[1:]:
            raise ValueError(f"split={split!r}: galleries are made of 'val' or 'test'")
        self.split = split
        self.objects = (objects[0], objects[1])
        self.image_size = image_size
        self.seconds = seconds
        self.seed = seed
        self.phrasing = phrasing

    def make(self, pair: Pair, size: int, novel: bool) -> Gallery:
        if pair == "image_text":
            return self._told(
                pair, "image", "seen", size, Law(self.objects, "visible" if novel else "exclude")
            )
        law = Law(self.objects, "audible" if novel else "exclude")
        if pair == "audio_text":
            return self._told(pair, "audio", "heard", size, law)
        if pair == "audio_image":
            return self._unspoken(pair, size, law)
        return self._joint(pair, size, law)

    def _rows(self, scenes: Sequence[Scene], fields: Sequence[str], caption: Caption) -> SceneRows:
        return SceneRows(
            scenes,
            fields=fields,
            caption=caption,
            image_size=self.image_size,
            seconds=self.seconds,
            phrasing=self.phrasing,
            seed=self.seed,
        )

    def _told(self, pair: str, modality: str, caption: Caption, size: int, law: Law) -> Gallery:
        scenes = list(World(self.split, size, law, self.seed))
        rows = self._rows(scenes, (modality, "text"), caption)
        contents = [rows.content(index) for index in range(size)]
        said = [rows.text(index) for index in range(size)]

        def optima(unheard: frozenset[str] = frozenset()) -> dict[str, dict[int, float]]:
            scores = sentence_scores(contents, scenes, HABITS[caption], law, modality, unheard)
            return {
                f"{modality}->text": recall(scores.T, targets=said),
                f"text->{modality}": recall(scores, queries=said),
            }

        shown = VISIBLE if modality == "image" else AUDIBLE
        return Gallery(
            name=_name(pair, law),
            query=(modality,),
            target=("text",),
            rows=rows,
            optimum=optima(),
            optimum_variants={}
            if caption == "seen"
            else {name: optima(lost) for name, lost in UNHEARD.items()},
            groups=["novel" if _novel(scene, modality) else "seen" for scene in scenes],
            factors=_factors(scenes, shown),
        )

    def _unspoken(self, pair: str, size: int, law: Law) -> Gallery:
        scenes = list(World(self.split, size, law, self.seed))
        best = recall(shared_scores(scenes, scenes))
        return Gallery(
            name=_name(pair, law),
            query=("audio",),
            target=("image",),
            rows=self._rows(scenes, ("audio", "image"), "both"),
            optimum={"audio->image": best, "image->audio": dict(best)},
            groups=["novel" if scene.novel else "seen" for scene in scenes],
            factors=_factors(scenes, VISIBLE & AUDIBLE),
        )

    def _joint(self, pair: str, size: int, law: Law) -> Gallery:
        scenes = hard_scenes(self.seed, self.split, size, law)
        rows = self._rows(scenes, ("audio", "text", "image"), "background")
        contents = [rows.content(index) for index in range(size)]
        sound = shared_scores(scenes, scenes)
        text = sentence_scores(contents, scenes, HABITS["background"], law, "image")
        direction = "audio+text->image"

        def optima(scores: Floats) -> dict[str, dict[int, float]]:
            return {direction: recall(scores)}

        return Gallery(
            name=pair,
            query=("audio", "text"),
            target=("image",),
            rows=rows,
            both_directions=False,
            optimum=optima(sound + text),
            optimum_variants={"sound alone": optima(sound), "text alone": optima(text)},
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
    """Return scenes in groups of four: two sets of objects, each before the same two backgrounds.

    The objects of a set agree in kind and size, so that a sound can't tell which of two pictures is meant,
    nor a background which of two others; together they can. As far as possible no two scenes of the gallery
    agree in kinds, sizes and background. Colours, places and rhythms are drawn for each scene.
    """
    scenes: list[Scene] = []
    used: set[tuple[object, ...]] = set()
    group = 0
    while len(scenes) < size:
        draws = Draws(seed, SPLITS.index(split), group, Stream.GALLERY)
        group += 1
        backgrounds = draws.shuffled(range(len(BACKGROUNDS)))[:2]
        count = law.objects[0] + draws.below(law.objects[1] - law.objects[0] + 1)
        kinds = draws.shuffled(range(len(KINDS)))
        sets = [[(kinds.pop(), draws.below(2)) for _ in range(count)] for _ in range(2)]
        cells = [(things, background) for things in sets for background in backgrounds]
        keys = {(tuple(sorted(things)), background) for things, background in cells}
        if keys & used and group < _TRIES:
            continue
        made: list[Scene] = []
        for things, background in cells:
            scene = _cell(seed, split, _HARD_FROM + len(scenes) + len(made), things, background, law, draws)
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
    draws: Draws,
) -> Scene | None:
    """Return a scene of these kinds and sizes before this background; None where training has none such."""
    for _ in range(200):
        places = draws.choice(layouts(len(things)))
        drafts = [
            (kind, size, draws.below(len(COLOURS)), place, draws.below(len(RHYTHMS)))
            for (kind, size), place in zip(things, places, strict=True)
        ]
        if allowed(background, drafts, law.novelty) and split_of(background, drafts) == split:
            return compose(seed, split, index, background, drafts, draws)
    return None
