"""A served model with an index of a few pictures, sounds and texts, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl import OnePeace
from onepeace_pl.search import Index, find_items
from onepeace_pl.serving import Limits, Service
from tests.unit.hub.conftest import make_model
from tests.unit.search.conftest import write_files

Client = Any
"""Starlette's TestClient."""

Post = Callable[..., Any]
"""Answer of the server to JSON, whose status must be as said."""


LIMITS = Limits(
    upload_bytes=200_000, inputs=6, seconds=30, pixels=100_000, audio_seconds=3, characters=500, labels=8
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnePeace:
    """The model, beside the folder files of 6 pictures, 6 sounds and 4 texts."""
    monkeypatch.chdir(tmp_path)
    write_files(Path("files"))
    return make_model()


@pytest.fixture
def service(model: OnePeace) -> Service:
    return Service(model, "small", limits=LIMITS)


@pytest.fixture
def searching(model: OnePeace) -> Service:
    """The service with an index of all files."""
    pytest.importorskip("lancedb", reason="needs the extra `search`")
    index = Index.create("idx", model)
    index.add(find_items(["files"], model.modalities))
    return Service(model, "small", index, LIMITS)


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    testclient = pytest.importorskip("starlette.testclient", reason="needs the extra `serve`")
    pytest.importorskip("jinja2", reason="needs the extra `serve`")
    from onepeace_pl.serving.app import create_app

    with ExitStack() as stack:
        yield lambda service, hosts=("*",): stack.enter_context(
            testclient.TestClient(create_app(service, hosts), raise_server_exceptions=False)
        )


@pytest.fixture
def client(service: Service, client_of: Callable[..., Client]) -> Client:
    return client_of(service)


@pytest.fixture
def post(client: Client) -> Post:
    def send(path: str, body: object, status: int = 200) -> Any:
        answer = client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send
