from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.expressions import is_unique, referring_expressions


def test_each_object_has_an_expression_that_fits_it_alone() -> None:
    for scene in World("val", 60, Law((1, 4), "include")):
        found = referring_expressions(scene)
        assert {expression.target for expression in found} == set(range(len(scene.objects)))
        for expression in found:
            if "relation" not in expression.factors:
                assert is_unique(scene, expression.target, tuple(expression.factors))


def test_the_text_says_the_factors() -> None:
    for scene in World("val", 40, Law((2, 4), "include")):
        for expression in referring_expressions(scene):
            thing = scene.objects[expression.target]
            if "colour" in expression.factors:
                assert any(f" {colour} " in expression.text for colour in words.COLOURS[thing.colour])
            if "kind" in expression.factors:
                assert any(noun in expression.text for noun, _ in words.NOUNS[thing.kind])
            if "place" in expression.factors:
                assert any(expression.text.endswith(place) for place in words.PLACES[thing.place])


def test_twins_need_more_than_their_kind() -> None:
    twins = [scene for scene in World("val", 400, Law((2, 2), "include")) if len(scene.kinds) == 1]
    assert twins
    for scene in twins:
        assert not any(expression.factors == {"kind"} for expression in referring_expressions(scene))


def test_the_same_each_time() -> None:
    scene = World("val", 1)[0]
    assert referring_expressions(scene) == referring_expressions(World("val", 1)[0])
