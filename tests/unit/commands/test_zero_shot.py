"""zero-shot: labels and probabilities from the shell are those of the embedder."""

import csv
import json

import pytest

from onepeace_pl.cli import main as cli

from .test_embed import model  # noqa: F401 - a fixture

LABELS = ["bell", "drum", "dog"]


def test_results_are_those_of_the_embedder(model, capsys):  # noqa: F811
    words = ["zero-shot", "m", "0.png", "1.png", "--labels", *LABELS, "--device", "cpu"]
    wanted = model.classify(LABELS, ["a {}", "one {}"], image=["0.png", "1.png"])
    assert cli([*words, "--prompts", "a {}", "one {}", "--to", "r.csv"]) == 0
    printed = capsys.readouterr().out.splitlines()
    best = wanted.top(1)[0][0]
    assert printed[0].startswith(f"0.png: {best['label']} {best['probability']:.3f}")
    with open("r.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == wanted.predicted
    for row, values in zip(rows, wanted.probabilities.tolist(), strict=True):
        assert [float(row[f"p:{label}"]) for label in LABELS] == pytest.approx(values)
    assert cli([*words, "--prompts", "a {}", "one {}", "--to", "r.jsonl"]) == 0
    with open("r.jsonl") as file:
        lines = [json.loads(line) for line in file]
    assert [line["label"] for line in lines] == wanted.predicted
    assert list(lines[1]["probabilities"].values()) == pytest.approx(wanted.probabilities[1].tolist())


def test_audio_and_text(model, capsys):  # noqa: F811
    assert cli(["zero-shot", "m", "fast.wav", "--labels", *LABELS, "--device", "cpu", "--top", "1"]) == 0
    assert "fast.wav: " in capsys.readouterr().out
    words = ["zero-shot", "m", "a dog", "--modality", "text", "--labels", *LABELS, "--device", "cpu"]
    assert cli(words) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["0.png", "0.wav"], "several modalities"),
        (["a dog"], "give --modality"),
        (["0.png", "--to", "r.xls"], ".csv or .jsonl"),
        (["0.png", "--top", "0"], "--top 0"),
        (["0.png", "--prompts", "a"], "no placeholder"),
    ],
)
def test_bad_input(model, capsys, words, message):  # noqa: F811
    assert cli(["zero-shot", "m", *words, "--labels", *LABELS, "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err
