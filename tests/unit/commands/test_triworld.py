from pathlib import Path

import pytest

from onepeace_pl.commands.triworld import main


def test_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    assert main(["sheet", "--out", str(out), "--scenes", "3"]) == 0
    assert out.stat().st_size > 10_000
    assert capsys.readouterr().out.strip() == str(out)


def test_write(tmp_path: Path) -> None:
    words = ["--scenes", "2", "--eval-scenes", "0", "--image-size", "48", "--seconds", "1"]
    assert main(["write", "--out", str(tmp_path / "w"), *words]) == 0
    assert (tmp_path / "w" / "train.tsv").is_file()
    assert not (tmp_path / "w" / "val_new.tsv").exists()


def test_optimum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimum", "--size", "16"]) == 0
    printed = capsys.readouterr().out
    for line in ("chance (16 scenes)", "image->text", "audio->text (without rhythm)", "audio+text->image"):
        assert line in printed


def test_help_and_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "triworld sheet" in capsys.readouterr().out
    with pytest.raises(ValueError, match="'paint'; there are sheet, write, optimum"):
        main(["paint"])
