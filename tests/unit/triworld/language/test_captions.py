from dataclasses import replace

import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.captions import (
    MAX_WORDS,
    MENTION_RATES,
    MIN_WORDS,
    Caption,
    Content,
    Mention,
    realise,
    sample_content,
    vocabulary,
    without_factors,
)
from onepeace_pl.triworld.world.factors import AUDIBLE, VISIBLE
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.scene import Scene


@pytest.mark.parametrize("caption", list(MENTION_RATES))
def test_what_is_said_is_true(caption: Caption) -> None:
    for scene in World("val", 200, Law((1, 4), "include")):
        content = sample_content(scene, MENTION_RATES[caption], KeyedRandom(scene.index))
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
    [("image", VISIBLE), ("audio", AUDIBLE), ("vague", {"kind", "size", "count", "background"})],
)
def test_factors_mentioned_by_each_kind_of_caption(caption: Caption, may_say: set[str]) -> None:
    said: set[str] = set()
    for scene in World("val", 300, Law((1, 3), "include")):
        said |= sample_content(scene, MENTION_RATES[caption], KeyedRandom(scene.index)).factors()
    assert said == set(may_say)


def test_order_is_the_order_of_sounding() -> None:
    rates = replace(MENTION_RATES["audio"], kind=1.0, order=1.0, merge=0.0, omit=0.0)
    for scene in World("val", 50, Law((2, 4), "include")):
        content = sample_content(scene, rates, KeyedRandom(scene.index))
        assert content.ordered
        assert [mention.kind for mention in content.mentions] == [thing.kind for thing in scene.objects]


def test_strip_and_without() -> None:
    content = Content((Mention("bell", "small", "red", "top", "once"),), "snow", ordered=True)
    plain = without_factors(content, frozenset({"rhythm", "order", "colour", "background"}))
    assert plain == Content((Mention("bell", "small", None, "top"),))
    assert MENTION_RATES["image"].without(frozenset({"place"})).relation == 0.0
    with pytest.raises(ValueError, match="'count'"):
        MENTION_RATES["image"].without(frozenset({"count"}))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(World("val", 300, Law((1, 4), "include")))


@pytest.mark.parametrize("caption", list(MENTION_RATES))
@pytest.mark.parametrize("templates", ["train", "held_out"])
def test_length_and_vocabulary(scenes: list[Scene], caption: Caption, templates: str) -> None:
    known = set(vocabulary())
    assert len(known) < 300
    for scene in scenes:
        for turn in range(3):
            rng = KeyedRandom(scene.index, turn)
            sentence = realise(sample_content(scene, MENTION_RATES[caption], rng), rng, templates)  # type: ignore[arg-type]
            parts = sentence.replace(",", " ").split()
            assert MIN_WORDS <= len(parts) <= MAX_WORDS, sentence
            assert set(parts) <= known, sentence
            assert sentence == sentence.lower().strip()
            assert "  " not in sentence


def test_the_longest_content_still_fits() -> None:
    mention = Mention("guitar", "large", "orange", "bottom right", "speeding up")
    plain = Mention("guitar", "large", "orange")
    content = Content((mention, mention, plain, plain), background="bricks", ordered=True)
    for turn in range(50):
        assert len(realise(content, KeyedRandom(turn)).split()) <= MAX_WORDS


def test_held_out_templates_are_new(scenes: list[Scene]) -> None:
    """With all content words taken out, no frame is shared."""
    frames: dict[str, set[str]] = {"train": set(), "held_out": set()}
    content = Content((Mention("bell", colour="red"),))
    vague = Content((Mention("bell"),))
    heard = Content((Mention("bell", rhythm="once"),))
    for templates, found in frames.items():
        for turn in range(200):
            for said in (content, vague, heard):
                sentence = realise(said, KeyedRandom(turn), templates)  # type: ignore[arg-type]
                for noun in ("bell", "chime"):
                    sentence = sentence.replace(noun, "X")
                for word in (*words.COLOURS["red"], *words.RHYTHMS["once"], *words.VERBS["bell"], "that is"):
                    sentence = sentence.replace(word, "")
                found.add(" ".join(sentence.split()))
    assert len(frames["train"]) > 6
    assert not frames["train"] & frames["held_out"]


def test_vague_and_audio_captions_share_words_and_templates() -> None:
    """Contents of shared factors alone are worded alike, whichever sense they are about."""
    bare = Content((Mention("bell", "small"), Mention("bird")))
    said = {realise(bare, KeyedRandom(turn)) for turn in range(300)}
    assert any("there is a small bell" in sentence for sentence in said)
    assert not any("picture" in s or "hear" in s or "sound of" in s for s in said)


def test_several_grammars_and_synonyms() -> None:
    content = Content((Mention("bird", "small", "red", "top left"),), background="snow")
    said = {realise(content, KeyedRandom(turn)) for turn in range(400)}
    assert len(said) > 150
    for option in ("tiny", "little", "scarlet", "songbird", "snowy", "corner", "that is", "upper left"):
        assert any(option in sentence for sentence in said), option


def test_articles_and_numbers() -> None:
    def one(mention: Mention) -> str:
        return " | ".join(realise(Content((mention,)), KeyedRandom(turn)) for turn in range(60))

    assert " a orange" not in one(Mention("bell", colour="orange"))
    assert " an orange bell" in one(Mention("bell", colour="orange"))
    assert "two bells" in one(Mention("bell", number=2))
    assert "there are two" in one(Mention("bell", number=2))
    assert "there is two" not in one(Mention("bell", number=2))
