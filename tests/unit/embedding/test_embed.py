"""embed SOURCES --to FOLDER: vectors of many items, whatever happens on the way."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.cli import main
from onepeace_pl.cli import main as cli
from onepeace_pl.utils.claim import Claim
from tests.unit.hub.conftest import TEXTS, make_model

from .conftest import content, embed, relative, rows, start, vectors

pytest.importorskip("pyarrow", reason="needs the extra `search`")

PICTURES = [f"files/{i}.png" for i in range(6)]
SOUNDS = [f"files/{i}.wav" for i in range(6)]


def errors(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_folder_of_all_modalities(model, capsys):
    assert embed("files", "--to", "out") == 0
    printed = capsys.readouterr().out
    assert "16 items in " in printed
    assert "16 embedded, 0 there already, 0 skipped" in printed
    assert "out: 16 vectors of 32 values in 2 parts" in printed
    names = sorted(PICTURES + SOUNDS)
    kinds = {".png": "image", ".wav": "audio"}
    texts = [(f"files/texts.txt:{i}", "text") for i in range(1, 5)]
    assert relative("out") == [(name, kinds[name[-4:]]) for name in names] + texts
    expected = torch.stack(
        [model.encode(**{kinds[name[-4:]]: [name]})[0] for name in names] + list(model.encode(text=TEXTS))
    )
    torch.testing.assert_close(vectors("out"), expected, atol=1e-6, rtol=0)
    assert [row["text"] for row in rows("out")][-4:] == TEXTS
    assert rows("out")[0]["path"] == os.path.abspath("files/0.png")


def test_again_nothing_is_embedded_and_new_items_are(model, capsys):
    embed("files", "--to", "out")
    before = content("out")
    capsys.readouterr()
    embed("files", "--to", "out", "--num-workers", "0")
    assert "0 embedded, 16 there already" in capsys.readouterr().out
    assert content("out") == before
    embed("files", "files/1.png", "--to", "out")  # the last part was full
    assert "1 embedded, 16 there already" in capsys.readouterr().out
    embed("files", "files/1.png", "files/2.png", "--to", "out")  # it was not
    assert "2 embedded, 16 there already" in capsys.readouterr().out
    embed("files", "files/1.png", "files/2.png", "--to", "whole")
    assert content("out") == content("whole")


def test_rows_of_tables(model):
    lines = [{"id": f"r{i}", "image": PICTURES[i], "text": TEXTS[i], "n": i} for i in range(4)]
    Path("t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    embed("t.jsonl", "--to", "each")
    where = f"{Path.cwd()}/t.jsonl"
    assert relative("each", ("id", "row"))[:2] == [(PICTURES[0], "r0"), ("t.jsonl#r0", "r0")]
    for fuse in ("sum", "joint"):
        embed("t.jsonl", "--to", fuse, "--fuse", fuse)
        found = rows(fuse)
        assert [(row["id"], row["modality"]) for row in found] == [
            (f"{where}#r{i}", "image+text") for i in range(4)
        ]
        expected = model.encode(image=PICTURES[:4], text=TEXTS, fuse=fuse)
        torch.testing.assert_close(vectors(fuse), expected, atol=1e-6, rtol=0)
    embed("t.jsonl", "--to", "words", "--modality", "text", "--truncate-dim", "16")
    torch.testing.assert_close(vectors("words"), model.encode(text=TEXTS, truncate_dim=16), atol=1e-6, rtol=0)


def test_parquet_and_its_encoded_images(model):
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = [Path(name).read_bytes() for name in PICTURES]
    columns = {
        "picture": [{"bytes": data, "path": "x.png"} for data in encoded[:3]]
        + [{"bytes": None, "path": "files/3.png"}],
        "caption": TEXTS,
        "other": list(range(4)),
    }
    pq.write_table(pa.table(columns), "t.parquet")
    columns = ("--columns", "image=picture", "text=caption")
    embed("t.parquet", "--to", "out", "--fuse", "sum", *columns)
    torch.testing.assert_close(
        vectors("out"), model.encode(image=PICTURES[:4], text=TEXTS, fuse="sum"), atol=1e-6, rtol=0
    )
    assert relative("out", ("id", "path"))[3] == ("t.parquet#3", "files/3.png")


def test_standard_input(model, monkeypatch, capsys):
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    give(b"files/1.png\na dog barks in the snow\n\nfiles/2.WAV\nfiles/2.wav\n")
    assert embed("-", "--to", "out", "--on-error", "skip") == 0
    assert relative("out") == [("files/1.png", "image"), ("-:2", "text"), ("files/2.wav", "audio")]
    assert "1 skipped" in capsys.readouterr().out
    give(b"a.png\na \xff dog\nrain\n")
    assert embed("-", "--to", "texts", "--modality", "text", "--on-error", "skip") == 0
    assert relative("texts", ("id", "text")) == [("-:1", "a.png"), ("-:3", "rain")]
    assert "skipped -:2: not UTF-8" in capsys.readouterr().out
    give(b"\n")
    assert embed("-", "--to", "none") == 2
    assert "standard input is empty" in errors(capsys)


def test_bad_items_are_counted_and_listed(model, capsys):
    Path("files/2.png").write_bytes(b"no image")
    Path("files/3.wav").write_bytes(b"")
    Path("files/texts.txt").write_bytes(b"one\ntw\xffo\nthree\n")
    os.mkfifo("files/pipe.png")
    assert embed("files", "--to", "strict") == 2
    assert "2.png: unreadable image" in errors(capsys)
    assert embed("files", "--to", "out", "--on-error", "skip") == 0
    printed = capsys.readouterr().out
    assert "4 skipped" in printed
    listed = [json.loads(line) for line in Path("out/_failed.jsonl").read_text().splitlines()]
    assert [os.path.relpath(each["id"]) for each in listed] == [
        "files/2.png",
        "files/3.wav",
        "files/pipe.png",
        "files/texts.txt:2",
    ]
    assert all(each["id"] in each["reason"] for each in listed)
    assert "texts.txt:2: not UTF-8" in printed
    assert len(rows("out")) == 12
    Image.new("RGB", (40, 40), "red").save("files/2.png")
    embed("files", "--to", "out", "--on-error", "skip")
    assert "0 embedded, 12 there already, 4 skipped" in capsys.readouterr().out
    embed("files", "--to", "out", "--on-error", "skip", "--retry-failed")
    assert "3 skipped" in capsys.readouterr().out
    assert "files/2.png" in {name for name, _ in relative("out")}
    embed("files", "--to", "anew", "--on-error", "skip")
    assert content("out") == content("anew")


def test_broken_rows(model, capsys):
    Path("t.csv").write_bytes(b'image,text\nfiles/0.png,one\nfiles/1.png\nfiles/2.png,\xff\n"files/3.png,x\n')
    Path("t.jsonl").write_text(
        '{"text": "one"}\nno json\n{"text": 5}\n{"text": null}\n[1]\n{"text": ["a"]}\n'
    )
    Path("t.tsv").write_bytes(b"image\ttext\nfiles/0.png\ta\tb\nfiles/0.png\n,\xff\n")
    Path("t.txt").write_bytes(b"")
    assert embed("t.csv", "t.jsonl", "t.tsv", "--to", "out", "--on-error", "skip") == 0
    reasons = [json.loads(line)["reason"] for line in Path("out/_failed.jsonl").read_text().splitlines()]
    assert [reason.removeprefix(f"{Path.cwd()}/") for reason in reasons] == [
        "t.csv:3: 1 columns instead of 2",
        "t.csv:4: not UTF-8",
        "t.csv:5: not valid CSV (unexpected end of data)",
        "t.jsonl:2: not JSON (Expecting value: line 1 column 1 (char 0))",
        "t.jsonl#3: no text",
        "t.jsonl:5: a list, not an object",
        "t.jsonl#5: text is a list, not a text",
        "t.tsv:3: 1 columns instead of 2",
        "t.tsv:4: 1 columns instead of 2",
    ]
    assert [row["text"] for row in rows("out")] == ["one", "one", "one", "5", "a\tb", "a\tb"]
    assert embed("t.csv", "--to", "strict") == 2
    assert "t.csv:3: 1 columns instead of 2" in errors(capsys)


def test_names_that_are_no_utf8(model):
    name = os.fsdecode(b"files/\xff.png")
    Image.new("RGB", (40, 40), "red").save(name)
    embed(name, "--to", "out")
    assert relative("out", ("id", "path")) == [(r"files/\xff.png", r"files/\xff.png")]


def test_what_is_refused(model, capsys):
    Path("empty").mkdir()
    Path("empty.csv").write_text("image,text\n")
    Path("other").mkdir()
    Path("other/x").touch()
    Path("words.txt").write_text("\n")
    Path("half.parquet").write_bytes(b"PAR1")
    for words, message in (
        (["files"], "--to is missing"),
        (["files", "--to", "v.npz"], "name a folder"),
        (["files", "--text", "a", "--to", "out"], "not both"),
        ([], "nothing to embed"),
        (["none", "--to", "out"], "none: no such file or folder"),
        (["empty", "--to", "out"], "empty: nothing to embed; files that end in"),
        (["empty.csv", "--to", "out"], "empty.csv: no rows"),
        (["words.txt", "--to", "out"], "the sources are empty"),
        (["half.parquet", "--to", "out"], "half.parquet: damaged Parquet file"),
        (["files", "--to", "other"], "other has other files"),
        (["files", "--to", "m/config.json"], "is a file"),
        (["files", "--to", "out", "--modality", "smell"], "no modality 'smell'"),
        (["files", "--to", "out", "--modality", "image+text"], "a file is of one modality"),
        (["files", "--to", "out", "--num-workers", "-1"], "num_workers=-1"),
        (["files", "--to", "new", "--part-size", "0"], "part_size=0"),
        (["files", "--to", "out", "--calibrate"], "has no calibration"),
        (["files", "--to", "out", "--truncate-dim", "99"], "truncate_dim=99"),
    ):
        small = [] if "--part-size" in words else ["--part-size", "8"]
        assert cli(["embed", "m", *words, "--device", "cpu", *small]) == 2, words
        assert message in errors(capsys)


def test_another_model_or_other_items(model, capsys):
    embed("files", "--to", "out")
    other = make_model()
    with torch.no_grad():
        next(other.backbone.encoder.parameters()).mul_(2)
    other.save_pretrained("other")
    before = content("out")
    capsys.readouterr()
    for words, message in (
        (["other", "files", "--to", "out"], "out holds vectors of another model (weights or preprocessing"),
        (["m", "files", "--to", "out", "--truncate-dim", "16"], "vectors of 16 values, not 32"),
        (["m", "files", "--to", "out", "--part-size", "9"], "begun with part_size=8, not 9"),
        (["m", "files", "--to", "out", "--long-audio", "mean"], "begun with long_audio=cut, not mean"),
        (["m", *PICTURES, "--to", "out"], "holds other items than the sources have now"),
        (["m", *sorted(PICTURES + SOUNDS)[:8], "--to", "out"], "has 2 parts and the sources fill 1"),
    ):
        assert cli(["embed", *words, "--device", "cpu"]) == 2, words
        assert message in errors(capsys)
    assert content("out") == before
    with Claim(Path("out/.claim")):
        assert embed("files", "--to", "out") == 2
    assert "is being written to by" in errors(capsys)


@pytest.mark.parametrize("kept", [0, 4, 300])
def test_a_damaged_part_is_made_again(model, kept):
    embed("files", "--to", "out")
    before = content("out")
    part = Path("out/part-000001.parquet")
    part.write_bytes(part.read_bytes()[:kept])
    Path("out/.new-1-part-000002.parquet").write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"part-000001\.parquet: damaged .*; it is made again"):
        assert embed("files", "--to", "out") == 0
    assert content("out") == before


def test_a_full_disk(model, capsys):
    Path("t.txt").write_text("".join(f"a dog barks {i} times\n" for i in range(64)))
    embed("t.txt", "--to", "whole")
    sizes = [len(data) for name, data in content("whole").items() if name.startswith("part-")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(sizes) - 100, before[1]))
    try:
        assert embed("t.txt", "--to", "out") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "part-000000.parquet; the file system, or a limit of yours, allows no file" in errors(capsys)
    assert not list(Path("out").glob(".new-*"))
    assert embed("t.txt", "--to", "out") == 0
    assert content("out") == content("whole")


def interrupted(words: list[str], kills: int, longest: float, seed: int = 0) -> int:
    """Run the command, kill it at random times, and let it end; return the number of kills that hit it running."""
    draw, hits = random.Random(seed), 0
    for _ in range(kills):
        process = start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(draw.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            hits += process.wait() == -signal.SIGKILL
    assert start(*words, stdout=subprocess.DEVNULL).wait() == 0
    return hits


def killed_in_the_middle(words: list[str], folder: str, parts: int) -> None:
    """Kill the command once it has written some parts."""
    process = start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(Path(folder).glob("part-*.parquet"))) < parts:
        assert process.poll() is None, "it ended too early"
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_killed_and_resumed(model):
    Path("t.txt").write_text("".join(f"a dog barks {i} times in the snow\n" for i in range(600)))
    words = ["t.txt", "--part-size", "30", "--to"]
    assert main(["embed", "m", *words, "whole", "--device", "cpu"]) == 0
    killed_in_the_middle([*words, "out"], "out", 3)
    there = len(list(Path("out").glob("part-*.parquet")))
    assert 3 <= there < 20
    assert main(["embed", "m", *words, "out", "--device", "cpu"]) == 0
    assert content("out") == content("whole")


@pytest.mark.slow
def test_twenty_kills(model):
    """20,000 items of all modalities: python -m pytest -n 0 -m slow tests/unit/embedding -k twenty_kills."""
    Path("t.txt").write_text("".join(f"a dog barks {i} times in the snow\n" for i in range(18000)))
    rng = np.random.default_rng(0)
    Path("pictures").mkdir()
    for i in range(2000):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(f"pictures/{i}.png")
    words = ["pictures", "t.txt", "--part-size", "250", "--to"]
    began = time.monotonic()
    assert start(*words, "whole", stdout=subprocess.DEVNULL).wait() == 0
    hits = interrupted([*words, "out"], 20, (time.monotonic() - began) / 4)
    print(f"{hits} of 20 kills hit it running")
    assert hits >= 10
    assert content("out") == content("whole")
    assert len(rows("out")) == 20000


def memory(process: subprocess.Popen[bytes]) -> int:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory in /proc")
def test_flat_memory(model):
    """50,000 items: python -m pytest -n 0 -s -m slow tests/unit/embedding -k flat_memory."""
    Path("t.txt").write_text("".join(f"a dog barks {i} times in the snow\n" for i in range(50000)))
    process = start("t.txt", "--to", "out", stdout=subprocess.DEVNULL)
    seen: dict[int, int] = {}
    while process.poll() is None:
        parts = len(list(Path("out").glob("part-*.parquet")))
        if parts and parts not in seen:
            seen[parts] = memory(process)
        time.sleep(0.05)
    assert process.returncode == 0
    print("items, MiB:", {parts * 1024: size for parts, size in seen.items() if parts % 6 == 1})
    early = max(size for parts, size in seen.items() if parts <= 8)
    late = max(size for parts, size in seen.items() if parts > 40)
    assert late <= early + 16
    assert len(rows("out")) == 50000


def test_vectors_of_a_chunk_depend_on_it_alone(model: OnePeace):
    items = [{"image": name} for name in PICTURES] + [{"text": text} for text in TEXTS]
    (whole,) = model.encode_chunks([items], batch_size=4)
    (_, second) = model.encode_chunks([items[:3], items], batch_size=4, num_workers=2)
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))
    torch.testing.assert_close(torch.stack(whole[:6]), model.encode(image=PICTURES), atol=1e-6, rtol=0)
    ((bad, unknown, good),) = model.encode_chunks([[{"image": "none.png"}, {"smell": "x"}, {"text": "a"}]])
    assert "no such image" in str(bad)
    assert "no modality 'smell'" in str(unknown)
    assert isinstance(good, torch.Tensor)
