"""AVQA, MUSIC-AVQA and VQAv2."""

import json
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.datasets import Avqa, MusicAvqa, VqaV2
from onepeace_pl.data.datasets.vqa_answers import confidences, normalised, vocabulary
from tests.unit.data.datasets.making import json_file, pictures


def avqa(answer: Any = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": 183,
        "video_name": "abc_000030",
        "video_id": 341,
        "question_text": "What is the sound?",
        "multi_choice": ["a boat", "a dog", "rain", "a bell"],
        "answer": answer,
        "question_relation": "View",
        "question_type": "Happening",
        **more,
    }


def test_avqa(tmp_path: Path) -> None:
    source = Avqa(json_file(tmp_path / "val_qa.json", [avqa()]), "/audio")
    row = source[0]
    assert row.id == "183"
    assert row.fields["audio"] == "/audio/abc_000030.wav"
    assert row.fields["text"][1] == "What is the sound? answer: a dog"
    assert len(row.fields["text"]) == 4
    assert row.labels == {"answer": 1, "group": "Happening"}
    assert list(source.texts()) == list(row.fields["text"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (avqa(answer=4), r"entry 0: answer 4 is not among the 4 choices"),
        (avqa(multi_choice="a"), r"entry 0: multi_choice 'a' is no list"),
        ({"answer": 0}, r"entry 0: no 'multi_choice'"),
    ],
)
def test_bad_avqa_is_refused(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Avqa(json_file(tmp_path / "val_qa.json", [entry]), "/audio")


@pytest.mark.parametrize("name", ["orig_avqa-val", "updated_avqa-test", "orig_avqa-train_fake"])
def test_music_avqa(shared: Path, name: str) -> None:
    source = MusicAvqa(str(shared / f"data/music_avqa/{name}.json"), "/audio")
    assert len(source) == 200
    for text, labels in zip(source.texts(), source.labels(), strict=True):
        assert "<" not in text
        assert "[" not in labels["group"]
        assert list(labels["answers"].values()) == [1.0]
        assert set(labels["answers"]) <= set(source.classes)
    if name == "orig_avqa-val":
        assert source[0].fields == {
            "audio": "/audio/00000028.wav",
            "text": "Is the ukulele in the video always playing?",
        }
        assert source[0].labels == {"answers": {"yes": 1.0}, "group": "Audio-Visual Existential"}


def music(**more: Any) -> dict[str, Any]:
    return {
        "video_id": "00000001",
        "question_id": 5,
        "type": '["Audio", "Counting"]',
        "question_content": "Is the <Object> left of the <Object>?",
        "templ_values": '["bass", "flute"]',
        "question_deleted": 0,
        "anser": "two",
        **more,
    }


def test_music_avqa_takes_the_answers_of_the_training_rows(tmp_path: Path) -> None:
    train = json_file(tmp_path / "avqa-train.json", [music(anser="yes"), music(), music(anser="no")])
    path = json_file(tmp_path / "avqa-val.json", [music()])
    source = MusicAvqa(path, "/audio", answers=train)
    assert source.classes == ("no", "two", "yes")
    assert source[0].fields["text"] == "Is the bass left of the flute?"
    assert MusicAvqa(path, "/audio", answers=["two", "one"]).classes == ("two", "one")
    assert MusicAvqa(path, "/audio", json_file(tmp_path / "l.json", ["one", "two"])).classes == ("one", "two")
    with pytest.raises(ValueError, match=r"avqa-val\.json: entry 0: class 'two' is none of the 1"):
        MusicAvqa(path, "/audio", answers=["one"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templ_values": '["bass"]'}, "1 templ_values for 2 slots"),
        ({"templ_values": "[oops"}, "templ_values '\\[oops' is no JSON list"),
    ],
)
def test_bad_music_avqa_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MusicAvqa(json_file(tmp_path / "avqa-val.json", [music(**change)]), "/audio")


@pytest.mark.parametrize(("count", "confidence"), [(1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_confidence_of_an_answer(count: int, confidence: float) -> None:
    answers = ["yes"] * count + [f"other {i}" for i in range(10 - count)]
    assert confidences(answers)["yes"] == confidence


def test_answers_are_compared_by_their_words() -> None:
    assert normalised("The Dog.") == "dog"
    assert normalised("two") == "2"
    assert normalised("1,000") == "1000"
    assert normalised("3.5") == "3.5"
    assert confidences(["A dog", "dog", "the dog", "Dog!"] + ["cat"] * 6) == {"dog": 1.0, "cat": 1.0}
    assert vocabulary(["b", "a", "b", "c", "a"], min_count=2) == ("a", "b")


def vqa_files(folder: Path, questions: int = 3) -> tuple[str, str]:
    asked = [{"image_id": 9, "question": f"what {i}?", "question_id": 9000 + i} for i in range(questions)]
    answers = [
        [{"answer": "yes", "answer_id": j} for j in range(10)],
        [{"answer": "no" if j < 2 else "red"} for j in range(10)],
        [{"answer": "unheard of"} for _ in range(10)],
    ]
    notes = [
        {
            "question_id": 9000 + i,
            "image_id": 9,
            "answers": each,
            "multiple_choice_answer": each[-1]["answer"],
            "answer_type": "yes/no" if i == 0 else "other",
        }
        for i, each in enumerate(answers)
    ]
    return (
        json_file(folder / "q.json", {"questions": asked, "data_subtype": "val2014"}),
        json_file(folder / "a.json", {"annotations": notes, "data_subtype": "val2014"}),
    )


def test_vqav2(tmp_path: Path) -> None:
    questions, annotations = vqa_files(tmp_path)
    folder = pictures(tmp_path / "coco", ["val2014/COCO_val2014_000000000009.jpg"])
    names = json_file(tmp_path / "ans2label.json", {"yes": 0, "no": 1, "red": 2})
    source = VqaV2(questions, folder, annotations, answers=names, missing="skip")
    assert len(source) == 3
    assert source[0].id == "9000"
    assert Path(source[0].fields["image"]).is_file()
    assert source[0].labels == {"answers": {"yes": 1.0}, "group": "yes/no"}
    assert source[1].labels["answers"] == {"no": 0.6, "red": 1.0}
    assert source[2].labels["answers"] == {}
    assert source.published.rows == (214_354,)
    counted = VqaV2(questions, folder, annotations, min_count=1)
    assert counted.classes == ("red", "unheard of", "yes")
    assert VqaV2(questions, folder, annotations).classes == ()  # nothing occurs nine times


def test_vqav2_without_answers(tmp_path: Path) -> None:
    content = {
        "questions": [{"image_id": 1, "question": "?", "question_id": 1}],
        "data_subtype": "test-dev2015",
    }
    source = VqaV2(json_file(tmp_path / "q.json", content), "/coco", answers=["yes"])
    assert source[0].fields["image"] == "/coco/test2015/COCO_test2015_000000000001.jpg"
    assert source[0].labels == {}
    assert list(source.labels()) == [{}]


def test_a_question_without_annotation_is_refused(tmp_path: Path) -> None:
    questions, annotations = vqa_files(tmp_path, questions=4)
    with pytest.raises(ValueError, match=r"q\.json: entry 3: question 9003 has no annotation in .*a\.json"):
        VqaV2(questions, "/coco", annotations)
    with pytest.raises(ValueError, match=r"no 'data_subtype'"):
        VqaV2(json_file(tmp_path / "q.json", json.loads('{"questions": []}')), "/coco")
