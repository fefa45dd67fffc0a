"""Whole sweeps with runs that only pretend: what is run, what is not run again, what goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from onepeace_pl.sweeps.leash import main as leash
from onepeace_pl.utils.claim import Claim


def test_what_is_finished_is_not_run_again(sweep, starts, capsys):
    assert sweep(seeds=[0, 1], workers=2).run()
    assert starts() == ["a,seed=0 fit", "a,seed=1 fit"]
    assert "[2/2] a,seed=" in capsys.readouterr().out
    assert sweep(seeds=[0, 1, 2]).run()
    assert starts() == ["a,seed=2 fit"]
    assert "a,seed=0: already finished" in capsys.readouterr().out
    assert sorted(path.name for path in Path("runs/s").iterdir() if path.is_file()) == [
        "sweep.yaml",
        "table.csv",
        "table.md",
        "table.png",
    ]


def test_a_result_counts_although_the_sweep_was_killed_before_it_took_note(sweep, starts):
    sweep().run()
    starts()
    record = Path("runs/s/a,seed=0/trial.json")
    record.write_text(record.read_text().replace('"seconds": ', '"seconds": 10'))
    assert sweep().run()
    assert starts() == []


def test_a_changed_config_is_run_anew_and_the_older_run_kept(sweep, starts, capsys):
    sweep().run()
    starts()
    Path("a.yaml").write_text("x: 2\n")
    assert not sweep().write_table()
    assert "its config has changed since" in Path("runs/s/table.md").read_text()
    assert sweep().run()
    assert starts() == ["a,seed=0 fit"]
    assert "a,seed=0: its config has changed since; it runs again" in capsys.readouterr().out
    assert Path("runs/s/a,seed=0.1/results.json").is_file()


def test_a_failed_run_is_a_row_and_is_retried_on_request(sweep, starts):
    runs = {
        "a": {"config": "a.yaml"},
        "b": {"config": "a.yaml", "options": {"fake.error": "no luck; try again"}},
    }
    assert not sweep(runs=runs).run()
    assert starts() == ["a,seed=0 fit", "b,seed=0 fit"]
    assert "| seed 0: failed: no luck; try again |" in Path("runs/s/table.md").read_text()
    assert not sweep(runs=runs).run()
    assert starts() == []
    assert not sweep(runs=runs).run(retry_failed=True)
    assert starts() == ["b,seed=0 fit"]
    log = Path("runs/s/b,seed=0/log.txt").read_text()
    assert log.count("$ python -m onepeace_pl fit --config a.yaml") == 2


def test_a_killed_run_goes_on_next_time(sweep, starts):
    options = {"common": {"options": {"fake.kill": 1}}}
    assert not sweep(**options).run()
    assert "| seed 0: unfinished: ended by SIGKILL |" in Path("runs/s/table.md").read_text()
    assert sweep(**options).run()
    assert starts() == ["a,seed=0 fit", "a,seed=0 fit on"]


def test_test_follows_fit_and_is_made_up_for_alone(sweep, starts):
    runs = {"a": {"config": "a.yaml", "verbs": ["fit", "test"], "options": {"fake.value": 0.5}}}
    assert sweep(runs=runs).run()
    assert starts() == ["a,seed=0 fit", "a,seed=0 test on"]
    page = Path("runs/s/table.md").read_text()
    assert "| a | test/score | 0.5000 |" in page
    commands = [line for line in page.splitlines() if line.startswith("python -m")]
    assert [line.endswith("--ckpt_path last") for line in commands] == [False, True]
    Path("runs/s/a,seed=0/results-test.json").unlink()
    assert sweep(runs=runs).run()
    assert starts() == ["a,seed=0 test on"]


def test_a_folder_that_is_something_else_is_kept(sweep, starts):
    Path("runs/s/a,seed=0").mkdir(parents=True)
    Path("runs/s/a,seed=0/mine.txt").write_text("")
    assert sweep().run()
    assert Path("runs/s/a,seed=0.1/mine.txt").is_file()
    Path("runs/s/config.yaml").write_text("")
    with pytest.raises(ValueError, match="'runs/s' is the folder of a run; give the sweep another name"):
        sweep()


def test_two_sweeps_never_run_the_same_cell(sweep, starts):
    made = [
        sweep(seeds=list(range(6)), workers=2, common={"options": {"fake.seconds": 0.2}}) for _ in range(2)
    ]
    results = []
    threads = [threading.Thread(target=lambda s=s: results.append(s.run())) for s in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]
    assert starts() == [f"a,seed={seed} fit" for seed in range(6)]


def test_a_cell_of_a_killed_sweep_waits_for_its_run(sweep, starts, monkeypatch):
    claim, said = Claim(Path("runs/s/.claims/a,seed=0")), []

    def hear(*words, **_):
        said.append(" ".join(map(str, words)))
        if said[-1].endswith("is at work on it"):
            claim.give_up()

    monkeypatch.setattr("builtins.print", hear)
    assert sweep().run()
    assert starts() == ["a,seed=0 fit"]
    assert any(line.endswith("is at work on it") for line in said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_runs_which_then_go_on(sweep, starts, number, capsys):
    options = {"seeds": [0, 1, 2], "workers": 2, "common": {"options": {"fake.seconds": 3600}}}
    threading.Thread(target=_strike_after_start, args=(number, 2), daemon=True).start()
    assert not sweep(**options).run()
    assert "stopped by a signal; the same command goes on" in capsys.readouterr().out
    assert len(starts()) == 2
    options["seeds"] = [0, 1]
    assert sweep(**options).run()
    assert starts() == ["a,seed=0 fit on", "a,seed=1 fit on"]


def _strike_after_start(number, runs):
    path = Path("starts.txt")
    while not path.exists() or len(path.read_text().splitlines()) < runs:
        time.sleep(0.05)
    os.kill(os.getpid(), number)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_run_ends_with_its_sweep():
    script = (
        "import os, subprocess, sys; "
        "p = subprocess.Popen([sys.executable, '-m', 'onepeace_pl.sweeps.leash', str(os.getpid()), "
        "sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)']); "
        "print(p.pid, flush=True); p.wait()"
    )
    root = str(Path(leash.__code__.co_filename).parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "1\n"
    parent.kill()
    parent.wait()
    for _ in range(6000):
        if not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the run outlived its sweep")
