"""evaluate: retrieval on rows of one's own, with the vectors of the embedder."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch import Tensor

from onepeace_pl import OnePeace
from onepeace_pl.backbone import Backbone
from onepeace_pl.cli import main as cli
from onepeace_pl.modalities import ModalityInput
from tests.unit.hub.conftest import TEXTS, make_model

N = 6
WORDS = ["evaluate", "m", "--device", "cpu", "--batch-size", "4"]


def table(path: str, *lines: str) -> None:
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.fixture
def model() -> OnePeace:
    """A model with vectors that differ, and pictures, sounds and captions of six things."""
    made = make_model()
    with torch.no_grad():  # at the start all vectors are alike
        for parameter in made.backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    made.save_pretrained("m")
    rng = np.random.default_rng(0)
    for i in range(N):
        for name in (f"{i}.png", f"before{i}.png"):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(name)
        soundfile.write(f"{i}.wav", rng.normal(size=16000 + 800 * i) / 5, 16000)
    kinds = ("cat", "dog")
    table("pictures.tsv", "id\timage\tbefore", *(f"{i}\t{i}.png\tbefore{i}.png" for i in range(N)))
    table("sounds.csv", "id,audio,kind", *(f"{i},{i}.wav,{kinds[i % 2]}" for i in range(N)))
    table(
        "captions.jsonl",
        *(json.dumps({"id": str(i), "text": f"{TEXTS[i % 4]} {i} {n}"}) for i in range(N) for n in "ab"),
    )
    return made


def evaluate(*words: str, to: str = "out") -> Any:
    """Evaluate and return the results."""
    assert cli([*WORDS, *words, "--to", to]) == 0
    return json.loads(Path(to, "results.json").read_text())


def ranks(queries: Tensor, candidates: Tensor, right: Sequence[Sequence[int]]) -> Tensor:
    """Return the rank of the best right candidate of each query."""
    order = (queries @ candidates.T).argsort(1, descending=True).tolist()
    return torch.tensor([min(row.index(i) for i in own) + 1 for row, own in zip(order, right, strict=True)])


def recall(found: Tensor, k: int) -> float:
    return (found <= k).float().mean().item()


def test_the_vectors_are_those_of_encode(model: OnePeace, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate("--data", "pictures.tsv", "sounds.csv", "--directions", "a2i", "image2audio")
    image = model.encode(image=[f"{i}.png" for i in range(N)])
    audio = model.encode(audio=[f"{i}.wav" for i in range(N)])
    own = [[i] for i in range(N)]
    printed = capsys.readouterr().out
    for name, expected in (
        ("audio->image", ranks(audio, image, own)),
        ("image->audio", ranks(image, audio, own)),
    ):
        full = f"pictures_sounds/{name}"
        for k in (1, 5, 10):
            assert found["metrics"][f"{full}/R@{k}"] == pytest.approx(recall(expected, k))
        assert found["metrics"][f"{full}/median_rank"] == expected.double().quantile(0.5)
        assert found["counts"][full] == {"queries": N, "candidates": N}
        assert found["references"][f"{full}/R@1"] == {"chance": pytest.approx(1 / N)}
        (line,) = [line for line in printed.splitlines() if line.startswith(name)]
        bounds = found["intervals"][f"{full}/R@1"]
        assert f"{recall(expected, 1):.3f}  [{bounds['low']:.3f}, {bounds['high']:.3f}]" in line
        assert line.split()[-2:] == [str(N), str(N)]
    assert "pictures_sounds: 6 rows of 6 ids with audio, image\n" in printed
    assert printed.endswith("wrote out/report.md out/results.json out/gallery.png\n")
    assert Image.open("out/gallery.png").width > 300
    page = Path("out/report.md").read_text()
    assert page.startswith("# Retrieval by m\n")
    assert "| audio → image: 6 queries, 6 candidates | R@1 | R@5 | R@10 | median rank | nDCG@10 |" in page
    assert "optimum" not in page


def test_several_captions_of_one_picture(model: OnePeace, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = Counter[str]()
    embed = Backbone.embed

    def counted(self: Backbone, inputs: Mapping[str, ModalityInput]) -> dict[str, Tensor]:
        embedded.update({name: len(value.values) for name, value in inputs.items()})
        return embed(self, inputs)

    with monkeypatch.context() as patched:
        patched.setattr(Backbone, "embed", counted)
        found = evaluate("--data", "captions.jsonl", "pictures.tsv", "--directions", "i2t", "t2i")
    assert embedded == {"image": N, "text": 2 * N}  # two rows a picture, and batches of four
    image = model.encode(image=[f"{i}.png" for i in range(N)])
    texts = [f"{TEXTS[i % 4]} {i} {n}" for i in range(N) for n in "ab"]
    text = model.encode(text=texts)
    own = [[2 * i, 2 * i + 1] for i in range(N)]
    name = "captions_pictures/image->text"
    assert found["metrics"][f"{name}/R@1"] == pytest.approx(recall(ranks(image, text, own), 1))
    assert found["counts"][name] == {"queries": N, "candidates": 2 * N}
    assert found["counts"]["captions_pictures/text->image"] == {"queries": 2 * N, "candidates": N}


def test_composed_queries_by_every_vector(model: OnePeace, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", "sounds.csv", "pictures.tsv", "--columns", "image:reference=before"]
    found = evaluate(*data, "--directions", "ai2i")
    image = model.encode(image=[f"{i}.png" for i in range(N)])
    before, audio = [f"before{i}.png" for i in range(N)], [f"{i}.wav" for i in range(N)]
    own = [[i] for i in range(N)]
    vectors = {
        "audio_alone": model.encode(audio=audio),
        "image:reference_alone": model.encode(image=before),
        "sum": model.encode(audio=audio, image=before, fuse="sum"),
        "joint": model.encode(audio=audio, image=before, fuse="joint"),
    }
    composed = found["composed"]["sounds_pictures/audio+image:reference->image"]
    assert list(composed) == [*vectors, "joint-sum"]
    for name, query in vectors.items():
        assert composed[name]["R@1"]["value"] == pytest.approx(recall(ranks(query, image, own), 1)), name
    assert "audio+image:reference->image (sum)" in capsys.readouterr().out
    for fuse, expected in (("sum", "sum"), ("joint", "joint"), ("default", "sum")):
        alone = evaluate(*data, "--directions", "audio+image:reference->image", "--fuse", fuse)
        metrics = alone["metrics"]
        name = "sounds_pictures/audio+image:reference->image"
        assert metrics[f"{name}/R@1"] == composed[expected]["R@1"]["value"]
        assert not alone["composed"]
        assert f"{name}/sum/R@1" not in metrics
        label = {"joint": "joint pass"}.get(fuse, fuse)
        assert f"->image ({label})" in capsys.readouterr().out


def test_all_pairs_by_default_and_groups(model: OnePeace, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate("--data", "pictures.tsv", "sounds.csv", "captions.jsonl", "--groups", "kind")
    name = "pictures_sounds_captions"
    assert set(found["counts"]) == {
        f"{name}/{gallery}/{direction}"
        for gallery, directions in (
            ("image_audio", ("image->audio", "audio->image")),
            ("image_text", ("image->text", "text->image")),
            ("audio_text", ("audio->text", "text->audio")),
        )
        for direction in directions
    }
    metrics = found["metrics"]
    whole = metrics[f"{name}/image_audio/image->audio/R@1"]
    halves = [metrics[f"{name}/image_audio/image->audio/{kind}/R@1"] for kind in ("cat", "dog")]
    assert whole == pytest.approx(sum(halves) / 2)
    assert "cat only (3)" in Path("out/report.md").read_text()


def test_a_source_in_yaml_and_a_data_module(model: OnePeace) -> None:
    expected = evaluate("--data", "pictures.tsv", "sounds.csv", "--directions", "a2i")
    merged = """class_path: MergedSource
init_args:
  sources:
    pictures: {class_path: ManifestSource, init_args: {path: pictures.csv, id_column: id}}
    sounds: {class_path: ManifestSource, init_args: {path: sounds.csv, id_column: id}}
"""
    Path("pictures.csv").write_text(Path("pictures.tsv").read_text().replace("\t", ","))
    Path("mine.yaml").write_text(merged)
    alone = evaluate("--data", "mine.yaml", "--directions", "a2i")
    metrics = {name.replace("pictures_sounds", "mine"): value for name, value in expected["metrics"].items()}
    assert alone["metrics"] == metrics
    # the processors of a config are not used; this one has none
    indented = merged.replace("\n", "\n      ").rstrip()
    Path("data.yaml").write_text(
        "class_path: PairsDataModule\ninit_args:\n  processors: {}\n  test:\n    mine:\n      " + indented
    )
    within = evaluate("--data", "data.yaml", "--split", "test", "--directions", "a2i", "--limit", "5")
    assert within["partial"]
    assert within["counts"]["mine/audio->image"] == {"queries": 5, "candidates": 5}


def test_rows_that_cannot_be_read(model: OnePeace, capsys: pytest.CaptureFixture[str]) -> None:
    Path("2.wav").write_bytes(b"no sound")
    words = ["--data", "pictures.tsv", "sounds.csv", "--directions", "a2i"]
    assert cli([*WORDS, *words]) == 2
    assert "row 2 (id 2): 2.wav" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="skipped row 2"):
        found = evaluate(*words, "--on-error", "skip")
    assert (found["skipped"], found["partial"]) == (1, True)
    assert found["counts"]["pictures_sounds/audio->image"]["queries"] == N - 1
    assert "skipped: 1 rows that could not be prepared, listed in out/skipped.tsv" in capsys.readouterr().out
    assert "2.wav" in Path("out/skipped.tsv").read_text()
    assert "listed in skipped.tsv" in Path("out/report.md").read_text()


def test_ids_that_one_table_lacks(model: OnePeace, capsys: pytest.CaptureFixture[str]) -> None:
    table("sounds.csv", "id,audio", *(f"{i},{i}.wav" for i in range(1, N)))
    words = ["--data", "pictures.tsv", "sounds.csv", "--directions", "a2i"]
    assert cli([*WORDS, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "1 of 6 ids are not in all of pictures.tsv, sounds.csv; the first: '0' is not in sounds.csv" in line
    )
    assert cli([*WORDS, *words, "--incomplete", "skip"]) == 0
    assert capsys.readouterr().out.startswith("note: 1 of 6 ids are not in all of")


def test_duplicates_are_merged_or_counted(model: OnePeace) -> None:
    table("same.csv", "image,text", "0.png,a dog", "1.png,a dog", "2.png,rain")
    merged = evaluate("--data", "same.csv")
    assert merged["counts"]["same/image->text"] == {"queries": 3, "candidates": 2}
    apart = evaluate("--data", "same.csv", "--no-merge-duplicates")
    assert apart["counts"]["same/image->text"] == {"queries": 3, "candidates": 3}


def test_tables_whose_ids_have_other_names(model: OnePeace) -> None:
    expected = evaluate("--data", "pictures.tsv", "sounds.csv")
    header, *rows = Path("sounds.csv").read_text().replace("id,", "uniq_id,", 1).splitlines()
    table("sounds.csv", header, *rows[::-1])
    found = evaluate("--data", "pictures.tsv", "sounds.csv", "--id-column", "id", "uniq_id")
    assert found["metrics"] == expected["metrics"]


def test_folders_are_merged_by_the_names_of_files(model: OnePeace) -> None:
    for folder, ending in (("pictures", "png"), ("sounds", "wav")):
        Path(folder).mkdir()
        for i in range(N):
            Path(f"{i}.{ending}").rename(f"{folder}/{i}.{ending}")
    found = evaluate("--data", "pictures", "sounds")
    assert found["counts"]["pictures_sounds/audio->image"] == {"queries": N, "candidates": N}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--directions", "v2i"],
            "direction 'v2i': the model has no modality 'v'; it has text, image, audio",
        ),
        (["--directions", "motion2text"], "direction 'motion2text': the model has no modality 'motion'"),
        (["--directions", "audio-"], "(quoted: > is special to a shell)"),
        (["--directions", "ai2i"], "image is on both sides, so that a query would find itself"),
        (["--directions", "t2i"], "direction 't2i': pictures.tsv, sounds.csv has no column 'text'"),
        (["--columns", "image=photo"], "no column 'photo'"),
        (["--columns", "photo"], "write FIELD=COLUMN"),
        (["--columns", "smell=kind"], "no modality 'smell'"),
        (
            ["--id-column", "image_id"],
            "pictures.tsv: no column of ids named image_id; it has id, image, before",
        ),
        (["--groups", "sort"], "no column 'sort'"),
        (["--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["--limit", "0"], "--limit 0 must be at least 1"),
        (["--device", "cpuu"], "no device 'cpuu' here"),
        (["--to", "sounds.csv"], "--to sounds.csv is a file; give a folder"),
        (
            ["--data", "pictures.tsv"],
            "a pair takes two modalities, and there are columns of image; name yours",
        ),
        (["--data", "gone.tsv"], "gone.tsv: No such file or directory"),
        (["--data", "gone.tsv", "sounds.csv"], "gone.tsv: No such file or directory"),
        (["--data", "rows.parquet", "sounds.csv"], "rows.parquet: a table ends in .tsv, .csv, .jsonl"),
        (["--data", "esc5"], "no such table or folder, and no config 'esc5'; did you mean 'esc50'?"),
        (["--data", "esc50", "--root", "."], "--root is for tables"),
        (["--data", "two.yaml"], "2 values of image a row; give each row one"),
        (["--data", "alone.yaml"], "alone.yaml: no rows for a pair of modalities: alone has image"),
    ],
)
def test_mistakes_take_one_line(
    model: OnePeace, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("alone.yaml").write_text("class_path: ManifestSource\ninit_args: {path: alone.csv}\n")
    table("alone.csv", "image", "0.png")
    columns = "columns: {image: [left, right], text: says}"
    Path("two.yaml").write_text(f"class_path: ManifestSource\ninit_args: {{path: two.csv, {columns}}}\n")
    table("two.csv", "left,right,says", "0.png,1.png,a dog", "2.png,3.png,a cat")
    data = [] if "--data" in words else ["--data", "pictures.tsv", "sounds.csv"]
    assert cli([*WORDS, *data, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
