"""What is in a source, and what is wrong with it."""

from pathlib import Path

import numpy as np
from PIL import Image

from onepeace_pl.data.datasets import ClassFolder, Clotho, Esc50, MaskFolder, VqaTsv
from onepeace_pl.data.inspection import inspect
from onepeace_pl.data.sources import FolderSource, JoinedSource, ManifestSource
from onepeace_pl.modalities import AnySizeProcessor, AudioProcessor, ImageProcessor
from onepeace_pl.triworld import TriWorldSource
from tests.unit.data.datasets.making import pictures, sounds, text_file


def test_a_good_folder(tmp_path: Path) -> None:
    pictures(tmp_path, ["a/1.png", "a/2.png", "b/1.png"])
    report = inspect(ClassFolder(str(tmp_path)), processors={"image": ImageProcessor(size=32)})
    assert report.is_right
    assert (report.rows, report.ids, report.files, report.opened) == (3, 3, 3, 3)
    assert report.classes == {"a": 2, "b": 1}
    assert not report.notes


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    header = "filename,fold,target,category"
    rows = [f"{i}.wav,1,{i % 2},{'dog' if i % 2 else 'cat'}" for i in range(6)]
    path = text_file(tmp_path / "esc50.csv", header, *rows)
    folder = sounds(tmp_path / "audio", [f"{i}.wav" for i in range(5)])
    (tmp_path / "audio/2.wav").write_bytes(b"no sound")
    sounds(tmp_path / "audio", ["3.wav"], rate=8000)
    report = inspect(Esc50(path, folder), processors={"audio": AudioProcessor()})
    assert report.missing == [f"{folder}/5.wav"]
    assert report.opened == 5
    assert [line.partition(":")[0] for line in report.wrong] == ["row 2 (id 2)", "row 3 (id 3)"]
    assert "unreadable audio" in report.wrong[0]
    assert "8000 Hz instead of 16000" in report.wrong[1]
    assert not report.is_right
    few = inspect(Esc50(path, folder), processors={"audio": AudioProcessor()}, media=2)
    assert (few.opened, few.wrong) == (1, [])  # the first; the last is missing


def test_masks_lie_on_their_pictures(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", ["a.jpg", "b.jpg", "c.jpg"])
    (tmp_path / "masks").mkdir()
    for name, shape, number in (("a", (30, 40), 1), ("b", (32, 32), 0), ("c", (30, 40), 7)):
        Image.fromarray(np.full(shape, number, np.uint8)).save(tmp_path / f"masks/{name}.png")
    rows = MaskFolder(images, str(tmp_path / "masks"), classes=["sky", "road"])
    report = inspect(rows, processors={"image": AnySizeProcessor()})
    assert [line.partition(":")[0] for line in report.wrong] == ["row 1 (id b)", "row 2 (id c)"]
    assert "the mask has 32 x 32 pixels and its image 40 x 30" in report.wrong[0]
    assert "number 7" in report.wrong[1]


def test_classes_that_are_not_the_models(tmp_path: Path) -> None:
    pictures(tmp_path, ["a/1.png", "b/1.png"])
    source = ClassFolder(str(tmp_path))
    assert inspect(source, ("a", "b")).is_right
    report = inspect(source, ("b", "a"))
    assert "classes: its 2 are not the 2 that the model learns" in report.wrong[0]


def test_labels_of_no_use_and_classes_without_rows(tmp_path: Path) -> None:
    path = text_file(
        tmp_path / "a.tsv", "uniq_id\timage\tquestion\trefs", "1\ta\tb\tyes|!+0|!+1", "2\ta\tb\tyes|!+0|!+7"
    )
    report = inspect(VqaTsv(path, ["yes", "no"], root="/gone"))
    assert report.classes == {"yes": 1, "no": 0}
    assert "row 1: " in report.wrong[0]
    assert "confidence 7.0" in report.wrong[0]
    assert report.missing == ["/gone/a"]


def test_answers_that_no_vocabulary_has(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "text,a", "?,yes", "?,never")
    source = ManifestSource(path, labels={"answers": "a"}, classes=["yes"])
    report = inspect(source)
    assert report.notes == ["1 rows have no answer that the vocabulary has: none can be right"]
    assert report.files == 0


def test_another_number_of_rows_than_published_is_worth_a_note(tmp_path: Path) -> None:
    columns = "file_name," + ",".join(f"caption_{i}" for i in range(1, 6))
    path = text_file(tmp_path / "clotho_captions_evaluation.csv", columns, "x.wav,a,b,c,d,e")
    report = inspect(Clotho(path, sounds(tmp_path, ["x.wav"])))
    assert report.notes[0] == "5 rows, published are 5,225: another version, or a part"
    assert report.is_right


def test_empty_texts(tmp_path: Path) -> None:
    report = inspect(ManifestSource(text_file(tmp_path / "a.csv", "text,k", "a,1", '" ",1')))
    assert report.wrong == ["row 1 (id 1): empty text; give it words or leave the row out"]


def test_folder_joined_and_generated_sources(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    for name in "ab":
        text_file(tmp_path / f"{name}.txt", "one", "two")
    folder = FolderSource(str(tmp_path))
    report = inspect(folder, processors={"image": ImageProcessor(size=32)})
    assert (report.rows, report.ids, report.files, report.opened) == (4, 2, 2, 4)
    joined = inspect(JoinedSource([folder, folder]))
    assert (joined.rows, joined.ids) == (8, 4)
    world = inspect(
        TriWorldSource(size=4, modalities=("image", "audio", "text"), caption="audiovisual"), media=2
    )
    assert world.is_right
    assert world.files is None
