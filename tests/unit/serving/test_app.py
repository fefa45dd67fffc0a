"""The application: state, headers, hosts, and requests while the model is busy."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from onepeace_pl.serving import Limits, RequestError
from onepeace_pl.serving.model_queue import ModelQueue

BODY = {"input": "a dog"}


def test_state(client):
    assert client.get("/healthz").json() == {"status": "ok", "model": "small"}
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["small"]


def test_pages_may_use_nothing_from_elsewhere(searching, client_of):
    client = client_of(searching)
    for path in ("/", "/page.js", "/page.css", "/nothing"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "//" not in answer.text.replace("// ", "")
    assert "Searches 6 sounds, 6 images and 4 texts." in client.get("/").text


def test_other_methods_and_types(client):
    assert client.get("/v1/embeddings").status_code == 405
    assert client.get("/v1/embeddings").json()["error"]["message"] == "GET /v1/embeddings: Method Not Allowed"
    answer = client.post("/v1/embeddings", content="{}", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (415, "send JSON, as application/json")


def test_other_hosts_are_refused(service, client_of):
    client = client_of(service, hosts=("localhost", "127.0.0.1", "[::1]"))
    for host, status in (("localhost:8000", 200), ("[::1]:8000", 200), ("evil.example:8000", 400), ("", 400)):
        assert client.get("/healthz", headers={"host": host}).status_code == status, host


def test_mistakes_of_the_server_are_told_as_such(service, client, monkeypatch, caplog):
    monkeypatch.setattr(service.model, "encode", None)  # what no request can cause
    answer = client.post("/v1/embeddings", json=BODY)
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "TypeError" not in answer.text
    assert "TypeError" in caplog.text


def test_a_bounded_number_waits():
    queue, go = ModelQueue(Limits(waiting=1, seconds=30)), threading.Event()
    order: list[int] = []

    def call(number: int) -> int:
        go.wait()
        order.append(number)
        return number

    async def request(number: int) -> int:
        with queue.place():
            return await queue.run(lambda: call(number))

    async def all_at_once() -> list[int | BaseException]:
        tasks = [asyncio.create_task(request(number)) for number in range(4)]
        await asyncio.sleep(0.05)
        assert [task.done() for task in tasks] == [False, False, True, True]
        go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [*found, await request(4)]  # there is room again

    first, second, third, fourth, fifth = asyncio.run(all_at_once())
    queue.close()
    assert (first, second, fifth, order) == (0, 1, 4, [0, 1, 4])
    for error in (third, fourth):
        assert isinstance(error, RequestError)
        assert (error.status, error.body()["error"]["type"]) == (429, "rate_limit_error")


def test_what_takes_too_long_is_given_up():
    queue, go, begun = ModelQueue(Limits(seconds=0.2)), threading.Event(), []

    async def both() -> list[object]:
        slow = asyncio.create_task(queue.run(go.wait))
        waits = asyncio.create_task(queue.run(lambda: begun.append(1)))
        return list(await asyncio.gather(slow, waits, return_exceptions=True))

    started = time.monotonic()
    for error in asyncio.run(both()):
        assert isinstance(error, RequestError)
        assert error.status == 503
        assert error.message.startswith("not answered within 0.2 s")
    assert time.monotonic() - started < 10
    go.set()
    queue.close()
    assert begun == []  # nobody waits for it any more


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match=r"limits: inputs=0 must be above 0"):
        Limits(inputs=0)
    Limits(waiting=0)
