"""POST /v1/embeddings: the vectors of ``encode``, in the forms of OpenAI, vLLM and Jina; what is refused."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose
from PIL import Image

from tests.unit.hub.conftest import TEXTS
from tests.unit.serving.media import encoded, url

PATH = "/v1/embeddings"
IMAGE, AUDIO = "files/1.png", "files/2.wav"


def vectors(answer) -> np.ndarray:
    assert [each["index"] for each in answer["data"]] == list(range(len(answer["data"])))
    return np.array([each["embedding"] for each in answer["data"]])


def test_texts(post, model):
    answer = post(PATH, {"model": "small", "input": TEXTS, "user": "me"})
    assert_allclose(vectors(answer), model.encode(text=TEXTS), atol=1e-6)
    assert (answer["object"], answer["model"], answer["truncated"]) == ("list", "small", {})
    tokens = sum(model.processors["text"](text).length for text in TEXTS)
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    one = post(PATH, {"input": TEXTS[0]})
    assert_allclose(vectors(one), vectors(answer)[:1], atol=1e-6)


def test_base64_and_dimensions(post, model):
    answer = post(PATH, {"input": TEXTS, "encoding_format": "base64", "dimensions": 8})
    found = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in answer["data"]]
    assert_allclose(found, model.encode(text=TEXTS, truncate_dim=8), atol=1e-6)
    raw = post(PATH, {"input": TEXTS, "embedding_type": "float", "dimensions": 8, "normalized": False})
    expected = model.encode(text=TEXTS, truncate_dim=8, normalize_embeddings=False)
    assert_allclose(vectors(raw), expected, atol=1e-6)


@pytest.mark.parametrize(
    "form",
    [
        lambda: {"image": url(IMAGE)},
        lambda: {"image": encoded(IMAGE)},
        lambda: {"type": "image_url", "image_url": {"url": url(IMAGE)}},
        lambda: {"type": "input_image", "image_url": url(IMAGE)},
        lambda: {"content": [{"type": "image_url", "image_url": {"url": url(IMAGE, "image/jpeg")}}]},
    ],
)
def test_forms_of_an_image(post, model, form):
    answer = post(PATH, {"input": [form(), "a dog", form()]})
    image, text = model.encode(image=[IMAGE])[0], model.encode(text=["a dog"])[0]
    assert_allclose(vectors(answer), [image, text, image], atol=1e-6)
    assert answer["usage"]["total_tokens"] == 2 * 4 + model.processors["text"]("a dog").length


@pytest.mark.parametrize(
    "form",
    [
        lambda: {"audio": url(AUDIO, "audio/wav")},
        lambda: {"type": "input_audio", "input_audio": {"data": encoded(AUDIO), "format": "wav"}},
        lambda: {"type": "audio_url", "audio_url": {"url": url(AUDIO, "audio/wav")}},
    ],
)
def test_forms_of_audio(post, model, form):
    assert_allclose(vectors(post(PATH, {"input": form()})), model.encode(audio=[AUDIO]), atol=1e-6)


@pytest.mark.parametrize("key", ["input", "messages"])
def test_several_parts_are_fused(post, model, key):
    parts = [
        {"type": "text", "text": "a dog"},
        {"type": "image_url", "image_url": {"url": url(IMAGE)}},
        {"type": "input_audio", "input_audio": {"data": encoded(AUDIO), "format": "wav"}},
    ]
    fused = model.encode(text=["a dog"], image=[IMAGE], audio=[AUDIO])
    message = {"content": parts} if key == "input" else [{"role": "user", "content": parts}]
    assert_allclose(vectors(post(PATH, {key: message})), fused, atol=1e-6)
    item = {"text": "a dog", "image": url(IMAGE), "audio": encoded(AUDIO)}
    assert_allclose(vectors(post(PATH, {"input": [item]})), fused, atol=1e-6)


def test_cut_inputs_are_told(post, model):
    with pytest.warns(UserWarning, match="was cut"):
        answer = post(PATH, {"input": ["word " * 40, "a dog", "other " * 40]})
    assert answer["truncated"] == {"text": 2}


@pytest.mark.parametrize(
    ("body", "status", "message", "param"),
    [
        ({}, 400, "input must be a text or an object, not missing", "input"),
        ({"input": []}, 400, "input is empty", "input"),
        ({"input": ""}, 400, "input.text is an empty text", "input.text"),
        ({"input": [" "]}, 400, "input[0].text is an empty text", "input[0].text"),
        ({"input": 5}, 400, "token ids, which are not read", "input"),
        ({"input": [[1, 2]]}, 400, "token ids, which are not read", "input"),
        ({"input": ["a"] * 7}, 400, "7 inputs; send 6 at most", "input"),
        ({"input": "a" * 501}, 400, "501 characters; 500 at most", "input.text"),
        ({"input": {}}, 400, "no field; it may have text, image and audio", "input"),
        ({"input": {"smell": "x"}}, 400, "unknown field 'smell'", "input"),
        ({"input": {"image": 5}}, 400, "input.image is a number", "input.image"),
        ({"input": {"image": None}}, 400, "input.image is missing", "input.image"),
        ({"input": {"type": "video_url"}}, 400, "unknown type 'video_url'; there are text,", "input"),
        ({"input": {"type": ["a"]}}, 400, "unknown type", "input"),
        ({"input": {"type": "image_url"}}, 400, "input.image_url.url is missing", "input.image_url.url"),
        ({"input": {"content": []}}, 400, "must be a text or a list of parts", "input"),
        ({"input": {"content": [{"type": "text", "text": "a"}] * 2}}, 400, "two parts of text", "input"),
        ({"input": {"image": "http://localhost/a.png"}}, 400, "addresses are not fetched", "input.image"),
        ({"input": {"image": "HTTPS://x.org/a"}}, 400, "addresses are not fetched", "input.image"),
        ({"input": {"image": "file:///etc/passwd"}}, 400, "addresses are not fetched", "input.image"),
        ({"input": {"image": "/etc/passwd"}}, 400, "neither a data URL nor base64", "input.image"),
        ({"input": {"image": "files/1.png"}}, 400, "neither a data URL nor base64", "input.image"),
        ({"input": {"image": "data:image/png,abc"}}, 400, "a data URL without ;base64", "input.image"),
        ({"input": "a", "encoding_format": "int8"}, 400, "must be float or base64", "encoding_format"),
        ({"input": "a", "dimensions": 33}, 400, "a whole number from 1 to 32", "dimensions"),
        ({"input": "a", "dimensions": True}, 400, "a whole number from 1 to 32", "dimensions"),
        ({"input": "a", "dimensions": 10**400}, 400, "a whole number from 1 to 32", "dimensions"),
        ({"input": "a", "normalized": 1}, 400, "true or false", "normalized"),
        ({"input": "a", "model": "gpt"}, 404, "no model 'gpt' here; it is 'small'", "model"),
        ({"input": "a", "encoding": 1}, 400, "did you mean 'encoding_format'?", "encoding"),
        ({"input": "a", "messages": []}, 400, "send one of both", "messages"),
        ({"messages": []}, 400, "a list of one message", "messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, 400, "must be of the user", "messages"),
    ],
)
def test_refusals(post, body, status, message, param):
    error = post(PATH, body, status)["error"]
    assert message in error["message"]
    assert "\n" not in error["message"]
    assert len(error["message"]) < 400
    assert (error["param"], error["type"]) == (param, "invalid_request_error")


def png_of(width: int, height: int) -> bytes:
    """Return a small PNG whose pixels, all alike, would fill the memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def sound_of(seconds: float, kind: str = "FLAC") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(seconds * 16_000)), 16_000, format=kind)
    return file.getvalue()


def zip_of(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../a.png", content)
    return file.getvalue()


def image_bytes(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((60, 60), 50).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("modality", "content", "message"),
    [
        ("image", lambda: png_of(40_000, 40_000), "exceeds limit"),
        ("image", lambda: png_of(400, 400), "400 x 400 pixels; an image may have 100,000"),
        ("image", lambda: image_bytes("PNG")[:2000], "unreadable image"),
        ("image", lambda: image_bytes("JPEG")[:20], "unreadable image"),
        ("image", lambda: zip_of(bytes(10_000)), "not an image of a known format"),
        ("image", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a known format"),
        ("image", lambda: b"%!PS-Adobe-3.0 EPSF-3.0", "not an image of a known format"),
        ("image", lambda: sound_of(1), "but audio/flac"),
        ("image", lambda: b"", "not an image of a known format"),
        ("audio", lambda: sound_of(600), "longer than 3 seconds"),
        ("audio", lambda: sound_of(1)[:60], "unreadable audio"),
        ("audio", lambda: sound_of(1, "WAV")[:20], "unreadable audio"),
        ("audio", lambda: image_bytes("PNG"), "but image/png"),
        ("audio", lambda: zip_of(sound_of(1)), "not audio of a known format"),
        ("audio", lambda: b"OggS" + bytes(100), "unreadable audio"),
    ],
)
def test_hostile_files(post, modality, content, message):
    made = content()
    error = post(PATH, {"input": ["a dog", {modality: url(made) if made else "data:;base64,"}]}, 400)["error"]
    assert error["message"].startswith(f"input[1].{modality}: ")
    assert message in error["message"]
    assert "\n" not in error["message"]
    post(PATH, {"input": "a dog"})  # still served


def test_no_modality_of_the_model(service, post, monkeypatch):
    monkeypatch.setattr(type(service.model), "modalities", ["text", "image"])
    error = post(PATH, {"input": {"audio": url(sound_of(1))}}, 400)["error"]
    assert error["message"] == "input: the model reads no audio; it reads text, image"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is no JSON"),
        (b"{", 400, "the body is no JSON"),
        (b"\xff\xfe", 400, "the body is no JSON"),
        (b"[1]", 400, "the body must be a JSON object"),
        (b'{"input": ' + b"[" * 90_000, 400, "nested too deeply"),
        (b'{"input": ' + b"1" * 9000 + b"}", 400, "the body is no JSON"),
        (json.dumps({"input": "a" * 200_000}).encode(), 413, "longer than 0.2 MB"),
    ],
)
def test_hostile_json(client, body, status, message):
    answer = client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")
    assert message in answer.json()["error"]["message"]


def test_a_body_without_its_length(client):
    def chunks():
        for _ in range(50):
            yield b" " * 10_000

    answer = client.post(PATH, content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_json_of_many_parts(client, monkeypatch):
    monkeypatch.setattr("onepeace_pl.serving.service.MOST_VALUES", 1000)
    answer = client.post(PATH, json={"input": ["a"] * 2000})
    assert answer.status_code == 413
    assert "more than 1,000 values" in answer.json()["error"]["message"]
