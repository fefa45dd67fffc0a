"""Scenes drawn by the law itself, without the division into splits: what the closed forms speak of."""

from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, RHYTHMS
from onepeace_pl.triworld.world.layout import layouts
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import Law, allowed, compose


def any_scene(law: Law, draws: Draws, index: int = 0, count: int | None = None) -> Scene:
    number = count or law.objects[0] + draws.below(law.objects[1] - law.objects[0] + 1)
    while True:
        background = draws.below(len(BACKGROUNDS))
        drafts = [
            (
                draws.below(len(KINDS)),
                draws.below(2),
                draws.below(len(COLOURS)),
                place,
                draws.below(len(RHYTHMS)),
            )
            for place in draws.choice(layouts(number))
        ]
        if allowed(background, drafts, law.novelty):
            return compose(0, "val", index, background, drafts, draws)
