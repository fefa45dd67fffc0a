"""The page in a browser: files and texts go in, neighbours and scores come out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onepeace_pl.search import Item
from onepeace_pl.serving import Service
from tests.unit.browser import audio_seconds, broken_images, browser_page

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra `serve`")


@pytest.fixture
def address(searching: Service) -> Iterator[str]:
    pytest.importorskip("starlette", reason="needs the extra `serve`")
    from onepeace_pl.serving.app import create_app

    searching.index.add([Item("x", {"text": "<img src=x onerror=alert(1)>"}, metadata={"year": 1999})])
    server = uvicorn.Server(uvicorn.Config(create_app(searching), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_visit(address, searching, size):
    with browser_page(size, address) as page:
        page.goto(address)
        page.click("#go")
        page.wait_for_selector("#status >> text=Give a text or a file first.")
        page.fill("#text", "a dog")
        page.set_input_files("#file", ["files/1.png", "files/2.wav"])
        page.fill("#labels", "a dog, rain, a dog, ")
        page.click("#go")
        page.wait_for_selector("#found li")
        assert page.inner_text("#status").startswith("text + image + audio as one query: ")
        hits = searching.index.search(text="a dog", image="files/1.png", audio="files/2.wav", k=17)
        for modality in ("image", "audio", "text"):
            titles = page.locator(f".{modality} .card > p:nth-of-type(2)").all_inner_texts()
            same = [hit for hit in hits if hit.modality == modality]
            assert titles == [Path(hit.path).name if hit.path else hit.text for hit in same]
        assert page.locator(".card .score").count() == 17
        assert page.locator(".card a img").count() == 6
        assert broken_images(page) == 0
        assert audio_seconds(page) == [0.5] * 7  # those of the results, and the one that was chosen
        assert page.locator("#scores li").count() == 2
        (scores,) = searching.model.classify(
            ["a dog", "rain"], text="a dog", image="files/1.png", audio="files/2.wav"
        ).top()
        shown = page.locator("#scores li").all_inner_texts()
        assert [each.split("\n")[0] for each in shown] == [each["label"] for each in scores]
        assert "year" in page.inner_text(".text.results")

        page.click("[aria-label='Remove 1.png']")
        page.click("#chosen .remove")
        page.fill("#text", "word " * 40)
        page.click("#go")
        page.wait_for_selector("#status >> text=The text is longer than the model reads")

        page.fill("#text", "")
        page.fill("#labels", "")
        page.set_input_files("#file", "files/3.png")
        page.select_option("#modality", "image")
        page.click("#go")
        page.wait_for_selector(".text.results", state="detached")
        assert page.locator(".card").count() == 6
        assert page.locator(".card").first.inner_text().split() == ["1", "1.000", "3.png"]
        assert not page.is_visible("#labelled")


def test_dropping_and_refusals(address):
    Path("a.txt").write_text("no picture")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    Path("large.png").write_bytes(bytes(300_000))
    with browser_page("desktop", address) as page:
        page.goto(address)
        for name, message in (
            ("a.txt", "a.txt: not image or audio"),
            ("large.png", "large.png: larger than"),
        ):
            page.set_input_files("#file", name)
            assert message in page.inner_text("#status")
        page.evaluate(
            """() => {
              const given = new DataTransfer();
              given.items.add(new File(["x"], "drop.png", { type: "image/png" }));
              document.dispatchEvent(new DragEvent("drop", { dataTransfer: given, cancelable: true }));
            }"""
        )
        page.wait_for_selector("#chosen >> text=drop.png")
        assert page.inner_text("#status") == ""


def test_an_error_of_the_server_is_shown(address):
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with browser_page("phone", address, expected="status of 400") as page:
        page.goto(address)
        page.set_input_files("#file", "broken.png")
        page.click("#go")
        page.wait_for_selector(".status.bad >> text=unreadable image")
        page.wait_for_selector("#go:enabled")
