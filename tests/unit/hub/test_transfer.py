"""Models by the name of a run and by that on the Hub: a server on this machine speaks the Hub's protocol."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from onepeace_pl import OnePeace
from onepeace_pl.errors import UserError

from .conftest import TEXTS

SHA = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """The few calls of the Hub that making a repository, a commit and a download take."""

    files: dict[str, bytes]

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/repos/create"):
            asked = json.loads(given)
            self.answer({"url": f"{constants.ENDPOINT}/{asked.get('organization', 'me')}/{asked['name']}"})
        elif "/preupload/" in self.path:
            paths = [each["path"] for each in json.loads(given)["files"]]
            self.answer(
                {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]}
            )
        elif "/commit/" in self.path:
            for row in map(json.loads, given.splitlines()):
                if row["key"] == "file":
                    self.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            self.answer({"commitUrl": f"{constants.ENDPOINT}/me/small/commit/{SHA}", "commitOid": SHA})
        else:
            self.answer({})

    def do_GET(self) -> None:
        if self.path.startswith("/api/") and "me/small" in self.path and "/tree/" in self.path:
            rows = [{"type": "file", "path": p, "size": len(c), "oid": SHA} for p, c in self.files.items()]
            self.answer(rows)
        elif self.path.startswith("/api/models/me/small"):
            self.answer(
                {"id": "me/small", "sha": SHA, "siblings": [{"rfilename": path} for path in self.files]}
            )
        elif "/resolve/" in self.path:
            content = self.files[self.path.split("/", 5)[5]]
            etag = hashlib.sha1(content).hexdigest()
            self.answer(content, {"ETag": f'"{etag}"', "X-Repo-Commit": SHA})
        else:
            self.answer({"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}, 404)

    do_HEAD = do_GET

    def answer(self, content: object, headers: dict[str, str] | None = None, status: int = 200) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Write no log."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    handler = type("OneHub", (Hub,), {"files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield handler.files
    server.shutdown()
    server.server_close()


def test_a_model_goes_to_the_hub_and_comes_back(model: OnePeace, hub: dict[str, bytes]) -> None:
    address = model.push_to_hub("me/small", token="hf_none")
    assert address.endswith(f"/me/small/commit/{SHA}")
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(hub)
    loaded = OnePeace.from_pretrained("me/small", device="cpu")
    assert torch.equal(loaded.encode(text=TEXTS), model.encode(text=TEXTS))


def test_what_the_hub_does_not_have(hub: dict[str, bytes]) -> None:
    with pytest.raises(
        UserError, match=r"^me/other: no folder here, and not to be had from the Hugging Face Hub \("
    ):
        OnePeace.from_pretrained("me/other")


def test_without_connection(model: OnePeace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"^me/small: no folder here.*check the name, the token.*connection$"):
        OnePeace.from_pretrained("me/small")
    with pytest.raises(UserError, match=r"^me/small: not uploaded to the Hugging Face Hub \("):
        model.push_to_hub("me/small", token="hf_none")


def test_a_path_is_never_a_name_on_the_hub(
    model: OnePeace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("runs/small/model")
    expected = model.encode(text=TEXTS)
    for name in ("runs/small", "runs/small/model", Path("runs/small"), tmp_path / "runs/small"):
        assert torch.equal(OnePeace.from_pretrained(name, device="cpu").encode(text=TEXTS), expected)
    for name in ("runs/other", Path("me/small"), "runs/small/other"):
        with pytest.raises(FileNotFoundError, match=f"^no folder {name}; give a model folder, a run folder"):
            OnePeace.from_pretrained(name)


def test_devices_and_dtypes(model: OnePeace, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert OnePeace.from_pretrained(tmp_path, "cpu", "bfloat16").dtype == torch.bfloat16
    for options, message in (
        ({"device": "cuda:99"}, "no device 'cuda:99' here; there are cpu"),
        ({"dtype": "bfloat"}, "dtype='bfloat' is no dtype of weights; did you mean 'bfloat16'"),
        ({"dtype": torch.int8}, "dtype=torch.int8 is no dtype of weights"),
    ):
        with pytest.raises(UserError, match=message):
            OnePeace.from_pretrained(tmp_path, **options)
        with pytest.raises(UserError, match=message):
            model.to(**options)


def test_what_a_model_says_of_itself(model: OnePeace) -> None:
    model.backbone.add_matryoshka_dims([32, 8])
    parameters = sum(each.numel() for each in model.backbone.parameters())
    shown = repr(model.to("cpu", "bfloat16"))
    for line in (
        "modalities: text, image, audio", "width: 32", f"parameters: {parameters:,}", "device: cpu",
        "dtype: bfloat16", "trained lengths: 32, 8", "joint: none", "fuse: sum", "calibrated: no",
    ):  # fmt: skip
        assert f"  {line}\n" in shown
