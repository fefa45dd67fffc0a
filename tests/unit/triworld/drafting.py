"""Scenes drawn by the law itself, without the division into splits: what the closed forms speak of."""

from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import compose, is_allowed, sample_factors


def any_scene(law: Law, rng: KeyedRandom, index: int = 0, count: int | None = None) -> Scene:
    number = count or law.objects[0] + rng.integer(law.objects[1] - law.objects[0] + 1)
    while True:
        background, drafts = sample_factors(number, rng)
        if is_allowed(background, drafts, law.novelty):
            return compose(0, "val", index, background, drafts, rng)
