"""A claim ends with who holds it, and not before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onepeace_pl.utils.claim import HOST, Claim

PATH = Path("claims/a")
HOLD = "import os, sys, time; print('ready', flush=True); time.sleep(3600)"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_at_a_time():
    with Claim(PATH) as first:
        assert first.held
        second = Claim(PATH)
        assert not second.held
        assert second.owner.startswith(f"{HOST} (process ")
    assert Claim(PATH).held


@pytest.fixture
def heir():
    """Start a process that shares a claim, and give the claim up as a killed sweep would: without a word."""
    claim = Claim(PATH)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], pass_fds=[claim.file], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    os.close(claim.file)
    yield process
    process.kill()
    process.wait()


def test_a_run_keeps_the_claim_of_a_sweep_that_was_killed(heir):
    assert not Claim(PATH).held
    heir.kill()
    heir.wait()
    assert PATH.read_text().startswith(HOST)
    assert Claim(PATH).held


def test_a_claim_of_another_host_is_believed_until_it_is_taken_over():
    PATH.parent.mkdir()
    PATH.write_text("elsewhere (process 7)")
    claim = Claim(PATH)
    assert not claim.held
    assert claim.owner == "elsewhere (process 7)"
    with Claim(PATH, take_over=True) as claim:
        assert claim.held
    assert PATH.read_text() == ""
