"""Calibrate a model folder, so that modalities compete as equals; measure the modality gap before and after.

calibrate FOLDER --data rows.csv                        columns image, text, audio; half of the ids fit, half measure
calibrate FOLDER --data DATA.yaml --report-split test   fitted on the validation rows of a config, measured on test
calibrate FOLDER --data DATA.yaml --compare             measure every kind of calibration, and write none

Writes calibration.safetensors and calibration.json into the folder; encode and embed then apply them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_loading_options, load_model
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.data.source import Source
    from onepeace_pl.hub.calibration import Kind
    from onepeace_pl.metrics import Items, Measurement
    from onepeace_pl.metrics.bootstrap import Interval

Sources = Mapping[str, "Source"]
TEMPERATURE = "temperature"


def main(argv: Sequence[str]) -> int:
    """Fit, measure, print a table and write; return the exit code."""
    options = _parser().parse_args(argv)
    limits = (("ids", options.ids), ("report-ids", options.report_ids), ("batch-size", options.batch_size))
    for flag, value in limits:
        if value < 1:
            raise UserError(f"--{flag} {value} must be at least 1")

    from onepeace_pl.hub.items import calibrated, embed_items, fit_calibration
    from onepeace_pl.metrics import gap_report, paired_differences

    model = load_model(options.folder, options)
    fitted, measured = (
        embed_items(model, sources, most, options.batch_size)
        for sources, most in zip(
            _rows(options, model.modalities), (options.ids, options.report_ids), strict=True
        )
    )
    singles = {name: each for name, each in measured.items() if name in model.modalities}
    kinds: Sequence[Kind] = ("none", "centring", "whitening") if options.compare else (options.kind,)
    calibrations = [fit_calibration(fitted, kind) for kind in kinds]
    before = gap_report(singles)
    columns = {"none": before}
    for calibration in calibrations:
        after, name = calibrated(singles, calibration), calibration.kind
        if name != "none" and options.compare:
            columns[name] = gap_report(after)
        column = TEMPERATURE if name == "none" else f"{name}, {TEMPERATURE}"
        columns[column] = gap_report(after, calibration.scores)
    print(f"fitted on {_counts(fitted)}; measured on {_counts(singles)}; 95 % intervals\n")
    print(_table(columns, {name: [row.interval for row in rows] for name, rows in columns.items()}))
    differences = {name: paired_differences(rows, before) for name, rows in columns.items() if name != "none"}
    print(f"\ndifference to none, paired by query\n\n{_table(columns, differences)}")
    if not options.compare and not options.dry_run:
        calibrations[0].save(options.folder)
        print(f"\nwrote {Path(options.folder) / 'calibration.safetensors'} and calibration.json")
    return 0


def _rows(options: argparse.Namespace, modalities: Sequence[str]) -> tuple[Sources, Sources]:
    """Return the rows to fit and those to measure on."""
    from onepeace_pl.cli.data_sources import rows_of
    from onepeace_pl.cli.evaluated_rows import is_config, printed_warnings, table_options
    from onepeace_pl.cli.shipped import find_config
    from onepeace_pl.data.sources import PartSource
    from onepeace_pl.data.sources.opening import TableFiles

    tables, of_config = table_options(options), is_config(options.data)
    if options.report_split is not None and not of_config:
        raise UserError("--report-split is for configs; the ids of tables are halved")
    with printed_warnings():
        if of_config:
            config = find_config(options.data[0], kind="parts/data")
            sources = rows_of(config, options.split)
            if options.report_split is not None:
                return sources, rows_of(config, options.report_split)
        else:
            files = TableFiles(options.data, modalities, tables.columns, tables.id_columns, tables.root)
            if not files.fields:
                raise UserError(
                    f"{', '.join(options.data)}: no column of {', '.join(modalities)}; name yours, such as --columns "
                    f"image=COLUMN; the columns are {', '.join(files.columns)}"
                )
            sources = {files.name: files.source(files.fields, incomplete=tables.incomplete)}
    fit, measure = ({name: PartSource(each, 2, [part]) for name, each in sources.items()} for part in (0, 1))
    return fit, measure


def _counts(items: "Mapping[str, Items]") -> str:
    return ", ".join(f"{name} {len(each.vectors):,}" for name, each in items.items())


def _table(
    columns: "Mapping[str, Sequence[Measurement]]", values: "Mapping[str, Sequence[Interval | None]]"
) -> str:
    """Return a Markdown table with a row for each measurement that has any values."""
    names = [row.name for row in next(iter(columns.values()))]
    cells = [["", *values]]
    for at, name in enumerate(names):
        found = [each[at] for each in values.values()]
        if any(interval is not None for interval in found):
            cells.append([name, *map(_cell, found)])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    )


def _cell(interval: "Interval | None") -> str:
    return "" if interval is None else f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _parser() -> argparse.ArgumentParser:
    from onepeace_pl.cli.evaluated_rows import add_data_options

    parser = argparse.ArgumentParser(
        "calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    add_data_options(parser)
    parser.add_argument(
        "--split",
        choices=("validation", "test", "train"),
        default="validation",
        help="rows of a config that it is fitted on; default: validation",
    )
    parser.add_argument(
        "--report-split",
        choices=("validation", "test", "train"),
        help="rows of a config that are measured; default: half of the ids of --split, which then are not fitted on",
    )
    parser.add_argument(
        "--kind",
        choices=("centring", "whitening", "none"),
        default="centring",
        help="what is done to vectors; none calibrates scores alone",
    )
    for flag, purpose in (("--ids", "fit on"), ("--report-ids", "measure on")):
        parser.add_argument(
            flag,
            type=int,
            default=1024,
            metavar="N",
            help=f"most ids of each source to {purpose}; default: 1024",
        )
    parser.add_argument("--compare", action="store_true", help="measure every kind, and write none")
    parser.add_argument("--dry-run", action="store_true", help="measure, and write nothing")
    parser.add_argument("--batch-size", type=int, default=32)
    add_loading_options(parser)
    return parser
