import pytest

from onepeace_pl.data.evaluation.directions import Direction, all_pairs, galleries, parse_direction
from onepeace_pl.data.evaluation.gallery import pair_galleries
from onepeace_pl.data.source import Row, RowList

MODALITIES = ("text", "image", "audio", "motion")
FIELDS = ("image", "text", "image:reference", "audio", "motion")
ROWS = RowList([Row(str(i), dict.fromkeys(FIELDS, i)) for i in range(3)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a2i", "audio->image"),
        ("at2i", "audio+text->image"),
        ("i2ta", "image->text+audio"),
        ("audio->image", "audio->image"),
        ("audio+text2image", "audio+text->image"),
        ("motion2text", "motion->text"),
        ("t->motion", "text->motion"),
        ("ai2i", "audio+image:reference->image"),
        ("i2i", "image:reference->image"),
        ("text+image:reference->image", "text+image:reference->image"),
    ],
)
def test_names(text: str, expected: str) -> None:
    assert str(parse_direction(text, MODALITIES, FIELDS)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image", "neither short, as a2i, nor long"),
        ("a->i->t", "neither short"),
        ("a2", "neither short"),
        (
            "v2i",
            r"no modality 'v'; it has text, image, audio, motion, and the letters .* t \(text\), i \(image\)",
        ),
        ("smell->image", "no modality 'smell'"),
        ("tt2i", r"text\+text has a modality twice"),
        ("image+image:reference->text", "has a modality twice"),
        ("a2a", r"audio is on both sides.* such as audio:reference \(--columns audio:reference=COLUMN\)"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_direction(text, MODALITIES, FIELDS)


def test_one_of_several_further_fields_has_to_be_named() -> None:
    fields = (*FIELDS, "image:mask")
    with pytest.raises(ValueError, match="for the query, one of image:reference, image:mask"):
        parse_direction("ai2i", MODALITIES, fields)
    assert parse_direction("audio+image:mask->image", MODALITIES, fields).query[1] == "image:mask"


def test_all_pairs_are_the_galleries_of_a_data_module() -> None:
    rows = RowList([Row("0", {"text": "a", "image": 1, "audio": 2})])
    assert galleries("mine", rows, all_pairs(rows.modalities)) == pair_galleries("mine", rows)
    pair = RowList([Row("0", {"text": "a", "image": 1})])
    assert galleries("mine", pair, all_pairs(pair.modalities)) == pair_galleries("mine", pair)


def test_both_directions_of_a_pair_are_one_gallery() -> None:
    names = ["t2i", "a2i", "i2t", "at2i", "a2i"]
    found = galleries("mine", ROWS, [parse_direction(name, MODALITIES, FIELDS) for name in names])
    assert [(each.name, each.both_directions) for each in found] == [
        ("mine/image_text", True),
        ("mine/audio_image", False),
        ("mine/audio+text_image", False),
    ]
    assert found[0].query == ("image",)


def test_groups_and_equal_values_of_an_id_reach_the_galleries() -> None:
    class Captions(RowList):
        def one_per_id(self) -> tuple[str, ...]:
            return ("image", "audio")

    rows = Captions([Row("a", {"image": 1, "text": text, "audio": 2}) for text in "xy"])
    (found,) = galleries("mine", rows, [Direction(("image",), ("text",))], ["left", "right"], False)
    assert found.name == "mine"
    assert (found.one_per_id, found.groups, found.merge_duplicates) == (("image",), ["left", "right"], False)
