"""Run a sweep: runs x datasets x seeds x options, resumable, with one table of results.

sweep SWEEP.yaml                run missing trials, then write runs/NAME/table.md, .csv and .png
sweep SWEEP.yaml --dry-run      check and print the commands
sweep SWEEP.yaml --table        write the table of existing results

The exit code is 1 if any result is missing. docs/guide/sweeps.md describes the file format.
"""

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the sweep and return the exit code."""
    parser = argparse.ArgumentParser(
        "sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="SWEEP.yaml", help="path or name of a sweep")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="check and print the commands only")
    what.add_argument("--table", action="store_true", help="write the table only")
    what.add_argument("--retry-failed", action="store_true", help="repeat failed trials")
    parser.add_argument("--take-over", action="store_true", help="ignore locks of other hosts")
    options = parser.parse_args(argv)

    from onepeace_pl.cli.shipped import find_config
    from onepeace_pl.sweeps.sweep import Sweep

    sweep = Sweep(find_config(options.file, kind="sweep"))
    if options.dry_run:
        sweep.check()
        print("\n".join(sweep.commands()))
        return 0
    complete = sweep.write_table() if options.table else sweep.run(options.retry_failed, options.take_over)
    return 0 if complete else 1
