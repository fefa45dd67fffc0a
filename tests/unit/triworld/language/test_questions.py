import itertools
from collections import Counter

import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.questions import Question, answers, questions_about, statement
from onepeace_pl.triworld.world.scene import Scene

NUMBERS = ("zero", "one", "two", "three", "four")


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, Question]]:
    scenes = World("val", 250, Law((1, 4), "include"))
    return [(scene, question) for scene in scenes for question in questions_about(scene)]


def test_choices(asked: list[tuple[Scene, Question]]) -> None:
    for _, question in asked:
        assert len({question.answer, *question.distractors}) == 4
        assert {question.answer, *question.distractors} <= set(answers())
        assert question.text.endswith("?")


def test_topics_and_senses(asked: list[tuple[Scene, Question]]) -> None:
    types = Counter(question.question_type for _, question in asked)
    assert set(types) == {
        "count", "colour", "place", "existence", "comparison", "background", "rhythm", "order"
    }  # fmt: skip
    needs = {question.needs for _, question in asked}
    expected = ({"image"}, {"audio"}, {"image", "audio"}, {"image or audio"})
    assert needs == {frozenset(senses) for senses in expected}


def test_answers_are_right(asked: list[tuple[Scene, Question]]) -> None:
    """Read back from the words of the question, where that is simple."""
    checked = Counter()
    for scene, question in asked:
        text, answer = question.text, question.answer
        kinds = {words.NOUNS[t.kind][0][0]: t for t in scene.objects}
        if text == "how many objects are there?":
            assert answer == NUMBERS[len(scene.objects)]
        elif text.startswith("how many"):
            plural = text.split()[2]
            assert answer == NUMBERS[sum(words.NOUNS[t.kind][0][1] == plural for t in scene.objects)]
        elif text.startswith(("is there a ", "is there an ")):
            *colour, noun = text[:-1].split()[3:]
            fits = any(
                words.NOUNS[t.kind][0][0] == noun and (not colour or colour == [t.colour])
                for t in scene.objects
            )
            assert answer == ("yes" if fits else "no")
        elif text == "what begins to sound first?":
            assert answer == scene.objects[0].kind
        elif text == "what colour is the object that sounds first?":
            assert answer == scene.objects[0].colour
        elif text.startswith("what colour is the ") and text[:-1].split()[-1] in kinds:
            assert answer == kinds[text[:-1].split()[-1]].colour
        elif text == "what is in the background?":
            assert answer == scene.background
        elif text.startswith("which is larger"):
            sizes = {t.kind: t.size for t in scene.objects}
            assert sizes[answer] == "large"
        elif text.startswith("are the"):
            first, second = text.split()[2], text.split()[5]
            sizes = {t.kind: t.size for t in scene.objects}
            assert answer == ("yes" if sizes[first] == sizes[second] else "no")
        else:
            continue
        checked[question.question_type] += 1
    assert (
        min(
            checked[question_type]
            for question_type in ("count", "existence", "order", "colour", "comparison")
        )
        > 20
    )


def test_yes_and_no_are_both_common(asked: list[tuple[Scene, Question]]) -> None:
    for question_type in ("existence", "comparison", "place"):
        said = Counter(question.answer for _, question in asked if question.question_type == question_type)
        assert 0.3 < said["yes"] / (said["yes"] + said["no"]) < 0.7


COUNT_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def test_half_are_true() -> None:
    scenes = list(World("val", 600, Law((1, 3), "include")))
    said = [statement(left, right) for left, right in itertools.pairwise(scenes)]
    assert 0.42 < sum(s.truth for s in said) / len(said) < 0.58
    assert len({s.text for s in said}) > 100


def test_truth() -> None:
    scenes = list(World("val", 500, Law((1, 3), "include")))
    checked = 0
    for left, right in itertools.pairwise(scenes):
        said = statement(left, right)
        if said.text.endswith("in both pictures"):
            kind = said.text.split()[3]
            assert said.truth == (kind in left.kinds and kind in right.kinds)
        elif said.text.startswith("there are "):
            assert said.truth == (
                len(left.objects) + len(right.objects) == COUNT_WORDS.index(said.text.split()[2])
            )
        elif said.text.startswith("the left picture shows more"):
            assert said.truth == (len(left.objects) > len(right.objects))
        else:
            continue
        checked += 1
    assert checked > 80


def test_other_numbers_give_other_statements() -> None:
    left, right = World("val", 2)
    assert len({statement(left, right, number).text for number in range(12)}) > 4
    assert statement(left, right, 3) == statement(left, right, 3)
