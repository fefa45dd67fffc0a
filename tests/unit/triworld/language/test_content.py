from dataclasses import replace

import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language.content import HABITS, Caption, Content, Mention, describe, strip
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import AUDIBLE, VISIBLE


@pytest.mark.parametrize("caption", list(HABITS))
def test_what_is_said_is_true(caption: Caption) -> None:
    for scene in World("val", 200, Law((1, 4), "include")):
        content = describe(scene, HABITS[caption], Draws(scene.index))
        assert content.background in (None, scene.background)
        for mention in content.mentions:
            fits = [
                thing
                for thing in scene.objects
                if all(
                    getattr(mention, name) in (None, getattr(thing, name))
                    for name in ("kind", "size", "colour", "place", "rhythm")
                )
            ]
            assert len(fits) >= mention.number


@pytest.mark.parametrize(
    ("caption", "may_say"),
    [("seen", VISIBLE), ("heard", AUDIBLE), ("vague", {"kind", "size", "count", "background"})],
)
def test_a_sense_tells_what_it_can(caption: Caption, may_say: set[str]) -> None:
    said: set[str] = set()
    for scene in World("val", 300, Law((1, 3), "include")):
        said |= describe(scene, HABITS[caption], Draws(scene.index)).said()
    assert said == set(may_say)


def test_order_is_the_order_of_sounding() -> None:
    habits = replace(HABITS["heard"], kind=1.0, order=1.0, merge=0.0, omit=0.0)
    for scene in World("val", 50, Law((2, 4), "include")):
        content = describe(scene, habits, Draws(scene.index))
        assert content.ordered
        assert [mention.kind for mention in content.mentions] == [thing.kind for thing in scene.objects]


def test_strip_and_without() -> None:
    content = Content((Mention("bell", "small", "red", "top", "once"),), "snow", ordered=True)
    blind = strip(content, frozenset({"rhythm", "order", "colour", "background"}))
    assert blind == Content((Mention("bell", "small", None, "top"),))
    assert HABITS["seen"].without(frozenset({"place"})).relation == 0.0
    with pytest.raises(ValueError, match="'count'"):
        HABITS["seen"].without(frozenset({"count"}))
