"""POST /v1/search and /v1/classify, and the files of results."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.search import Index, Item
from onepeace_pl.serving import Service
from tests.unit.serving.media import url

PATH = "/v1/search"


@pytest.fixture
def service(searching: Service) -> Service:
    return searching


def test_neighbours_are_those_of_the_index(post, service):
    item = {"text": "a dog", "image": url("files/3.png")}
    answer = post(PATH, {"input": item, "k": 16, "model": "small"})
    hits = service.index.search(text="a dog", image="files/3.png", k=16)
    assert [each["score"] for each in answer["data"]] == pytest.approx([hit.score for hit in hits], abs=1e-6)
    assert [each["title"] for each in answer["data"]] == [
        Path(hit.path).name if hit.path else hit.text for hit in hits
    ]
    assert answer["fuse"] == service.model.backbone.default_fuse(["text", "image"])
    assert str(Path.cwd()) not in str(answer)  # no path of the machine
    sounds = post(PATH, {"input": item, "modality": "audio"})["data"]
    assert {each["modality"] for each in sounds} == {"audio"}
    assert len(post(PATH, {"input": "a"})["data"]) == 12
    assert post(PATH, {"input": "a", "modality": "x' OR 'a' = 'a"})["data"] == []


def test_files_of_results(post, client):
    answer = post(PATH, {"input": {"image": url("files/3.png")}, "k": 1, "modality": "image"})
    (image,) = answer["data"]
    whole = client.get(image["file"])
    assert (whole.headers["content-type"], whole.content) == ("image/png", Path("files/3.png").read_bytes())
    assert whole.headers["x-content-type-options"] == "nosniff"
    small = client.get(image["thumbnail"])
    assert small.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(small.content)).size == (40, 40)
    (sound,) = post(PATH, {"input": "a", "k": 1, "modality": "audio"})["data"]
    part = client.get(sound["file"], headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"RIFF", "audio/wav")
    assert sound["thumbnail"] is None
    assert client.get(sound["file"].replace("files", "thumbnails")).status_code == 404
    (text,) = post(PATH, {"input": "a", "k": 1, "modality": "text"})["data"]
    assert (text["file"], text["thumbnail"]) == (None, None)


@pytest.mark.parametrize(
    "path",
    [
        "/files/0123456789abcdef0123456789abcdef",
        "/files/../../../etc/passwd",
        "/files/..%2f..%2fetc%2fpasswd",
        "/files/%2fetc%2fpasswd",
        "/files/files/1.png",
        "/files/index.json",
        "/thumbnails/..%2fidx%2findex.json",
        "/page.py",
    ],
)
def test_no_other_file_is_served(client, post, path):
    post(PATH, {"input": "a"})
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_files_of_other_types_and_lost_ones(post, client, service):
    Path("files/0.png").write_bytes(b"<html><script>alert(1)</script></html>")
    Image.new("RGB", (40, 40), "red").save("files/1.tiff")
    service.index.add([Item("tiff", {"image": "files/1.tiff"})])
    found = {e["title"]: e for e in post(PATH, {"input": "a", "k": 16, "modality": "image"})["data"]}
    assert found["0.png"]["file"] is None
    assert client.get(found["0.png"]["thumbnail"].replace("thumbnails", "files")).status_code == 404
    assert client.get(found["0.png"]["thumbnail"]).status_code == 404
    assert found["1.tiff"]["file"] is None
    assert client.get(found["1.tiff"]["thumbnail"]).headers["content-type"] == "image/jpeg"
    Path("files/2.png").unlink()
    assert client.get(found["2.png"]["file"]).status_code == 404


def test_cut_inputs_are_told(post):
    item = {"text": "word " * 40, "audio": url("files/1.wav", "audio/wav")}
    assert post(PATH, {"input": item})["truncated"] == {"text": 1}
    assert post("/v1/classify", {"input": item, "labels": ["a"]})["truncated"] == {"text": 1}
    assert post(PATH, {"input": "word"})["truncated"] == {}


def test_rows_that_others_add_are_found(post, service):
    other = Index.open("idx", service.model)
    other.add([Item("new", {"text": "a new text"})])
    other.compact()
    assert post(PATH, {"input": "a new text", "k": 1})["data"][0]["title"] == "a new text"


def test_metadata_is_valid_json(post, client, service):
    service.index.add([Item("n", {"text": "five"}, metadata={"size": float("nan"), "year": 1999})])
    assert post(PATH, {"input": "five", "k": 1})["data"][0]["metadata"] == {"year": 1999}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "input must be a text or an object"),
        ({"input": ["a"]}, "input must be a text or an object, not a list"),
        ({"input": "a", "k": 0}, "k=0 must be a whole number from 1 to 100"),
        ({"input": "a", "k": 101}, "k=101 must be"),
        ({"input": "a", "modality": 5}, "modality must be a string"),
        ({"input": "a", "where": "1"}, "unknown field 'where'"),
    ],
)
def test_refusals(post, body, message):
    assert message in post(PATH, body, 400)["error"]["message"]


def test_zero_shot_scores(post, model):
    labels, prompts = ["a dog", "rain", "a red circle"], ["{}", "the sound of {}"]
    items = [
        {"audio": url("files/1.wav", "audio/wav")},
        "two birds",
        {"text": "a", "image": url("files/1.png")},
    ]
    answer = post("/v1/classify", {"input": items, "labels": labels, "prompts": prompts})
    expected = [
        model.classify(labels, prompts, audio="files/1.wav"),
        model.classify(labels, prompts, text="two birds"),
        model.classify(labels, prompts, text="a", image="files/1.png"),
    ]
    for said, result in zip(answer["data"], expected, strict=True):
        (top,) = result.top(3)
        assert said["prediction"] == top[0]["label"]
        assert [each["label"] for each in said["predictions"]] == [each["label"] for each in top]
        assert [e["score"] for e in said["predictions"]] == pytest.approx(
            [e["probability"] for e in top], abs=1e-5
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": "a"}, "labels must be a list of one or more texts"),
        ({"input": "a", "labels": []}, "labels must be a list"),
        ({"input": "a", "labels": "dog"}, "labels must be a list"),
        ({"input": "a", "labels": [1]}, "labels must be a list"),
        ({"input": "a", "labels": ["a", "a"]}, "'a' is repeated"),
        ({"input": "a", "labels": ["a", " "]}, "' ' is empty"),
        ({"input": "a", "labels": ["x"] * 9}, "labels: 9; 8 at most"),
        ({"input": "a", "labels": ["x" * 501]}, "500 characters at most"),
        ({"input": "a", "labels": ["x"], "prompts": ["y"]}, "has no placeholder"),
    ],
)
def test_labels_that_cannot_be(post, body, message):
    assert message in post("/v1/classify", body, 400)["error"]["message"]


def test_without_an_index(model, client_of):
    client = client_of(Service(model, "small"))
    answer = client.post(PATH, json={"input": "a"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404,
        "no index is served; start with --index",
    )
    assert "start with <code>--index</code>" in client.get("/").text
