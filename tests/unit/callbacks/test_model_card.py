"""The card of a run's model folder: results beside chance and optimum, and the picture of the report."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from onepeace_pl import OnePeace
from onepeace_pl.cli import main
from tests.configs.pages import SHORT


def test_the_card_of_a_run_has_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    run = tmp_path / "run"
    monkeypatch.chdir(root)
    small = ["--model.backbone.transformer.preset", "debug"]
    words = ["fit", "--config", "configs/quickstart.yaml", "--run", str(run), *SHORT, *small]
    assert main(words) == 0
    folder = run / "model"
    card = ModelCard.load(folder / "README.md")
    results = json.loads((run / "results.json").read_text())
    found = {f"val/{r.dataset_name}/{r.metric_name}": r.metric_value for r in card.data.eval_results}
    assert {"val/image_text/image->text/R@1", "val/image_text/text->image/R@1"} <= set(found)
    for name, value in found.items():
        assert value == pytest.approx(results["metrics"][name], abs=1e-4)
        low, chance = results["intervals"][name]["low"], results["references"][name]["chance"]
        optimum = results["references"][name]["optimum"]
        metric = name.removeprefix("val/").replace("->", " to ").replace("/", " ")
        row = next(x for x in card.text.splitlines() if x.replace("| ", "").startswith(f"{metric} "))
        assert f"{results['metrics'][name]:.3f} [{low:.3f}, " in row
        assert row.endswith(f"| {chance:.3f} | {optimum:.3f} |")
    assert card.data.license == "apache-2.0"
    assert (folder / "gallery.png").read_bytes() == (run / "gallery.png").read_bytes()
    assert "](gallery.png)" in card.text
    assert "| task | Pretraining |" in card.text
    assert "Validation of the weights of step 2" in card.text
    saved = OnePeace.from_pretrained(folder, "cpu").save_pretrained(tmp_path / "new")
    assert (saved / "gallery.png").is_file()
