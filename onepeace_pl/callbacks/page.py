"""Markdown tables of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from onepeace_pl.callbacks.history import History
from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics import DirectionResult, LabelledResult, RetrievalResult
from onepeace_pl.metrics.bootstrap import Interval
from onepeace_pl.metrics.by_class import ByClass, ClassMetric
from onepeace_pl.metrics.composed import ALONE
from onepeace_pl.metrics.result import JOINT, NDCG_AT, ComposedResult


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: first column to the left, numbers to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, marks, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def info_table(info: Mapping[str, str]) -> str:
    """Return a table of two columns: name and value."""
    rows = [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in info.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows]) + "\n"


def training_table(history: History) -> str:
    """Return the logged training values at the start and at the end of the run."""
    rows = []
    for name, curve in sorted(history.losses.items(), key=lambda item: (item[0] != "loss", item[0])):
        first, last = history.ends(curve)
        rows.append([name, _digits(first), _digits(last), _digits(last - first, "+")])
    return table(["", "start", "end", "change"], rows)


def _digits(value: float, sign: str = "") -> str:
    """Return three decimals, or three significant digits of a small number such as a learning rate."""
    return format(value, f"{sign}.3f" if abs(value) >= 0.1 or not value else f"{sign}.3g")


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Return metrics by name."""
    return table(["metric", "value"], [[name, f"{value:.4f}"] for name, value in sorted(metrics.items())])


def labelled_table(results: Iterable[LabelledResult]) -> str:
    """Return one row for each metric of each set: value, chance, best-constant baseline and optimum.

    The last column is the chance-normalised score: 0 % at chance, 100 % at the optimum. In brackets: 95 % bootstrap
    intervals over rows, of metrics that are shares of rows.
    """
    rows = []
    for result in results:
        note = " (a part)" if result.partial else ""
        for metric, value in result.metrics.items():
            beside = result.references.get(metric, Reference())
            share = beside.share(value)
            interval = result.intervals.get(metric)
            shown = f"**{value:.3f}**" if interval is None else _interval(interval, bold=True)
            row = [f"{result.name}: {metric}, {result.rows} rows{note}", shown]
            row += [_number(beside.chance), _number(beside.baseline), _number(beside.optimum)]
            rows.append([*row, "" if share is None else f"{100 * share:.0f} %"])
    return table(["", "result", "chance", "baseline", "optimum", "chance-to-optimum"], rows)


def groups_table(results: Iterable[LabelledResult]) -> str:
    """Return one row for each group of rows of each set; empty without groups."""
    groups = [(result, *group) for result in results for group in result.groups.items()]
    names = list(dict.fromkeys(name for _, _, metrics in groups for name in metrics))
    rows = [
        [f"{result.name}: {group}", str(result.counts[group]), *(_number(metrics.get(n)) for n in names)]
        for result, group, metrics in groups
    ]
    return table(["", "rows", *names], rows) if rows else ""


def class_table(by_class: ByClass, most: int) -> str:
    """Return the metrics of each class with their intervals; of more classes than `most` those with the lowest."""
    name, judged = list(by_class.metrics.items())[-1]
    numbers = np.argsort(np.nan_to_num(judged.values, nan=2.0), kind="stable")  # without a value: last
    title, count = "class", len(by_class.classes)
    numbers = np.arange(count) if count <= most else numbers[:most]
    rows = [
        [
            by_class.classes[number],
            f"{by_class.support[number]:,}",
            *(_class_value(metric, number) for metric in by_class.metrics.values()),
        ]
        for number in numbers
    ]
    if count > most:
        title = f"class ({most} of {count:,} with the lowest {name})"
    return table([title, f"support ({by_class.unit})", *by_class.metrics], rows)


def _class_value(metric: ClassMetric, number: int) -> str:
    value = float(metric.values[number])
    if math.isnan(value):
        return ""
    if metric.low is None or metric.high is None:
        return f"{value:.3f}"
    return _interval(Interval(value, float(metric.low[number]), float(metric.high[number])))


def confusions_table(by_class: ByClass, most: int = 10) -> str:
    """Return the pairs of classes that are confused most often; empty without any."""
    rows = [
        [
            by_class.classes[pair.true],
            by_class.classes[pair.predicted],
            str(pair.count),
            f"{100 * pair.count / by_class.support[pair.true]:.0f} %",
        ]
        for pair in by_class.confusions(most)
    ]
    head = ["most confused: true class", "predicted", by_class.unit, "of the true class"]
    return table(head, rows) if rows else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def overview(results: Iterable[RetrievalResult]) -> str:
    """Return R@k at the smallest k for each direction of each gallery, beside chance and, where known, optimum."""
    directions = [
        (result.gallery, direction) for result in results for direction in result.directions.values()
    ]
    k = min(directions[0][1].recall)
    groups = list(dict.fromkeys(name for _, d in directions if len(d.groups) > 1 for name in d.groups))
    rows = []
    for gallery, d in directions:
        name = f"{gallery}: {d.name.replace('->', ' → ')}"
        for vector, by in d.others().items():
            label = f"{name} ({vector_label(vector)})"
            row = _beside(label, by.recall[k].value, d.chance[k], by.optimum.get(k))
            rows.append([*row, *([""] * len(groups))])
        label = name if d.composed is None else f"{name} ({vector_label(d.composed.default)}, the default)"
        row = _beside(label, d.recall[k], d.chance[k], d.optimum.get(k))
        rows.append([*row, *(_number(d.groups[g].recall[k]) if g in d.groups else "" for g in groups)])
    head = ["", f"R@{k}", "chance", "optimum", "% of optimum", *(f"{name} only" for name in groups)]
    if not any(row[3] for row in rows):
        head, *rows = ([*row[:3], *row[5:]] for row in (head, *rows))
    return table(head, rows)


def _beside(name: str, recall: float, chance: float, optimum: float | None) -> list[str]:
    return [name, f"**{recall:.3f}**", f"{chance:.3f}", _number(optimum), _percent(recall, optimum)]


def retrieval_section(result: RetrievalResult) -> str:
    """Return the tables of one gallery: recalls beside chance and optimum, for each group, then factors."""
    parts = [f"### {result.gallery}\n"]
    if result.partial:
        parts.append("Only a part of this gallery was evaluated: these numbers are not comparable.\n")
    equal = ", ".join(f"{count} of {side}" for side, count in result.duplicates.items() if count)
    if equal:
        counted = "are merged with it" if result.merged else "are ranked separately"
        parts.append(f"Duplicates of an earlier item: {equal}. They {counted}.\n")
    for direction in result.directions.values():
        ks = sorted(direction.recall)
        counts = f"{len(direction.queries)} queries, {len(direction.candidates)} candidates"
        head = [f"{direction.name.replace('->', ' → ')}: {counts}", *(f"R@{k}" for k in ks)]
        head += ["median rank", f"nDCG@{NDCG_AT}"]
        rows = _recall_rows(direction, ks)
        parts.append(table(head, ([*row, *[""] * (len(head) - len(row))] for row in rows)))
    composed = any(direction.composed is not None for direction in result.directions.values())
    if result.directions:
        paired = (
            " The difference is paired. The sum is that of the normalised vectors of the parts; groups and "
        )
        paired += "factors are measured with the vector that `encode` gives by default."
        parts.append(f"In brackets: 95 % bootstrap intervals over queries.{paired if composed else ''}\n")
    factors = _factor_table(list(result.directions.values()))
    if factors:
        parts.append("Share of top-1 results that agree with the query in a factor (chance in brackets):\n")
        parts.append(factors)
    return "\n".join(parts)


def vector_label(vector: str) -> str:
    """Return the name of a composed query's vector for a reader: ``audio alone``, ``sum``, ``joint pass``."""
    return "joint pass" if vector == JOINT else vector.replace(ALONE, " alone")


def _recall_rows(direction: DirectionResult, ks: Sequence[int]) -> list[list[str]]:
    if direction.composed is None:
        recalls = (_interval(direction.interval(k), bold=True) for k in ks)
        rows = [["**result**", *recalls, *_ranking(direction.median_rank, direction.ndcg)]]
    else:
        rows = _composed_rows(direction.composed, ks)
    rows.append(["chance", *(f"{direction.chance[k]:.3f}" for k in ks)])
    for name, vector in direction.others().items():
        if name.endswith(ALONE) and vector.optimum:
            rows.append([f"optimum of {vector_label(name)}", *(_number(vector.optimum.get(k)) for k in ks)])
    optima = {"optimum": direction.optimum}
    optima |= {f"optimum {name}": values for name, values in direction.variants.items()}
    for name, values in optima.items():
        if values:
            rows.append([name, *(f"{values[k]:.3f}" if k in values else "" for k in ks)])
            share = f"% of {name}"
            if direction.composed is not None:
                share = f"{vector_label(direction.composed.default)}, {share}"
            rows.append([share, *(_percent(direction.recall[k], values.get(k)) for k in ks)])
    if len(direction.groups) > 1:
        for name, group in direction.groups.items():
            rows.append([f"{name} only ({group.count})", *(f"{group.recall[k]:.3f}" for k in ks)])
    return rows


def _composed_rows(composed: ComposedResult, ks: Sequence[int]) -> list[list[str]]:
    rows = [
        [
            vector_label(name),
            *(_interval(vector.recall[k]) for k in ks),
            *_ranking(vector.median_rank, vector.ndcg),
        ]
        for name, vector in composed.vectors.items()
    ]
    return [*rows, ["joint pass - sum", *(_interval(composed.difference[k], "+.3f") for k in ks)]]


def _interval(interval: Interval, form: str = ".3f", bold: bool = False) -> str:
    value = f"{interval.value:{form}}"
    return f"{f'**{value}**' if bold else value} [{interval.low:{form}}, {interval.high:{form}}]"


def _ranking(median_rank: float, ndcg: float) -> list[str]:
    return [f"{median_rank:g}", f"{ndcg:.3f}"]


def _percent(value: float, whole: float | None) -> str:
    return f"{100 * value / whole:.0f} %" if whole else ""


def _factor_table(directions: Sequence[DirectionResult]) -> str:
    names = list(dict.fromkeys(name for d in directions for name, f in d.factors.items() if f.count))
    rows = [[name, *(_factor(d, name) for d in directions)] for name in names]
    return table(["factor", *(d.name.replace("->", " → ") for d in directions)], rows) if rows else ""


def _factor(direction: DirectionResult, name: str) -> str:
    factor = direction.factors.get(name)
    return f"{factor.accuracy:.3f} ({factor.chance:.3f})" if factor and factor.count else ""
