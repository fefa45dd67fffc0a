"""Index: exact search, approximate search, updates, resumption after kills, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from onepeace_pl import OnePeace
from onepeace_pl.cli import main as cli
from onepeace_pl.errors import UserError
from onepeace_pl.search import Index, Item, find_items
from onepeace_pl.utils.claim import Claim
from tests.unit.hub.conftest import TEXTS, make_model

pytest.importorskip("lancedb", reason="needs the extra `search`")


def items(model: OnePeace, *paths: str) -> list[Item]:
    return list(find_items(paths or ["files"], model.modalities))


@pytest.fixture
def index(model: OnePeace) -> Index:
    made = Index.create("idx", model)
    made.add(items(model))
    return made


def random_rows(index: Index, count: int) -> torch.Tensor:
    """Store rows of random vectors, as if a model had made them."""
    import pyarrow as pa

    vectors = normalize(torch.randn(count, 32, generator=torch.manual_seed(0)), dim=-1)
    rows = {
        "id": [f"{i:06}" for i in range(count)],
        "modality": [["image", "audio"][i % 2] for i in range(count)],
    }
    columns = {name: pa.array(values) for name, values in rows.items()}
    columns |= {"path": pa.nulls(count, pa.string()), "text": pa.nulls(count, pa.string())}
    columns |= {"file_size": pa.nulls(count, pa.int64()), "file_modified": pa.nulls(count, pa.int64())}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(vectors.numpy().ravel(), 32)
    index._table.add(pa.table(columns, schema=index._table.schema))
    return vectors


def test_exact_search_is_that_of_numpy(model):
    index = Index.create("idx", model)
    vectors = random_rows(index, 2000)
    for query in normalize(torch.randn(5, 32, generator=torch.manual_seed(1)), dim=-1):
        scores = vectors.numpy() @ query.numpy()
        order = np.argsort(-scores)[:20]
        hits = index.search(vector=query, k=20)
        assert [int(hit.id) for hit in hits] == order.tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores[order], atol=1e-6)
        odd = np.argsort(-np.where(np.arange(2000) % 2, scores, -9))[:20]
        hits = index.search(vector=query, k=20, where="modality = 'audio'")
        assert [int(hit.id) for hit in hits] == odd.tolist()


def test_approximate_search(model):
    index = Index.create("idx", model)
    random_rows(index, 4000)
    assert index.is_exact
    assert index.recall(10).value == 1
    index.build(partitions=400)  # of which 32 are read
    assert not index.is_exact
    found = index.recall(10)
    assert 0.2 < found.low < found.value < found.high < 1  # random vectors have no clusters
    queries = torch.randn(50, 32, generator=torch.manual_seed(2))
    assert index.recall(10, queries).value == pytest.approx(
        np.mean(
            [
                len(
                    {h.id for h in index.search(vector=q, exact=True)}
                    & {h.id for h in index.search(vector=q)}
                )
                / 10
                for q in queries
            ]
        ),
        abs=0.05,  # of the eleven that are asked for, ten count
    )
    index.build(partitions=4)  # all of which are read
    assert index.recall(10).value == 1


def test_vectors_are_those_of_the_model(index, model):
    image = str(Path("files/3.png").absolute())
    (best, second) = index.search(image=image, k=2)
    assert (best.id, best.path, best.modality) == (image, image, "image")
    assert best.score == pytest.approx(1, abs=1e-6)
    assert second.score < 0.9999
    for inputs in ({"text": "a dog"}, {"text": "a dog", "image": "files/1.png"}, {"audio": "files/2.wav"}):
        by_vector = index.search(vector=model.encode(**{n: [v] for n, v in inputs.items()})[0], k=16)
        assert index.search(k=16, **inputs) == by_vector
        assert len(by_vector) == 16
    joint = index.search(text="a dog", image="files/1.png", fuse="joint")
    vector = model.encode(text=["a dog"], image=["files/1.png"], fuse="joint")[0]
    assert joint == index.search(vector=vector)
    assert joint != index.search(text="a dog", image="files/1.png", fuse="sum")


def test_counts_and_words(index):
    assert len(index) == 16
    assert index.counts() == {"audio": 6, "image": 6, "text": 4}
    assert index.count("modality != 'text'") == 12
    (hit,) = index.search(words="dog (")
    assert (hit.text, hit.modality) == (TEXTS[2], "text")
    assert index.search(words="zebra") == []
    both = index.search(words="snow", text="rain on a roof", k=3)
    assert {TEXTS[2], TEXTS[3]} <= {hit.text for hit in both}


def test_add_again_update_and_delete(index, model):
    again = index.add(items(model))
    assert (again.added, again.updated, again.unchanged) == (0, 0, 16)
    before = index.search(image="files/2.png", k=1)[0]
    Image.new("RGB", (40, 40), "red").save("files/2.png")
    changed = index.add(items(model))
    assert (changed.added, changed.updated, changed.unchanged) == (0, 1, 15)
    after = index.search(image="files/2.png", k=1)[0]
    assert after.id == before.id
    assert after.score == pytest.approx(1, abs=1e-6)
    assert len(index) == 16
    quoted = Item("it's", {"text": "a bird's song"})
    index.add([quoted, quoted])
    assert index.delete(["it's", after.id, "unknown"]) == 2
    assert len(index) == 15
    index.compact()
    assert len(Index.open("idx", model)) == 15
    assert after.id not in {hit.id for hit in index.search(image="files/2.png", k=20)}


def test_arrays_are_embedded_again(model):
    index = Index.create("idx", model)
    red, blue = (np.full((40, 40, 3), value, dtype=np.uint8) for value in (50, 200))
    index.add([Item("a", {"image": red})])
    assert index.add([Item("a", {"image": blue})]).updated == 1
    assert index.search(image=blue, k=1)[0].score == pytest.approx(1, abs=1e-6)


def test_metadata(model):
    index = Index.create("idx", model)
    index.add([Item("a", {"text": "one"}, metadata={"year": 1999, "kind": "x"})])
    index.add(
        [Item("b", {"text": "two"}, metadata={"year": 2010, "seen": True}), Item("c", {"text": "three"})]
    )
    assert [hit.id for hit in index.search(text="one", where="year > 2000")] == ["b"]
    assert index.search(text="two", k=1)[0].metadata == {"year": 2010, "seen": True}
    assert index.add([Item("c", {"text": "three"}, metadata={"year": 1})]).updated == 1
    with pytest.raises(UserError, match="metadata of another type"):
        index.add([Item("d", {"text": "four"}, metadata={"year": "old"})])
    with pytest.raises(UserError, match="'vector' is a column of the index itself"):
        index.add([Item("d", {"text": "four"}, metadata={"vector": "old"})])


def test_broken_files(model):
    Path("files/0.png").write_bytes(b"no image")
    Path("files/5.wav").write_bytes(b"")
    index = Index.create("idx", model)
    with pytest.raises(UserError, match=r"0\.png: unreadable image"):
        index.add(items(model))
    found = index.add(items(model), on_error="skip")
    assert (found.added, found.seen) == (14, 16)
    assert [Path(name).name for name in found.failed] == ["0.png", "5.wav"]
    shutil.copy("files/1.png", "files/0.png")
    found = index.add(items(model), on_error="skip")
    assert (found.added, found.unchanged, len(found.failed)) == (1, 14, 1)


SLOW = """
import sys, time
from onepeace_pl.search import Index, find_items
index = Index.open("idx", "m")
items = find_items(["many.txt"], index.model.modalities)
print("ready", flush=True)
index.add(items, batch_size=2, progress=lambda added: print(added.seen, flush=True))
"""


def test_a_killed_run_goes_on(model):
    Path("many.txt").write_text("".join(f"text number {i}\n" for i in range(160)))
    Index.create("idx", "m")
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as process:
        for number, _ in enumerate(process.stdout or ()):
            if number == 4:
                process.send_signal(signal.SIGKILL)
                break
    kept = len(Index.open("idx", model))
    assert 0 < kept < 160
    assert kept % 16 == 0  # whole commits
    index = Index.open("idx", "m")
    rest = index.add(items(model, "many.txt"))
    assert (rest.added, rest.unchanged) == (160 - kept, kept)
    assert len(index) == 160
    whole = Index.create("whole", model)
    whole.add(items(model, "many.txt"))
    query = model.encode(text=["number 7"])[0]
    one, two = ({h.id: h.score for h in each.search(vector=query, k=160)} for each in (index, whole))
    assert one == pytest.approx(two, abs=1e-6)


def test_one_writer_at_a_time(index, model):
    with Claim(index.path / ".claim"), pytest.raises(UserError, match="is being written to by"):
        index.add(items(model))


def test_another_model_is_refused(index, model):
    other = make_model()
    with torch.no_grad():
        other.backbone.encoder.projections["image"].weight += 0.1
    with pytest.raises(UserError, match=r"another model \(weights or preprocessing of image differ\)"):
        Index.open("idx", other)
    calibrated = make_model()
    vectors = {
        "text": normalize(torch.randn(20, 32), dim=-1),
        "image": normalize(torch.randn(20, 32), dim=-1),
    }
    from onepeace_pl.hub import Calibration

    calibrated.calibration = Calibration.fit(vectors)
    Index.open("idx", calibrated)  # it is not applied
    third = Index.create("third", calibrated, truncate_dim=16)
    with pytest.raises(UserError, match="without calibration"):
        Index.open("third", model)
    third.add([Item("a", {"text": "a dog"})])
    (hit,) = third.search(text="a dog")
    assert hit.score == pytest.approx(1, abs=1e-6)
    with pytest.raises(UserError, match=r"a query vector of shape \(32,\) instead of \(16,\)"):
        third.search(vector=model.encode(text=["a dog"])[0])


def test_other_precision_and_a_new_modality_are_the_same_model(index, model):
    Index.open("idx", make_model().to(dtype=torch.bfloat16))
    facts = json.loads(Path("idx/index.json").read_text())
    index.delete([hit.id for hit in index.search(text="a", k=99, where="modality = 'audio'")])
    del facts["stamp"]["modalities"]["audio"]  # as of the model before it was extended
    Path("idx/index.json").write_text(json.dumps(facts))
    extended = Index.open("idx", model)
    assert extended.add(items(model)).added == 6
    assert "audio" in json.loads(Path("idx/index.json").read_text())["stamp"]["modalities"]


def test_what_is_refused(index, model, tmp_path):
    for words, message in (
        ({}, "empty query"),
        ({"words": " "}, "empty query"),
        ({"text": "a", "k": 0}, "k=0 must be at least 1"),
        ({"text": "a", "vector": torch.ones(32)}, "a vector or inputs"),
        ({"smell": "a"}, "no modality 'smell'"),
        (
            {"text": "a", "where": "modalty = 'image'"},
            "filter \"modalty = 'image'\": .*No field named modalty",
        ),
        ({"text": "a", "where": "modality ="}, "filter 'modality ='"),
        ({"image": "none.png"}, "no such image"),
    ):
        with pytest.raises(UserError, match=message):
            index.search(**words)
    with pytest.raises(UserError, match="is an index already"):
        Index.create("idx", model)
    with pytest.raises(UserError, match="files has other files"):
        Index.create("files", model)
    with pytest.raises(UserError, match="is a file"):
        Index.create("files/0.png", model)
    with pytest.raises(UserError, match="truncate_dim=33"):
        Index.create("new", model, truncate_dim=33)
    with pytest.raises(UserError, match="has no calibration"):
        Index.create("new", model, calibrate=True)
    with pytest.raises(UserError, match="no modality 'smell'"):
        index.add([Item("a", {"smell": "b"})])
    with pytest.raises(UserError, match="notes no model folder"):
        Index.open("idx").search(text="a")


def test_folders_that_are_no_index(index, model):
    with pytest.raises(UserError, match="none: no such index"):
        Index.open("none")
    assert not Path("none").exists()
    with pytest.raises(UserError, match="files is no index"):
        Index.open("files")
    os.remove("idx/index.json")
    with pytest.raises(UserError, match="idx is no index"):
        Index.open("idx")
    assert len(Index.create("idx", model)) == 0  # as after a kill between table and facts
    shutil.rmtree("idx/items.lance")
    with pytest.raises(UserError, match="half-written index"):
        Index.open("idx")
    Path("idx/items.lance/_versions").mkdir(parents=True)
    with pytest.raises(UserError, match="damaged index"):
        Index.open("idx")


def test_an_empty_index(model):
    index = Index.create("idx", model)
    assert (len(index), index.counts(), index.search(text="a"), index.search(words="a")) == (0, {}, [], [])
    for call in (index.build, index.recall):
        with pytest.raises(UserError, match="has no rows"):
            call()


def test_the_noted_folder_is_loaded(model):
    Index.create("idx", "m").add([Item("a", {"text": "a dog"})])
    assert Index.open("idx").search(text="a dog")[0].score == pytest.approx(1, abs=1e-6)
    shutil.move("m", "moved")
    with pytest.raises(UserError, match="m, the model of idx, is not there"):
        Index.open("idx").search(text="a dog")
    assert Index.open("idx", "moved").search(text="a dog")


def test_rows_of_a_table_as_one_vector(model):
    rows = [{"image": f"files/{i}.png", "text": TEXTS[i], "year": i} for i in range(4)]
    Path("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n")
    words = ["index", "m", "t.jsonl", "--to", "idx", "--fuse", "sum", "--device", "cpu", "--on-error", "skip"]
    assert cli(words) == 0
    index = Index.open("idx", model)
    assert index.counts() == {"image+text": 4}
    (best, *_) = index.search(image="files/2.png", text=TEXTS[2], fuse="sum", where="year > 0")
    assert (best.metadata, best.text) == ({"year": 2}, TEXTS[2])
    assert best.score == pytest.approx(1, abs=1e-6)
    found = index.add(find_items(["t.jsonl"], model.modalities, fused=True), on_error="skip", num_workers=1)
    assert (found.unchanged, len(found.failed)) == (4, 1)
