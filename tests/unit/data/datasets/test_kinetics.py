import pickle
from pathlib import Path

import numpy as np
import pytest

from onepeace_pl.data.datasets import Kinetics
from onepeace_pl.data.source import Frames
from tests.unit.data.datasets.making import pictures, text_file

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
FRAMES = "{youtube_id}_{time_start:06d}_{time_end:06d}"


@pytest.fixture
def table(tmp_path: Path) -> str:
    pictures(tmp_path / "a_000010_000020", [f"img_{i:05d}.jpg" for i in range(20)])
    pictures(tmp_path / "b_000000_000010", [f"img_{i:05d}.jpg" for i in range(3)])
    return text_file(tmp_path / "val.csv", HEADER, "surfing,a,10,20,val,0", '"air drumming",b,0,10,val,0')


def numbers(clip: Frames) -> list[int]:
    return [int(Path(path).stem[-5:]) for path in clip]


def test_frames_in_folders(tmp_path: Path, table: str) -> None:
    source = Kinetics(table, str(tmp_path), frames=4, stride=2, pattern=FRAMES)
    assert source.classes == ("air drumming", "surfing")
    row = source[0]
    assert row.id == "a_000010_000020"
    assert row.labels == {"class": "surfing"}
    assert isinstance(row.fields["image"], Frames)
    assert numbers(row.fields["image"]) == [6, 8, 10, 12]  # the middle of twenty
    assert numbers(source[1].fields["image"]) == [0, 2, 2, 2]  # too short: the last stays
    assert source.files(0) == [str(tmp_path / "a_000010_000020")]
    assert pickle.loads(pickle.dumps(source))[0] == row


def test_several_clips_of_a_video(tmp_path: Path, table: str) -> None:
    source = Kinetics(table, str(tmp_path), frames=4, stride=2, clips=3, pattern=FRAMES)
    assert len(source) == 6
    assert [numbers(source[i].fields["image"])[0] for i in range(3)] == [0, 6, 13]
    assert len({source[i].id for i in range(3)}) == 1
    assert [row["class"] for row in source.labels()] == ["surfing"] * 3 + ["air drumming"] * 3


def test_clips_of_training_start_anew_each_epoch(tmp_path: Path, table: str) -> None:
    source = Kinetics(table, str(tmp_path), frames=4, stride=2, pattern=FRAMES)
    starts = [numbers(source.training_row(0, epoch).fields["image"])[0] for epoch in range(40)]
    assert set(starts) == set(range(14))
    assert source.training_row(0, 3) == source.training_row(0, 3)


def test_what_is_missing(tmp_path: Path, table: str) -> None:
    with pytest.raises(ValueError, match="a_000010_000020: no such folder of frames"):
        Kinetics(table, str(tmp_path / "gone"), pattern=FRAMES)[0]
    with pytest.raises(ValueError, match=r"a_000010_000020\.mp4: no such video"):
        Kinetics(table, str(tmp_path))[0]
    (tmp_path / "a_000010_000020.mp4").write_bytes(b"no video")
    with pytest.warns(UserWarning, match="1 of 2 rows lack a file"):
        source = Kinetics(table, str(tmp_path), missing="skip")
    assert list(source.ids()) == ["a_000010_000020"]
    with pytest.raises(
        (ValueError, ImportError), match=r"mp4: unreadable video|av is not installed; pip install 'av>=18'"
    ):
        source[0]
    with pytest.raises(ValueError, match=r"val\.csv:2: class 'surfing' is none of the 1"):
        Kinetics(table, str(tmp_path), classes=["air drumming"])
    bad = text_file(tmp_path / "bad.csv", HEADER, "surfing,a,ten,20,val,0")
    with pytest.raises(ValueError, match=r"bad\.csv:2: time_start 'ten' is no whole number"):
        Kinetics(bad, str(tmp_path))
    with pytest.raises(ValueError, match="stride=0 must be at least 1"):
        Kinetics(table, str(tmp_path), stride=0)


def test_videos(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs the extra `video`")
    path = tmp_path / "a_000010_000020.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            picture = np.full((48, 64, 3), number * 10, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    table = text_file(tmp_path / "val.csv", HEADER, "surfing,a,10,20,val,0")
    (frames,) = Kinetics(table, str(tmp_path), frames=4, stride=2)[0].fields.values()
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    assert [round(float(frame.mean()) / 10) for frame in frames] == [6, 8, 10, 12]
    (frames,) = Kinetics(table, str(tmp_path), frames=3, stride=12)[0].fields.values()
    assert [round(float(frame.mean()) / 10) for frame in frames] == [0, 12, 19]
