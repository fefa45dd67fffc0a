"""The package as users get it: built, installed into an environment of its own, used outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIT = [
    *(
        "--model.backbone",
        "configs/parts/backbone/debug.yaml",
        "--trainer.max_steps",
        "1",
        "--data.size",
        "16",
    ),
    *("--data.gallery_size", "8", "--data.batch_size", "4", "--data.num_workers", "0"),
    *("--data.image_size", "64", "--data.processors.image.size", "64"),
    *("--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "1"),
]
USE = f"""
import os, sys
from pathlib import Path
import onepeace_pl
from onepeace_pl.cli import main
from onepeace_pl.cli.shipped import find_config
from onepeace_pl.sweeps.reading import read_plan
assert Path(onepeace_pl.__file__).is_relative_to(sys.prefix), onepeace_pl.__file__
for name in sys.stdin.read().split():
    assert find_config(name).is_relative_to(sys.prefix), name
for words in [
    ["fit", "--config", "quickstart", *{FIT}],
    ["configs", "cp", "configs/quickstart.yaml", "my"],
    ["configs", "show", "my/quickstart.yaml"],
    ["configs", "check", "configs/mine.yaml"],
    ["data", "layout", "esc50"],
]:
    assert main(words) == 0, words
assert Path("runs/quickstart/report.md").is_file()
assert len(read_plan(find_config("quick", kind="sweep")).runs) == 2
assert "tasks" not in sys.modules
"""


def run(*words: str | Path, cwd: Path, given: str = "") -> str:
    """Run a program that does not see the checkout and return what it prints."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, input=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(source: Path, folder: Path, *kinds: str) -> None:
    chosen = [word for kind in kinds for word in ("-t", kind)]
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, *chosen, cwd=source)


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "wheel", "sdist")
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def test_the_wheel_owns_one_name(wheel: Path) -> None:
    names = content(wheel)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"onepeace_pl"}
    for folder in ("tasks", "configs"):
        here = {
            p.relative_to(ROOT).as_posix()
            for p in (ROOT / folder).rglob("*.*")
            if p.suffix in (".py", ".yaml")
        }
        assert {f"onepeace_pl/{name}" for name in here} <= names.keys()


def test_the_sdist_builds_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / "again", "wheel")
    assert content(tmp_path / "again" / wheel.name) == content(wheel)


def test_use_outside_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """A user's own tasks.py, tasks/ and configs/ are in the way of nothing."""
    environment, folder = tmp_path / "environment", tmp_path / "user"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin/python"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", wheel]
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=tmp_path)
    (site,) = environment.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(borrowed))
    (folder / "tasks").mkdir(parents=True)
    (folder / "configs").mkdir()
    for name in ("tasks.py", "tasks/__init__.py"):
        (folder / name).write_text("raise RuntimeError('not yours')")
    (folder / "configs/mine.yaml").write_text(
        "config: quickstart\nmodel: {backbone: {transformer: {depth: 2}}}\n"
    )
    listed = run(environment / "bin/onepeace-pl", "configs", "ls", cwd=folder)
    names = [line.split()[0] for line in listed.splitlines()]
    assert "configs/quickstart.yaml" in names
    run(python, "-c", USE, cwd=folder, given="\n".join(names))
