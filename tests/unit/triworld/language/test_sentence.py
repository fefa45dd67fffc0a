import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.content import HABITS, Caption, Content, Mention, describe
from onepeace_pl.triworld.language.sentence import FEWEST_WORDS, MOST_WORDS, vocabulary, write
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.scene import Scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(World("val", 300, Law((1, 4), "include")))


@pytest.mark.parametrize("caption", list(HABITS))
@pytest.mark.parametrize("phrasing", ["known", "new"])
def test_length_and_vocabulary(scenes: list[Scene], caption: Caption, phrasing: str) -> None:
    known = set(vocabulary())
    assert len(known) < 300
    for scene in scenes:
        for turn in range(3):
            draws = Draws(scene.index, turn)
            sentence = write(describe(scene, HABITS[caption], draws), draws, phrasing)  # type: ignore[arg-type]
            parts = sentence.replace(",", " ").split()
            assert FEWEST_WORDS <= len(parts) <= MOST_WORDS, sentence
            assert set(parts) <= known, sentence
            assert sentence == sentence.lower().strip()
            assert "  " not in sentence


def test_the_longest_content_still_fits() -> None:
    mention = Mention("guitar", "large", "orange", "bottom right", "speeding up")
    plain = Mention("guitar", "large", "orange")
    content = Content((mention, mention, plain, plain), background="bricks", ordered=True)
    for turn in range(50):
        assert len(write(content, Draws(turn)).split()) <= MOST_WORDS


def test_new_phrasings_are_new(scenes: list[Scene]) -> None:
    """With all content words taken out, no frame is shared."""
    frames: dict[str, set[str]] = {"known": set(), "new": set()}
    content = Content((Mention("bell", colour="red"),))
    vague = Content((Mention("bell"),))
    heard = Content((Mention("bell", rhythm="once"),))
    for phrasing, found in frames.items():
        for turn in range(200):
            for said in (content, vague, heard):
                sentence = write(said, Draws(turn), phrasing)  # type: ignore[arg-type]
                for noun in ("bell", "chime"):
                    sentence = sentence.replace(noun, "X")
                for word in (*words.COLOURS["red"], *words.RHYTHMS["once"], *words.VERBS["bell"], "that is"):
                    sentence = sentence.replace(word, "")
                found.add(" ".join(sentence.split()))
    assert len(frames["known"]) > 6
    assert not frames["known"] & frames["new"]


def test_vague_and_heard_sentences_share_words_and_frames() -> None:
    """Contents of shared factors alone are worded alike, whichever sense they are about."""
    bare = Content((Mention("bell", "small"), Mention("bird")))
    said = {write(bare, Draws(turn)) for turn in range(300)}
    assert any("there is a small bell" in sentence for sentence in said)
    assert not any("picture" in s or "hear" in s or "sound of" in s for s in said)


def test_several_grammars_and_synonyms() -> None:
    content = Content((Mention("bird", "small", "red", "top left"),), background="snow")
    said = {write(content, Draws(turn)) for turn in range(400)}
    assert len(said) > 150
    for option in ("tiny", "little", "scarlet", "songbird", "snowy", "corner", "that is", "upper left"):
        assert any(option in sentence for sentence in said), option


def test_articles_and_numbers() -> None:
    def one(mention: Mention) -> str:
        return " | ".join(write(Content((mention,)), Draws(turn)) for turn in range(60))

    assert " a orange" not in one(Mention("bell", colour="orange"))
    assert " an orange bell" in one(Mention("bell", colour="orange"))
    assert "two bells" in one(Mention("bell", number=2))
    assert "there are two" in one(Mention("bell", number=2))
    assert "there is two" not in one(Mention("bell", number=2))
