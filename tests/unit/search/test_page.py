"""The page of results: whole, self-contained, escaped."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl.errors import UserError
from onepeace_pl.search.item import Hit, Query
from onepeace_pl.search.results import write_results
from tests.unit.browser import audio_seconds, broken_images, browser_page

pytest.importorskip("jinja2", reason="needs the extra `search`")


class Page(HTMLParser):
    """Sources and links of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).extend(value or "" for name, value in attrs if name in ("src", "href"))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def hits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Hit]:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (1000, 500), "red").save("red.png")
    soundfile.write("long.flac", np.zeros((30 * 8000, 2)), 8000)
    return [
        Hit("red", "image", 0.98765, "red.png", "a caption", {"year": 1999}),
        Hit("long", "audio", 0.5, "long.flac", "", {}),
        Hit("t", "text", 0.25, "", "<script>alert(1)</script> & more", {"kind": "a|b"}),
        Hit("gone", "image", 0.125, "gone.png", "", {}),
        Hit("m", "motion", 0.1, "walk.npy", "", {}),
    ]


def test_page(hits):
    write_results(
        Path("out/page.html"), Query({"text": "<b>a dog</b>", "image": "red.png"}, "dog", "a < 1"), hits
    )
    text = Path("out/page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.found
    assert "link" not in page.found
    assert "a" not in page.found
    query, first = page.found["img"]
    assert query == first
    thumbnail = Image.open(io.BytesIO(base64.b64decode(first.removeprefix("data:image/jpeg;base64,"))))
    assert thumbnail.size == (320, 160)
    (sound,) = page.found["audio"]
    wave, rate = soundfile.read(io.BytesIO(base64.b64decode(sound.removeprefix("data:audio/wav;base64,"))))
    assert (wave.shape, rate) == ((20 * 8000,), 8000)
    for said in (
        "<script>alert(1)</script> & more",
        "<b>a dog</b>",
        "a < 1",
        "0.988",
        "a caption",
        "walk.npy",
    ):
        assert said in page.text
    assert "gone.png: no such image" in page.text
    assert "5 results" in page.text
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text


def test_no_results(hits):
    write_results(Path("page.html"), Query(words="zebra"), [])
    assert "0 results" in Page(Path("page.html").read_text()).text


def test_tables(hits):
    write_results(Path("r.json"), Query({"text": "a"}), hits)
    said = json.loads(Path("r.json").read_text())
    assert said["query"] == {"inputs": {"text": "a"}, "words": None, "where": None}
    assert [Hit(**each) for each in said["results"]] == hits
    write_results(Path("r.csv"), Query({"text": "a"}), hits)
    with Path("r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["id"], float(row["score"])) for row in rows[:2]] == [
        ("1", "red", 0.98765),
        ("2", "long", 0.5),
    ]
    assert [row["year"] for row in rows] == ["1999", "", "", "", ""]
    with pytest.raises(UserError, match=r"r\.txt: the ending must be"):
        write_results(Path("r.txt"), Query({"text": "a"}), hits)


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_in_a_browser(hits, size):
    write_results(Path("page.html"), Query({"audio": "long.flac", "text": "a dog"}), hits)
    address = Path("page.html").absolute().as_uri()
    with browser_page(size, address) as page:
        page.goto(address)
        assert page.locator("h3").all_inner_texts() == ["Images", "Sounds", "Texts", "motion"]
        assert page.locator(".card .score").all_inner_texts() == ["0.988", "0.125", "0.500", "0.250", "0.100"]
        assert page.locator("img").count() == 1
        assert broken_images(page) == 0
        assert audio_seconds(page) == [20, 20]  # the query's and the result's
