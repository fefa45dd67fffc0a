"""Where runs happen: what they see of the machine, and jobs of a cluster, tried out on this machine."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from onepeace_pl.sweeps.executor import Processes
from onepeace_pl.sweeps.reading import read_plan
from onepeace_pl.sweeps.trial_run import TrialRun

LOCAL = {"cluster": "local", "options": {"timeout_min": 60}}


def test_every_worker_has_its_gpus_and_its_share_of_the_cores(write, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    plan = read_plan(write(workers=2, executor={"gpus": ["0,1", "2,3"]}))
    seen = []
    monkeypatch.setattr(TrialRun, "__call__", lambda self, stop, environment: seen.append(environment))
    processes = Processes(plan)
    for job in [processes.submit(TrialRun(None)) for _ in range(6)]:
        job.result()
    assert {each["CUDA_VISIBLE_DEVICES"] for each in seen} <= {"0,1", "2,3"}
    assert all(each["OMP_NUM_THREADS"] == "4" for each in seen)


def test_submitit_runs_cells_as_jobs(sweep, starts):
    assert sweep(executor=LOCAL, seeds=[0, 1], workers=2).run()
    assert starts() == ["a,seed=0 fit", "a,seed=1 fit"]
    assert len(list(Path("runs/s/.claims/jobs").glob("*_submitted.pkl"))) == 2


def test_a_job_that_is_preempted_goes_on_in_another(sweep, starts):
    threading.Thread(target=_preempt, daemon=True).start()
    assert sweep(executor=LOCAL, common={"options": {"fake.seconds": 3600}}).run()
    assert starts() == ["a,seed=0 fit", "a,seed=0 fit on"]


def _preempt():
    while not Path("starts.txt").exists():
        time.sleep(0.05)
    owner = Path("runs/s/.claims/a,seed=0").read_text()
    os.kill(int(owner.rpartition(" ")[2].rstrip(")")), signal.SIGUSR2)  # as SLURM does


@pytest.mark.parametrize(
    ("executor", "line"),
    [
        ({"cluster": "local", "options": {"timeout": 2}}, "executor: .*timeout"),
        ({"cluster": "slurm"}, "executor: .*srun"),
    ],
)
def test_what_submitit_refuses(sweep, executor, line):
    with pytest.raises(ValueError, match=line):
        sweep(executor=executor).run()
    assert not Path("runs/s/a,seed=0").exists()


def test_the_missing_package_is_named(sweep, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(
        ValueError, match=r"executor.cluster needs submitit: pip install 'onepeace-pl\[sweep\]'"
    ):
        sweep(executor=LOCAL).run()
