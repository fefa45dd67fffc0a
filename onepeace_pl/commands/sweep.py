"""Run many fits from one YAML: runs x datasets x seeds x options, resumable, with one table at the end.

sweep SWEEP.yaml                run what has not been run yet, then write runs/NAME/table.md, .csv and .png
sweep SWEEP.yaml --dry-run      print the commands, after checking them
sweep SWEEP.yaml --table        only write the table, from what is there

Exit code 1 where a run has failed or a number is missing. docs/guide/sweeps.md tells what the YAML may say.
"""

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the sweep and return the exit code."""
    parser = argparse.ArgumentParser(
        "sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "file", metavar="SWEEP.yaml", help="what to run: a file, or the name of a shipped sweep"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="print the commands, run none")
    what.add_argument("--table", action="store_true", help="write the table, run nothing")
    what.add_argument("--retry-failed", action="store_true", help="run again what has failed before")
    parser.add_argument(
        "--take-over", action="store_true", help="claims of other hosts are left-overs: disregard them"
    )
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
