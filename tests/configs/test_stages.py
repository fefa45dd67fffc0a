"""A stage is one of several kinds: a later one takes an earlier one's place, and errors name what was meant."""

from pathlib import Path

import pytest

from onepeace_pl.cli import main
from onepeace_pl.cli.stand_in import resolve
from tests.configs.pages import ROOT

AUDIO = str(ROOT / "configs/quickstart_audio.yaml")  # its stage is {extend: audio}
STAGE = "--model.backbone.stage"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], {"extend": "audio"}),
        ([STAGE, "frozen"], "frozen"),
        ([STAGE, "{last: 2}"], {"last": 2}),
        (["--config", "later.yaml"], {"last": 1}),
        (["--config", "later.yaml", f"{STAGE}.last", "3"], {"last": 3}),
        (
            ["--config", "later.yaml", f"{STAGE}={{lora: 4, targets: [attention]}}"],
            {"lora": 4, "alpha": None, "dropout": 0.0, "targets": ["attention"]},
        ),
    ],
    ids=str,
)
def test_a_later_kind_takes_the_place(words, wanted, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("later.yaml").write_text("model: {backbone: {stage: {last: 1}}}")
    assert resolve(["--config", AUDIO, *words])["model"]["backbone"]["init_args"]["stage"] == wanted


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("{lastt: 2}", "LoRAStage has no option 'lastt'; did you mean 'last'?"),
        ("{lora: 8, last: 2}", "model.backbone.stage: onepeace_pl.backbone.LoRAStage has no option 'last'"),
        ("{lora: x}", "model.backbone.stage.lora: expected int, got 'x'"),
        ("{lora: 4, alfa: 2}", "LoRAStage has no option 'alfa'; did you mean 'alpha'?"),
        (
            "{lora: 4, targets: attention}",
            "model.backbone.stage.targets: expected tuple, got 'attention'",
        ),
        ("[1]", "model.backbone.stage: expected str or Extend or Last or LoRAStage, got [1]"),
        ("{last: 9}", "stage trains the last 9 blocks, but the encoder has 3; choose 0 to 3"),
        ("{lora: 4, targets: [atention]}", "target 'atention' of lora names no layer; did you mean"),
    ],
)
def test_errors(stage, message, capsys) -> None:
    assert main(["info", "--config", AUDIO, STAGE, stage]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
