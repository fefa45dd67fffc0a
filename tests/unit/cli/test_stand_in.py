"""``info``, ``configs check`` and ``sweep --dry-run`` refuse what ``fit`` refuses, in the same words."""

from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main

WRONG = [
    ("data: {class_path: TriWorldDataModule, init_args: {batch_size: 0}}", "batch_size=0 must be at least 1"),
    (
        "data: {class_path: TriWorldDataModule, init_args: {num_workers: -1}}",
        "num_workers=-1 must be at least 0",
    ),
    (
        "trainer: {precision: bf17}",
        "bf16-mixed, 32-true, 64-true, 64, 32, 16, bf16, got bf17; did you mean 'bf16'?",
    ),
    ("trainer: {strategy: dpp}", "invalid strategy name: `strategy='dpp'`"),
    ("trainer: {accelerator: gpuu}", "invalid accelerator name: `accelerator='gpuu'`"),
    ("trainer: {devices: 0}", "devices"),
    ("trainer: {max_steps: -5}", "`max_steps` must be"),
    ("trainer: {logger: MLFlowLogger}", "Requirement 'mlflow"),
    ("trainer: {logger: [{class_path: WandbLogger}]}", "Requirement 'wandb"),
]


def refused(capsys, words):
    assert main(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(("wrong", "line"), WRONG)
def test_what_fit_refuses(classify, capsys, wrong, line):
    """All four verbs for the first ones: there is one way for all."""
    Path("wrong.yaml").write_text(f"config: {classify}\n{wrong}")
    Path("s.yaml").write_text("runs: {a: {config: wrong.yaml}}")
    verbs = [["fit", "-c", "wrong.yaml"], ["info", "-c", "wrong.yaml"]]
    if wrong in dict(WRONG[:3]):
        verbs += [["configs", "check", "wrong.yaml"], ["sweep", "s.yaml", "--dry-run"]]
    for words in verbs:
        assert line in refused(capsys, words), words
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "hardware",
    [
        {"accelerator": "gpu", "devices": 8, "num_nodes": 4, "precision": "16-mixed"},
        {"accelerator": "cuda", "devices": "0,1", "strategy": "ddp"},
        {"devices": -1, "strategy": {"class_path": "lightning.pytorch.strategies.FSDPStrategy"}},
        {"accelerator": "gpu", "strategy": {"class_path": "FullyShardedStrategy"}, "precision": "bf16-mixed"},
    ],
)
def test_what_this_machine_lacks_is_no_matter(classify, capsys, hardware):
    Path("big.yaml").write_text(yaml.safe_dump({"config": str(classify), "trainer": hardware}))
    assert main(["configs", "check", "big.yaml"]) == 0
    assert not Path("runs").exists()
