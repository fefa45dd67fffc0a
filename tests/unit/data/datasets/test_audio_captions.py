import warnings
from pathlib import Path

import pytest

from onepeace_pl.data.datasets import AudioCaps, Clotho
from onepeace_pl.data.sources import JoinedSource
from onepeace_pl.modalities import AudioProcessor
from tests.unit.data.datasets.making import text_file


def test_audiocaps(shared: Path) -> None:
    folder = shared / "data/audiocaps"
    source = AudioCaps(str(folder / "val.csv"), "/sounds")
    assert len(source) == 200
    row = source[0]
    assert row.id == "vfY_TJq7n_U_130"
    assert row.fields["audio"] == "/sounds/vfY_TJq7n_U_130.wav"
    assert row.fields["text"].startswith("Rustling occurs, ducks quack")
    assert len(set(source.ids())) == 170
    assert source.one_per_id() == ("audio",)
    assert source.published.rows == (2475,)
    named = AudioCaps(str(folder / "val.csv"), "/sounds", pattern="Y{youtube_id}.flac")
    assert named.files(0) == ["/sounds/YvfY_TJq7n_U.flac"]
    with pytest.raises(
        ValueError, match=r"pattern '\{ytid\}\.wav' cannot be filled .* may name \{audiocap_id\}"
    ):
        AudioCaps(str(folder / "val.csv"), "/sounds", pattern="{ytid}.wav")


def test_clotho(shared: Path) -> None:
    folder = shared / "data/clotho"
    source = Clotho(str(folder / "clotho_captions_development.csv"), "/sounds")
    assert len(source) == 2893 * 5
    assert source.published.ids == (2893, 3839)
    assert source[5].fields["audio"] == "/sounds/Paper_Parchment_Rustling.wav"
    with pytest.warns(UserWarning, match="5220 of 5225 rows lack a file"):
        there = Clotho(
            str(folder / "clotho_captions_evaluation.csv"), str(folder / "audio"), "{stem}.flac", "skip"
        )
    assert len(there) == 5
    assert AudioProcessor(max_seconds=20)(there[0].fields["audio"]).length > 100


def test_both_joined(tmp_path: Path) -> None:
    header = "audiocap_id,youtube_id,start_time,caption"
    caps = AudioCaps(text_file(tmp_path / "train.csv", header, "1,x,30,a dog"), "/caps")
    columns = "file_name," + ",".join(f"caption_{i}" for i in range(1, 6))
    clotho = Clotho(text_file(tmp_path / "clotho_captions_development.csv", columns, "x.wav,a,b,c,d,e"), "/c")
    joined = JoinedSource([caps, clotho])
    assert len(joined) == 6
    assert [joined[i].id for i in (0, 1, 5)] == ["0/x_30", "1/x", "1/x"]
    assert list(joined.ids()) == [joined[i].id for i in range(6)]
    assert list(joined.texts()) == ["a dog", "a", "b", "c", "d", "e"]
    assert joined.files(5) == ["/c/x.wav"]
    assert joined.one_per_id() == ("audio",)
    assert len(list(joined.labels())) == 6
    with pytest.raises(IndexError):
        joined[6]
    with pytest.raises(ValueError, match="nothing to join"):
        JoinedSource([])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file_name,caption_1", "a.wav,b"], r"no column 'caption_2'; did you mean 'caption_1'\?"),
        (
            ["file_name,caption_1,caption_2,caption_3,caption_4,caption_5", "a.wav,b,c"],
            r"c\.csv:2: 3 columns",
        ),
        (
            ["file_name,caption_1,caption_2,caption_3,caption_4,caption_5", "a.wav,b,,c,d,e"],
            r"caption_2 is empty",
        ),
        (["file_name,caption_1,caption_2,caption_3,caption_4,caption_5"], r"c\.csv: no rows"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        Clotho(text_file(tmp_path / "c.csv", *lines), "/x")
