"""Headless Chromium of the system, driven by playwright; what a page asks of other hosts, and its errors."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = {"phone": (390, 844), "desktop": (1280, 800)}


@contextmanager
def browser_page(size: str, origin: str, expected: str = "") -> Iterator[Any]:
    """Yield a page of a browser; what it asks of others than ``origin``, or complains of, fails the test.

    Args:
        size: ``phone`` or ``desktop``.
        origin: Beginning of the addresses that it may ask for.
        expected: What the one complaint that it must have says; empty for none.
    """
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    problems: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        width, height = WIDTHS[size]
        page = browser.new_page(viewport={"width": width, "height": height}, has_touch=size == "phone")
        page.set_default_timeout(60_000)
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((origin, "blob:", "data:")) else problems.append(asked.url)
            ),
        )
        try:
            yield page
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        finally:
            browser.close()
    assert len(problems) == bool(expected), problems
    assert all(expected in problem for problem in problems)


def wait_until(page: Any, expression: str) -> None:
    """Wait for a JavaScript expression; playwright's own waiting is an ``eval``, which pages here forbid."""
    until = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        page.wait_for_timeout(50)


def broken_images(page: Any) -> int:
    """Return the number of images that do not show, once all have loaded."""
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    wait_until(page, "[...document.images].every((image) => image.complete)")
    return int(page.evaluate("[...document.images].filter((image) => !image.naturalWidth).length"))


def audio_seconds(page: Any) -> list[float]:
    """Return the duration of each player, once all know it."""
    wait_until(page, "[...document.querySelectorAll('audio')].every((sound) => sound.readyState > 0)")
    return list(page.evaluate("[...document.querySelectorAll('audio')].map((sound) => sound.duration)"))
