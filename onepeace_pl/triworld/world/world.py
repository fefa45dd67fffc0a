"""Scene sampler: splits without shared images, by rejection sampling from a law."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, overload

from onepeace_pl.errors import UserError
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    CENTRES,
    COLOURS,
    DIRECTIONS,
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
    KINDS,
    PLACES,
    RHYTHMS,
    SHRINK,
    SIZES,
    SPEEDS,
    layouts,
)
from onepeace_pl.triworld.world.laws import Law, Novelty
from onepeace_pl.triworld.world.numerics import KeyedRandom, RandomPurpose
from onepeace_pl.triworld.world.scene import Scene, SceneObject

SPLITS: Final = ("train", "val", "test")
VARIANTS: Final = 6
_RADIUS: Final = {"small": (0.15, 0.18), "large": (0.215, 0.25)}
_MASK: Final = (1 << 64) - 1


def scramble(value: int) -> int:
    """Return a hash of 64 bits (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


# Factors of an object, as indices of kind, size, colour, place, rhythm.
Draft = tuple[int, int, int, int, int]

_NO_COLOUR: Final = frozenset((KINDS.index(k), COLOURS.index(c)) for k, c in HELD_OUT_COLOURS)
_NO_BACKGROUND: Final = frozenset((KINDS.index(k), BACKGROUNDS.index(b)) for k, b in HELD_OUT_BACKGROUNDS)
_NO_RHYTHM: Final = frozenset((KINDS.index(k), RHYTHMS.index(r)) for k, r in HELD_OUT_RHYTHMS)


def split_of(background: int, objects: Sequence[Draft]) -> str:
    """Return the split of all scenes with these visible factors: six of eight go to training.

    A hash of the visible factors alone, so no image of one split has a duplicate in another.
    """
    key = background
    for kind, size, colour, place, _ in sorted(objects, key=lambda draft: draft[3]):
        key = scramble(key * 7919 + ((kind * 2 + size) * 8 + colour) * 9 + place + 1)
    return ("train", "train", "train", "train", "train", "train", "val", "test")[key >> 61]


def is_allowed(background: int, objects: Sequence[Draft], novelty: Novelty) -> bool:
    """Return whether factors satisfy the condition on held-out combinations."""
    if novelty == "include":
        return True
    audible_novelty = any((draft[0], draft[4]) in _NO_RHYTHM for draft in objects)
    if novelty == "audible":
        return audible_novelty
    visible_novelty = any(
        (draft[0], background) in _NO_BACKGROUND or (draft[0], draft[2]) in _NO_COLOUR for draft in objects
    )
    return visible_novelty if novelty == "visible" else not (visible_novelty or audible_novelty)


def _sample_object(draft: Draft, count: int, rng: KeyedRandom) -> SceneObject:
    kind, size, colour, place, rhythm = draft
    low, high = _RADIUS[SIZES[size]]
    radius = rng.uniform(low, high) * SHRINK[count]
    margin = radius * 0.98
    x = min(max(CENTRES[place % 3] + rng.uniform(-0.03, 0.03), margin), 1.0 - margin)
    y = min(max(CENTRES[place // 3] + rng.uniform(-0.03, 0.03), margin), 1.0 - margin)
    return SceneObject(
        kind=KINDS[kind],
        size=SIZES[size],
        colour=COLOURS[colour],
        place=PLACES[place],
        rhythm=RHYTHMS[rhythm],
        x=x,
        y=y,
        radius=radius,
        tilt=rng.uniform(-0.045, 0.045),
        stretch=rng.uniform(0.9, 1.1),
        mirrored=rng.bernoulli(0.5),
        shade=rng.uniform(0.88, 1.1),
        distance=rng.uniform(0.2, 0.6),
        variant=rng.integer(VARIANTS),
        gain=rng.uniform(0.75, 1.1),
        lead=rng.uniform(),
        pace=rng.uniform(0.92, 1.08),
    )


@lru_cache(maxsize=65_536)  # a row asks for several, every epoch for all; 1.4 KiB each
def sample_scene(seed: int, split: str, index: int, law: Law) -> Scene:
    """Return scene ``index`` of a split, sampled from a law; the same on every machine.

    Raises:
        UserError: The split is unknown, or held-out combinations are asked of training.
    """
    if split not in SPLITS:
        raise UserError(f"split={split!r}: choose one of {', '.join(SPLITS)}")
    if split == "train" and law.novelty != "exclude":
        raise UserError(
            f"novelty={law.novelty!r}: training never has novel scenes; use split 'val' or 'test'"
        )
    rng = KeyedRandom(seed, SPLITS.index(split), index, RandomPurpose.SCENE)
    count = law.objects[0] + rng.integer(law.objects[1] - law.objects[0] + 1)
    while True:
        background, drafts = sample_factors(count, rng)
        if is_allowed(background, drafts, law.novelty) and split_of(background, drafts) == split:
            break
    return compose(seed, split, index, background, drafts, rng)


def sample_factors(count: int, rng: KeyedRandom) -> tuple[int, list[Draft]]:
    """Return a background and ``count`` objects, uniform over the tables, whether or not a law allows them."""
    background = rng.integer(len(BACKGROUNDS))
    drafts = [
        (rng.integer(len(KINDS)), rng.integer(2), rng.integer(len(COLOURS)), place, rng.integer(len(RHYTHMS)))
        for place in rng.choice(layouts(count))
    ]
    return background, drafts


def compose(
    seed: int, split: str, index: int, background: int, drafts: Sequence[Draft], rng: KeyedRandom
) -> Scene:
    """Return a scene of given factors (indices into the tables) with sampled nuisance variables."""
    return Scene(
        seed=seed,
        split=split,
        index=index,
        background=BACKGROUNDS[background],
        objects=tuple(_sample_object(draft, len(drafts), rng) for draft in drafts),
        light=rng.uniform(),
        brightness=rng.uniform(0.85, 1.1),
        texture=(rng.uniform(), rng.uniform()),
        hiss=0.002 + 0.05 * rng.uniform() * rng.uniform(),
        hiss_start=rng.uniform(),
        direction=rng.choice(DIRECTIONS),
        speed=rng.choice(SPEEDS),
    )


class World(Sequence[Scene]):
    """Lazy sequence of the first ``size`` scenes of a split."""

    def __init__(self, split: str, size: int, law: Law | None = None, seed: int = 0) -> None:
        if size < 0:
            raise UserError(f"size={size}: give a number of scenes")
        if split not in SPLITS:
            raise UserError(f"split={split!r}: choose one of {', '.join(SPLITS)}")
        self.split = split
        self.size = size
        self.law = law or Law()
        self.seed = seed

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(f"scene {index} of a world of {self.size}")
        return sample_scene(self.seed, self.split, index % self.size, self.law)
