"""What README.md and docs/guide/how_it_works.md tell a reader to run, in their order, with fewer updates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.triworld import TriWorldSource
from tests.configs.pages import ROOT, SHORT, TASK_SHORT, blocks, commands


def test_the_readme_is_short_and_names_two_commands_for_the_start() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    start = blocks("README.md", "bash")[0].splitlines()
    assert len(start) == 2
    assert start[0].startswith("python -m pip install uv && uv run python -m onepeace_pl fit --config")
    assert start[1] == "uv run pytest"


def test_every_command_and_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    *started, task = commands("README.md")
    listed = started + commands("docs/guide/how_it_works.md")
    assert [words[0] for words in listed] == ["fit", "fit", "compare"]
    for words in listed:
        assert main([*words, *(SHORT if words[0] == "fit" else [])]) == 0, words
    assert main([*task, *TASK_SHORT, "--model.init_from", "runs/quickstart_audio/model"]) == 0
    # embedding with a checkpoint; --ckpt_path brings the run's config
    assert main(["predict", "--ckpt_path", "runs/quickstart/checkpoints/last.ckpt"]) == 0
    vectors = np.load("runs/quickstart/predictions/image_text.npz")
    assert vectors["image"].shape == vectors["text"].shape == (16, 128)
    assert len(set(vectors["ids"])) == 16
    row = TriWorldSource(size=1, modalities=("image", "audio", "text"), caption="audiovisual")[0]
    Image.fromarray(np.asarray(row.fields["image"])).save("photo.png")
    wave, rate = row.fields["audio"]
    soundfile.write("bell.flac", wave, rate)
    (example,) = blocks("README.md", "python")
    exec(example, found := {})
    assert found["text"].shape == found["both"].shape == found["audio"].shape
    assert found["both"].norm() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow  # test_every_config.py builds them
@pytest.mark.parametrize(
    "names",
    [("quickstart_alignment",), ("pretraining/triworld_vision", "pretraining/triworld_audio")],
    ids=" ".join,
)
def test_runs_on_the_generated_world(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        few = ["--data.novel_size", "16"] if name.startswith("experiment/") else []
        assert main(["fit", "--config", str(ROOT / f"configs/{name}.yaml"), *SHORT, *few]) == 0
        assert Path("runs", Path(name).name, "report.md").is_file()
