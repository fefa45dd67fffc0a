"""Machine-readable results of a run (``results.json``); the report has the same for people.

A run that is stopped or fails leaves none: the file marks a complete run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import lightning as L

from onepeace_pl.callbacks.best import measured
from onepeace_pl.callbacks.interfaces import Result, is_trial_run, results_of, task_of
from onepeace_pl.callbacks.throughput import RunClock
from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics import LabelledResult, RetrievalResult
from onepeace_pl.metrics.bootstrap import Interval
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.result import ComposedResult
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject

KINDS = ("chance", "baseline", "optimum")
"""Reference values of a metric."""

References = dict[str, dict[str, float]]


class ResultsFile(L.Callback):
    """Writes ``RUN/results.json`` when ``fit`` ends, ``results-test.json`` and so on for other verbs.

    It holds ``verb``; ``monitor``: what the task is judged by, with ``name``, ``mode``, ``value`` of the last
    evaluation and ``best`` of all of them; ``metrics`` of the last evaluation by name; ``references``: metric ->
    ``chance``, ``baseline`` and ``optimum``, as far as they are known; ``intervals``: metric -> ``low`` and ``high`` of
    its 95 % bootstrap interval over queries or rows; ``counts``: direction of a gallery -> ``queries`` and
    ``candidates``; ``classes``: set of labelled rows -> class -> ``support``, and metrics such as ``precision`` with
    ``value`` and, where it is known, ``low`` and ``high``; ``composed``: direction of a gallery of composed queries ->
    vector (``audio_alone``, ``sum``, ``joint``; ``joint-sum`` for the paired difference) -> ``R@k`` with its interval;
    ``weights``: which ones were measured, by ``checkpoint`` or ``step`` of the training; ``partial``: whether only a
    part of a set was measured; ``seconds`` of all processes of the run from setup on; ``steps``: updates.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: JsonObject = {}
        self._clock = RunClock()

    def state_dict(self) -> JsonObject:
        """Return the last evaluation, for a run that is resumed after it."""
        return {"found": self._found, "seconds": self._clock.seconds}

    def load_state_dict(self, state_dict: JsonObject) -> None:
        """Restore the state of :meth:`state_dict`."""
        self._found = state_dict["found"]
        self._clock.resume(state_dict["seconds"])

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Start counting time."""
        self._clock.start()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep what was measured; at the end of ``validate``, write."""
        if not trainer.sanity_checking:
            self._keep(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._write(trainer, "validate")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write."""
        self._keep(trainer, pl_module)
        self._write(trainer, "test")

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write."""
        self._write(trainer, "fit")

    def _keep(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        prefix = "test/" if trainer.state.fn == "test" else "val/"
        results = results_of(module)
        metrics = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(prefix)
        }
        retrieval, labelled = retrieval_content(results, prefix), labelled_content(results, prefix)
        self._found = {
            "monitor": self._monitor(module, prefix, metrics),
            "metrics": metrics,
            "references": references(results, prefix, metrics),
            **retrieval,
            **labelled,
            "intervals": retrieval["intervals"] | labelled["intervals"],
            "weights": measured(trainer, module),
            "partial": any(result.partial for result in results.values()),
        }

    def _monitor(
        self, module: L.LightningModule, prefix: str, metrics: Mapping[str, float]
    ) -> JsonObject | None:
        task = task_of(module)
        monitor = None if task is None else task.monitor
        if monitor is None or (name := f"{prefix}{monitor[0]}") not in metrics:
            return None
        before = (self._found.get("monitor") or {}).get("best")
        best = (
            metrics[name] if before is None else {"max": max, "min": min}[monitor[1]](before, metrics[name])
        )
        return {"name": name, "mode": monitor[1], "value": metrics[name], "best": best}

    def _write(self, trainer: L.Trainer, verb: str) -> None:
        if not trainer.is_global_zero or is_trial_run(trainer):
            return
        nothing: JsonObject = {
            "monitor": None,
            "metrics": {},
            "references": {},
            **labelled_content({}, ""),
            **retrieval_content({}, ""),
        }
        content = {"verb": verb, **(self._found or {**nothing, "partial": False})}
        content |= {"seconds": round(self._clock.seconds, 3), "steps": trainer.global_step}
        path = Path(trainer.default_root_dir) / results_name(verb)
        write_text(path, json.dumps(content, indent=2) + "\n")


def references(results: Mapping[str, Result], prefix: str, metrics: Iterable[str]) -> References:
    """Return the reference values of logged metrics.

    Args:
        results: Name of the evaluated set -> its result. What is known of chance and optimum stands in its
            ``references``, of retrieval in its directions.
        prefix: Prefix of logged metrics, such as ``val/``.
        metrics: Names of the logged metrics, ``val/SET/METRIC``, or ``val/METRIC`` for the mean over the sets.

    Returns:
        Name of the metric -> kind -> value; what is not known is left out.
    """
    by_set = {name: _of_result(results[name]) for name in sorted(results, key=len, reverse=True)}
    found: References = {}
    for metric in metrics:
        rest = metric.removeprefix(prefix)
        name = next((n for n in by_set if rest.startswith(f"{n}/")), None)
        own = [by_set[name].get(rest.removeprefix(f"{name}/"), {})] if name else []
        sets = own or [each.get(rest, {}) for each in by_set.values()]
        means = {
            kind: fmean(s[kind] for s in sets) for kind in KINDS if sets and all(kind in s for s in sets)
        }
        if means:
            found[metric] = means
    return found


def results_name(verb: str) -> str:
    """Return the name of the file that a verb leaves in its run folder."""
    return "results.json" if verb == "fit" else f"results-{verb}.json"


def _of_result(result: Result) -> References:
    if isinstance(result, RetrievalResult):
        return _of_retrieval(result)
    return {metric: _known(reference) for metric, reference in result.references.items()}


def _known(reference: Reference) -> dict[str, float]:
    values = {"chance": reference.chance, "baseline": reference.baseline, "optimum": reference.optimum}
    return {kind: float(value) for kind, value in values.items() if value is not None}


def _of_retrieval(result: RetrievalResult) -> References:
    found: References = {}
    for name, direction in result.directions.items():
        for k in direction.recall:
            found[f"{name}/R@{k}"] = {"chance": direction.chance[k]}
            if k in direction.optimum and not result.partial:  # it is the optimum of the whole
                found[f"{name}/R@{k}"]["optimum"] = direction.optimum[k]
    recalls = list(found.values())
    for name, direction in result.directions.items():
        for vector, by in direction.others().items():
            for k in by.recall:
                found[f"{name}/{vector}/R@{k}"] = {"chance": direction.chance[k]}
                if k in by.optimum:
                    found[f"{name}/{vector}/R@{k}"]["optimum"] = by.optimum[k]
    found["mean_recall"] = {
        kind: fmean(r[kind] for r in recalls) for kind in KINDS if all(kind in r for r in recalls)
    }
    return found


def retrieval_content(results: Mapping[str, Result], prefix: str) -> JsonObject:
    """Return ``intervals``, ``counts`` and ``composed`` of retrieval results, by direction of a gallery.

    Args:
        results: Name of the evaluated set -> its result; those of labelled rows have nothing here.
        prefix: Prefix of names, such as ``val/``.
    """
    intervals: JsonObject = {}
    counts: JsonObject = {}
    composed: JsonObject = {}
    for result in results.values():
        if not isinstance(result, RetrievalResult):
            continue
        for name, direction in result.directions.items():
            full = f"{prefix}{result.gallery}/{name}"
            counts[full] = {"queries": len(direction.queries), "candidates": len(direction.candidates)}
            intervals |= {f"{full}/R@{k}": _bounds(direction.interval(k)) for k in direction.recall}
            for vector, by in direction.others().items():
                intervals |= {f"{full}/{vector}/R@{k}": _bounds(each) for k, each in by.recall.items()}
            if direction.composed is not None:
                composed[full] = _composed(direction.composed)
    return {"intervals": intervals, "counts": counts, "composed": composed}


def labelled_content(results: Mapping[str, Result], prefix: str) -> JsonObject:
    """Return ``intervals`` and ``classes`` of labelled rows, by set.

    Args:
        results: Name of the evaluated set -> its result; retrieval has nothing here.
        prefix: Prefix of names, such as ``val/``.
    """
    intervals: JsonObject = {}
    classes: JsonObject = {}
    for name, result in results.items():
        if not isinstance(result, LabelledResult):
            continue
        intervals |= {f"{prefix}{name}/{metric}": _bounds(each) for metric, each in result.intervals.items()}
        if result.by_class is not None:
            classes[f"{prefix}{name}"] = _classes(result.by_class)
    return {"intervals": intervals, "classes": classes}


def _classes(by_class: ByClass) -> JsonObject:
    """Return support and metrics of each class; what is not defined is left out."""
    found: JsonObject = {}
    for number, name in enumerate(by_class.classes):
        found[name] = {"support": int(by_class.support[number])}
        for metric, each in by_class.metrics.items():
            value = float(each.values[number])
            if math.isnan(value):
                continue
            found[name][metric] = {"value": value}
            if each.low is not None and each.high is not None:
                found[name][metric] |= {"low": float(each.low[number]), "high": float(each.high[number])}
    return found


def _bounds(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _composed(composed: ComposedResult) -> JsonObject:
    """Return the recalls of composed queries with their intervals, by vector."""
    recalls = {vector: by.recall for vector, by in composed.vectors.items()}
    recalls["joint-sum"] = composed.difference
    return {
        vector: {f"R@{k}": asdict(interval) for k, interval in recall.items()}
        for vector, recall in recalls.items()
    }
