"""ESC-50, FSD50K and VGGSound."""

from pathlib import Path

import pytest

from onepeace_pl.data.datasets import Esc50, Fsd50k, VggSound
from onepeace_pl.modalities import AudioProcessor
from tests.unit.data.datasets.making import json_file, text_file

HEADER = "filename,fold,target,category,esc10,src_file,take"


def test_esc10(shared: Path) -> None:
    folder = shared / "data/esc10"
    source = Esc50(str(folder / "esc10.csv"), str(folder / "audio"))
    assert len(source) == 320
    assert source.classes[0] == "dog"
    assert source[0].labels == {"class": "dog"}
    assert AudioProcessor()(source[0].fields["audio"]).length == 249
    part = Esc50(str(folder / "esc10.csv"), str(folder / "audio"), folds=[4])
    assert len(part) == 80
    assert part.published.rows == (80,)
    assert part.classes == source.classes
    with pytest.raises(ValueError, match=r"no rows of fold 5; it has 1, 2, 3, 4"):
        Esc50(str(folder / "esc10.csv"), str(folder / "audio"), folds=[1, 5])


def test_esc50(tmp_path: Path) -> None:
    path = text_file(
        tmp_path / "esc50.csv", HEADER, "1-1-A-1.wav,1,1,rooster,False,1,A", "b.wav,2,0,crying_baby,,,"
    )
    source = Esc50(path, "/audio")
    assert source.classes == ("crying baby", "rooster")
    assert source[0].id == "1-1-A-1"
    assert source[1].labels == {"class": "crying baby"}
    clash = text_file(tmp_path / "esc50.csv", HEADER, "a,1,0,dog,,,", "b,1,0,cat,,,")
    with pytest.raises(ValueError, match=r"esc50\.csv:3: target 0 is 'cat' here and 'dog' above"):
        Esc50(clash, "/audio")
    with pytest.raises(ValueError, match=r"esc50\.csv:2: target 'x' is no number"):
        Esc50(text_file(tmp_path / "esc50.csv", HEADER, "a,1,x,dog,,,"), "/audio")
    with pytest.raises(ValueError, match="targets are not 0 to 0"):
        Esc50(text_file(tmp_path / "esc50.csv", HEADER, "a,1,3,dog,,,"), "/audio")


@pytest.fixture
def ground_truth(tmp_path: Path) -> Path:
    folder = tmp_path / "FSD50K.ground_truth"
    text_file(folder / "vocabulary.csv", "0,Accordion,/m/0", "1,Bark,/m/1", "2,Dog,/m/2")
    text_file(
        folder / "dev.csv",
        "fname,labels,mids,split",
        '1,"Bark,Dog","/m/1,/m/2",train',
        "2,Accordion,/m/0,val",
    )
    text_file(folder / "eval.csv", "fname,labels,mids", "3,Dog,/m/2")
    return folder


def test_fsd50k(ground_truth: Path) -> None:
    source = Fsd50k(str(ground_truth), "/dev")
    assert [source[i].labels for i in range(len(source))] == [{"classes": ("Bark", "Dog")}]
    assert source[0].fields == {"audio": "/dev/1.wav"}
    assert source.classes == ("Accordion", "Bark", "Dog")
    assert len(Fsd50k(str(ground_truth), "/dev", "dev")) == 2
    evaluation = Fsd50k(str(ground_truth), "/eval", "eval")
    assert evaluation[0].id == "3"
    assert evaluation.published.rows == (10_231,)


def test_a_class_beyond_the_vocabulary_is_refused(ground_truth: Path) -> None:
    text_file(ground_truth / "eval.csv", "fname,labels,mids", '3,"Dog,Barks",/m/2')
    with pytest.raises(
        ValueError, match=r"eval\.csv:2: class 'Barks' is none of the 3; did you mean 'Bark'\?"
    ):
        Fsd50k(str(ground_truth), "/eval", "eval")


def test_vggsounds_test(shared: Path) -> None:
    folder = shared / "data/vggsound"
    source = VggSound(str(folder / "test.csv"), "/audio", str(folder / "stat.csv"))
    assert len(source) == 201
    assert len(source.classes) == 309
    assert source[0].id == "glLQrEijrKg_000300"
    assert source[0].fields == {"audio": "/audio/glLQrEijrKg_000300.wav"}
    assert source[0].labels == {"class": "playing hammond organ"}
    assert source.published.rows == (15_446,)
    cut = VggSound(str(folder / "test.csv"), "/audio", str(folder / "onepeace_vggsound_id2label.json"))
    long = [i for i in range(len(source)) if "," in source[i].labels["class"]]
    assert long
    for i in range(len(source)):  # the same numbers, whichever names
        assert cut.classes.index(cut[i].labels["class"]) == source.classes.index(source[i].labels["class"])
    assert cut[long[0]].labels["class"] == source[long[0]].labels["class"].partition(",")[0]


def test_vggsound_as_a_whole(tmp_path: Path) -> None:
    names = text_file(tmp_path / "stat.csv", '"bee, wasp, etc. buzzing",10,animals', "rain,9,nature")
    rows = ['abc_-1,30,"bee, wasp, etc. buzzing",train', "xyz,0,rain,test"]
    path = text_file(tmp_path / "vggsound.csv", *rows)
    source = VggSound(path, "/audio", names, split="train")
    assert len(source) == 1
    assert source[0].fields == {"audio": "/audio/abc_-1_000030.wav"}
    assert source[0].labels == {"class": "bee, wasp, etc. buzzing"}
    other = VggSound(
        path,
        "/audio",
        json_file(tmp_path / "n.json", {"0": "bee", "1": "rain"}),
        pattern="{ytid}_{start}.m4a",
    )
    assert [row["class"] for row in other.labels()] == ["bee", "rain"]
    assert other.files(0) == ["/audio/abc_-1_30.m4a"]
    with pytest.raises(ValueError, match=r"v\.csv:1: class 'rian' is none of the .*; did you mean 'rain'\?"):
        VggSound(text_file(tmp_path / "v.csv", "xyz,0,rian,test"), "/audio", names)
    with pytest.raises(ValueError, match=r"v\.csv:1: start 'x' is no number"):
        VggSound(text_file(tmp_path / "v.csv", "xyz,x,rain,test"), "/audio", names)
