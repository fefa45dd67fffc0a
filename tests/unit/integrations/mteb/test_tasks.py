"""Tasks of mteb: they give the numbers of our own metric on the same gallery. Needs ``mteb``."""

import pytest
import soundfile
import torch
from PIL import Image

from onepeace_pl.data.evaluation.gallery import Gallery, pair_galleries
from onepeace_pl.data.loading.content import joint_content, raw_content
from onepeace_pl.data.source import Row, RowList
from onepeace_pl.errors import UserError
from onepeace_pl.metrics import RetrievalMetric
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.triworld import TriWorldSource, galleries

pytest.importorskip("mteb", reason="needs mteb: pip install 'mteb>=2.26,<3'")

import mteb

from onepeace_pl.integrations.mteb import OnePeaceEncoder, gallery_tasks, triworld_tasks
from onepeace_pl.integrations.mteb.tasks import TRIWORLD

pytestmark = pytest.mark.filterwarnings("ignore:.*(were|was) cut")


def scores_of(encoder, task):
    (result,) = mteb.evaluate(encoder, task, cache=None, show_progress_bar=False).task_results
    ((split, (scores,)),) = result.scores.items()
    return split, scores


def expected(model, gallery: Gallery, reverse: bool, fuse=None):
    """Our metric, on vectors of ``OnePeace.encode``."""
    sides = [gallery.target, gallery.query] if reverse else [gallery.query, gallery.target]
    rows = [gallery.rows[index] for index in range(len(gallery.rows))]
    vectors = [
        model.encode(**{modality_of(n): [row.fields[n] for row in rows] for n in side}, fuse=fuse)
        for side in sides
    ]
    digests = {
        name: torch.tensor([raw_content(row.fields[name]) for row in rows]) for name in gallery.modalities
    }
    contents = tuple(joint_content(digests, side) for side in sides) if gallery.merge_duplicates else None
    metric = RetrievalMetric(
        *sides,
        both_directions=False,
        merge_duplicates=gallery.merge_duplicates,
        one_per_id=gallery.one_per_id,
    )
    metric.update(*vectors, [row.id for row in rows], torch.arange(len(rows)), contents)
    (direction,) = metric.compute().directions.values()
    return direction


def check(scores, direction):
    for k in (1, 5, 10):
        assert scores[f"hit_rate_at_{k}"] == pytest.approx(direction.recall[k], abs=1e-5)  # mteb rounds
    assert scores["ndcg_at_10"] == pytest.approx(direction.ndcg, abs=1e-5)
    assert scores["main_score"] == scores["ndcg_at_10"]


@pytest.mark.parametrize("category", TRIWORLD)
def test_triworld_gives_our_numbers(model, folder, category):
    (task,) = triworld_tasks([category], size=24)
    (gallery,) = galleries([TRIWORLD[category]], size=24)
    assert task.metadata.name == f"TriWorld{category.upper()}Retrieval"
    split, scores = scores_of(OnePeaceEncoder(folder, device="cpu"), task)
    assert split == "val"
    direction = expected(model, gallery, reverse=category in ("t2i", "t2a", "i2a"))
    check(scores, direction)
    if (direction.positives == 1).all():
        assert scores["recall_at_1"] == pytest.approx(direction.recall[1], abs=1e-5)


def test_both_fusions(model, folder):
    (task,) = triworld_tasks(["at2i"], size=24)
    (gallery,) = galleries(["audio+text_image"], size=24)
    found = {}
    for fuse in ("sum", "joint"):
        _, found[fuse] = scores_of(OnePeaceEncoder(folder, device="cpu", fuse=fuse), task)
        check(found[fuse], expected(model, gallery, reverse=False, fuse=fuse))
    assert found["sum"]["ndcg_at_10"] != found["joint"]["ndcg_at_10"]


@pytest.mark.parametrize("merge", [True, False])
def test_rows_of_ones_own(model, merge):
    """Two captions an image; where duplicates are merged, one is that of two images."""
    scenes = TriWorldSource(split="val", size=12, modalities=("image", "text"))
    rows = [
        Row(scenes[i].id, {"image": scenes[i].fields["image"], "text": text})
        for i in range(12)
        for text in (scenes[i].fields["text"], f"scene {i // (2 if merge else 1)}")
    ]
    source = RowList(rows)
    source.one_per_id = lambda: ("image",)
    (gallery,) = pair_galleries("mine", source, merge_duplicates=merge)
    tasks = gallery_tasks(gallery, "Mine")
    assert [task.metadata.name for task in tasks] == ["MineI2TRetrieval", "MineT2IRetrieval"]
    for reverse, task in enumerate(tasks):
        split, scores = scores_of(OnePeaceEncoder(model), task)
        assert split == "test"
        check(scores, expected(model, gallery, bool(reverse)))
        task.load_data()
        data = task.dataset["default"]["test"]
        texts = 18 if merge else 24
        assert [len(data["queries"]), len(data["corpus"])] == ([texts, 12] if reverse else [12, texts])


def test_files(model, folder, tmp_path):
    """Paths, and audio of another rate, which mteb resamples as we do."""
    scenes = TriWorldSource(split="val", size=6, modalities=("image", "audio"))
    rows = []
    for index in range(6):
        fields = scenes[index].fields
        image, audio = tmp_path / f"{index}.png", tmp_path / f"{index}.wav"
        Image.fromarray(fields["image"]).save(image)
        soundfile.write(audio, fields["audio"][0][::2], 8000)
        rows.append(Row(str(index), {"image": str(image), "audio": str(audio)}))
    (gallery,) = pair_galleries("mine", RowList(rows))
    for reverse, task in enumerate(gallery_tasks(gallery, "Files")):
        _, scores = scores_of(OnePeaceEncoder(folder, device="cpu"), task)
        check(scores, expected(model, gallery, bool(reverse)))


def test_revision_is_that_of_the_content():
    revisions = {
        triworld_tasks(["t2i"], size=size, seed=seed)[0].metadata.revision
        for size, seed in ((8, 0), (9, 0), (8, 1), (8, 0))
    }
    assert len(revisions) == 3


def test_mistakes():
    with pytest.raises(UserError, match="category 'v2t': TriWorld has i2t, t2i"):
        triworld_tasks(["v2t"])
    with pytest.raises(UserError, match="split='train'"):
        triworld_tasks(["t2i"], split="train")
    scenes = TriWorldSource(split="val", size=2, modalities=("motion", "text"))
    with pytest.raises(UserError, match="one each of image, audio, text on a side; got motion"):
        gallery_tasks(Gallery(name="m", query=("motion",), target=("text",), rows=scenes), "M")
    (gallery,) = galleries(["audio+image_image"], size=8)
    with pytest.raises(UserError, match="mteb has no category 'ia2i'"):
        gallery_tasks(gallery, "M")
    two = RowList([Row("0", {"text": ("a", "b"), "image": "a.png"})])
    (gallery,) = pair_galleries("two", two)
    with pytest.raises(UserError, match="a row has 2 values of text"):
        gallery_tasks(gallery, "Two")[1].load_data()
