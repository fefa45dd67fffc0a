"""Prove that a stage left older modalities as they were: two model folders, bit for bit.

Embeds the same seeded random inputs of every shared modality with both models, and compares all parameters.
Exit code 1 where a modality named by --expect-equal differs.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onepeace_pl.hub.comparison import Parameters, Vectors


def main(argv: Sequence[str]) -> int:
    """Compare, print two tables, and return the exit code."""
    parser = argparse.ArgumentParser("compare", description=__doc__)
    parser.add_argument("a", metavar="FOLDER_A", help="a model folder")
    parser.add_argument("b", metavar="FOLDER_B", help="another")
    parser.add_argument(
        "--expect-equal", metavar="A,B", default="", help="modalities whose vectors must be the same"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs")
    parser.add_argument("--verbose", action="store_true", help="list every parameter that is not equal")
    options = parser.parse_args(argv)
    from onepeace_pl.hub.comparison import compare_parameters, compare_vectors
    from onepeace_pl.hub.folder import load_folder

    (a, _), (b, _) = load_folder(options.a), load_folder(options.b)
    vectors = compare_vectors(a, b, options.seed)
    expected = [name.strip() for name in options.expect_equal.split(",") if name.strip()]
    missing = next((name for name in expected if name not in vectors), None)
    if missing is not None:
        shared = ", ".join(vectors) or "none"
        raise ValueError(f"--expect-equal {missing}: the models do not share it; shared are: {shared}")
    _print_vectors(vectors, a.modalities, b.modalities)
    _print_parameters(
        compare_parameters(a.state_dict(), b.state_dict()),
        list(dict.fromkeys([*a.modalities, *b.modalities])),
        options.verbose,
    )
    failed = [name for name in expected if not vectors[name].equal]
    if failed:
        print(f"NOT EQUAL as expected: {', '.join(failed)}")
    return 1 if failed else 0


def _print_vectors(vectors: "dict[str, Vectors]", a: Sequence[str], b: Sequence[str]) -> None:
    print("vectors of the same random inputs")
    for name in dict.fromkeys([*a, *b]):
        if name not in vectors:
            told = f"only in {'FOLDER_A' if name in a else 'FOLDER_B'}"
        elif vectors[name].equal is None:
            told = f"not compared: {vectors[name].why_not}"
        elif vectors[name].equal:
            told = "bitwise equal"
        else:
            told = f"differ by up to {vectors[name].difference:.3g}"
        print(f"  {name:10}{told}")


def _print_parameters(found: "Parameters", modalities: Sequence[str], verbose: bool) -> None:
    kinds = {
        "equal": found.equal,
        "changed": found.changed,
        "only in A": found.only_a,
        "only in B": found.only_b,
    }
    print("parameters     " + "".join(f"{kind:>11}" for kind in kinds))
    for owner in [*modalities, "shared"]:
        counts = [sum(_owner(name, modalities) == owner for name in names) for names in kinds.values()]
        print(f"  {owner:13}" + "".join(f"{count:11}" for count in counts))
    for kind, names in list(kinds.items())[1:]:
        _print_names(kind, names, verbose)


def _print_names(kind: str, names: Sequence[str], verbose: bool, most: int = 6) -> None:
    shown: Iterable[str] = names if verbose else names[:most]
    for name in shown:
        print(f"  {kind}: {name}")
    if not verbose and len(names) > most:
        print(f"  {kind}: and {len(names) - most} more (--verbose)")


def _owner(name: str, modalities: Sequence[str]) -> str:
    parts = name.split(".")
    if parts[0] == "decoder":
        return "shared"  # it serves the objective, no vector
    return next((part for part in parts if part in modalities), "shared")
