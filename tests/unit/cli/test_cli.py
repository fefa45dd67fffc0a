"""The dispatcher: verbs, help without torch, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import ToyExperiment

import onepeace_pl
from onepeace_pl.cli import commands, main


def test_help_and_version(capsys):
    assert main([]) == main(["--help"]) == main(["-h"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in ("fit", "validate", "test", "predict", "info", "configs"))
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == onepeace_pl.__version__


def test_help_costs_no_torch():
    code = "import sys; from onepeace_pl.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode
        == 0
    )


def test_every_command_has_a_line_of_help():
    assert {"info", "configs"} <= commands().keys()
    assert all(line.endswith(".") for line in commands().values())


def test_mistyped_verb(capsys):
    assert main(["fti"]) == 2
    assert capsys.readouterr().err == "error: no verb 'fti'; did you mean 'fit'?\n"


def test_a_refusal_is_one_line_and_a_defect_a_traceback(capsys, classify, monkeypatch):
    words = ["fit", "-c", str(classify), "--model.backbone.stage=none"]
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("error: stage 'none' trains nothing; choose 'all'\n")
    monkeypatch.setenv("ONEPEACE_PL_DEBUG", "1")
    with pytest.raises(ValueError, match="trains nothing"):
        main(words)
    monkeypatch.delenv("ONEPEACE_PL_DEBUG")
    monkeypatch.setattr(ToyExperiment, "configure_optimizers", lambda self: int("many"))
    with pytest.raises(ValueError, match="invalid literal"):
        main(["fit", "-c", str(classify)])


def test_random_weights_are_not_measured_by_mistake(capsys, classify):
    for verb in ("validate", "test", "predict"):
        assert main([verb, "-c", str(classify)]) == 2
        assert f"error: {verb} would measure random weights: give --ckpt_path" in capsys.readouterr().err
    assert main(["validate", "-c", str(classify), "--model.random_weights", "true"]) == 0
    assert main(["test", "-c", str(classify), "--model.init_from", "somewhere"]) == 0
    assert not Path("runs/classify/config.yaml").exists()  # only fit writes it


def test_missing_checkpoint(capsys, classify):
    assert main(["fit", "-c", str(classify), "--ckpt_path", "gone.ckpt"]) == 2
    assert "error: --ckpt_path: no file or folder 'gone.ckpt'" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_python_m_passes_the_exit_code_on(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(onepeace_pl.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "onepeace_pl", "fti"],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: no verb 'fti'")


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    """As ``configs ls | head -1``, whose end of the pipe is closed before all is written."""
    code = "import sys; from onepeace_pl.cli import main; sys.exit(main(['configs', 'ls']))"
    for lines in (0, 1):
        with subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            for _ in range(lines):
                process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode in (0, 141)
