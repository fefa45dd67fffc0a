"""Verify that two models have bitwise equal embeddings.

Embeds the same seeded random inputs of every shared modality with both models (several lengths, padding, joint
passes) and compares everything else that a modality depends on: parameters, options, preprocessing, tokenizer and
head. The exit code is 1 if any of them differs for a modality of --expect-equal.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.checkpoints.comparison import Parameters, Vectors


def main(argv: Sequence[str]) -> int:
    """Compare, print two tables, and return the exit code."""
    parser = argparse.ArgumentParser("compare", description=__doc__)
    parser.add_argument("a", metavar="FOLDER_A", help="a model folder")
    parser.add_argument("b", metavar="FOLDER_B", help="another model folder")
    parser.add_argument(
        "--expect-equal",
        metavar="A,B",
        default="",
        help="modalities that must be equal",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random inputs")
    parser.add_argument(
        "--trust", action="store_true", help="import classes of other packages that the folders name"
    )
    parser.add_argument("--verbose", action="store_true", help="list all differences")
    options = parser.parse_args(argv)
    from onepeace_pl.checkpoints.comparison import compare_jointly, compare_parameters, compare_vectors
    from onepeace_pl.hub.reading import Loaded, unequal

    one, two = (Loaded.of(folder, options.trust) for folder in (options.a, options.b))
    a, b = one.backbone, two.backbone
    vectors = compare_vectors(a, b, options.seed)
    expected = [name.strip() for name in options.expect_equal.split(",") if name.strip()]
    missing = next((name for name in expected if name not in vectors), None)
    if missing is not None:
        shared = ", ".join(vectors) or "none"
        raise UserError(f"--expect-equal {missing}: the models do not share it; shared are: {shared}")
    parameters = compare_parameters(a.state_dict(), b.state_dict())
    wrong = {name: unequal(one, two, name, parameters) for name in vectors}
    _print_vectors(vectors, wrong, a.modalities, b.modalities)
    together = expected or [name for name in vectors if not wrong[name]]
    joint = compare_jointly(a, b, together, options.seed) if len(together) > 1 else None
    if joint is not None and joint.equal is not None:
        print(f"  read together ({', '.join(together)}): {_difference(joint)}")
    _print_parameters(parameters, list(dict.fromkeys([*a.modalities, *b.modalities])), options.verbose)
    failed = [name for name in expected if vectors[name].equal is False or wrong[name]]
    if expected and not failed and joint is not None and joint.equal is False:
        failed = ["read together"]
    if failed:
        print(f"NOT EQUAL as expected: {', '.join(failed)}")
    return 1 if failed else 0


def _print_vectors(
    vectors: "Mapping[str, Vectors]", wrong: Mapping[str, Sequence[str]], a: Sequence[str], b: Sequence[str]
) -> None:
    print("embeddings of the same random inputs, and all that they depend on")
    for name in dict.fromkeys([*a, *b]):
        if name not in vectors:
            print(f"  {name:10}only in {'FOLDER_A' if name in a else 'FOLDER_B'}")
            continue
        differs, text = wrong[name], _difference(vectors[name])
        if differs and vectors[name].equal:
            text = "embeddings equal, but not all that they depend on"
        print(f"  {name:10}{text}" + (f"; {len(differs)} differ: {differs[0]}" if differs else ""))


def _difference(vectors: "Vectors") -> str:
    if vectors.equal is None:
        return f"not embedded: {vectors.why_not}"
    return "bitwise equal" if vectors.equal else f"differ by up to {vectors.difference:.3g}"


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
    from onepeace_pl.backbone.stages import owner_of

    # the decoder serves the objective, no vector
    return "shared" if name.startswith("decoder.") else owner_of(name, modalities) or "shared"
