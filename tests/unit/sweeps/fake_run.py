"""Stands in for ``python -m onepeace_pl``: writes what a run writes, without torch.

Options under ``--fake.``: ``value`` (the metric), ``error`` (say it and fail), ``seconds`` (take so long), ``kill``
(end by SIGKILL, once). Each start is a line of ``starts.txt`` in the working directory.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

words = sys.argv[1:]
options = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
folder = Path(words[words.index("--run") + 1])
checkpoint = folder / "checkpoints" / "last.ckpt"


def stop(number: int, frame: object) -> None:
    checkpoint.write_text("half")
    print("stopped by a signal", flush=True)
    os._exit(1)


checkpoint.parent.mkdir(exist_ok=True)
signal.signal(signal.SIGTERM, stop)
with Path("starts.txt").open("a") as starts:  # from here on it listens
    starts.write(f"{folder.name} {words[0]}{' on' if '--ckpt_path' in words else ''}\n")
if words[0] == "fit" and {path.name for path in folder.iterdir()} > {"log.txt", "trial.json", "checkpoints"}:
    assert "--ckpt_path" in words, "a fresh fit finds a fresh folder"
if "fake.error" in options:
    print(f"error: {options['fake.error']}")
    sys.exit(2)
if "fake.kill" in options and not checkpoint.exists():
    checkpoint.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0 if checkpoint.exists() else float(options.get("fake.seconds", 0)))
prefix = "test" if words[0] == "test" else "val"
value = float(options.get("fake.value", 0)) + 0.1 * int(options["seed_everything"])
results = {
    "verb": words[0],
    "monitor": {"name": f"{prefix}/score", "mode": "max", "value": value, "best": value},
    "metrics": {f"{prefix}/score": value, f"{prefix}/loss": 1 - value},
    "references": {f"{prefix}/score": {"chance": 0.1, "optimum": 2.0}},
    "partial": False,
    "seconds": 1.0,
    "steps": 3,
}
name = "results.json" if words[0] == "fit" else f"results-{words[0]}.json"
(folder / name).write_text(json.dumps(results))
checkpoint.write_text("whole")
