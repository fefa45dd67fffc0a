"""Public signatures are typed: ``Any`` stands only for a plug-in's own type, under a name that says whose."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path for room in ("onepeace_pl", "tasks") for path in sorted((ROOT / room).rglob("*.py"))]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name: str) -> bool:
    return not name.startswith("_") or name in ("__init__", "__call__", "__getitem__")


def has_any(annotation: ast.expr | None) -> bool:
    return annotation is not None and re.search(r"\bAny\b", ast.unparse(annotation)) is not None


def is_passed_on(argument: ast.arg, function: Function) -> bool:
    """Return whether `*args` or `**kwargs` go as they are to another function, whose types they have."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    unpacked = [value.value for call in calls for value in call.args if isinstance(value, ast.Starred)]
    unpacked += [keyword.value for call in calls for keyword in call.keywords if keyword.arg is None]
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == argument.arg]
    return bool(uses) and all(use in unpacked for use in uses)


def annotations(function: Function) -> Iterator[ast.expr | None]:
    """Yield the annotations of a signature, without those of arguments that are passed on as they are."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.annotation
    for variadic in (arguments.vararg, arguments.kwarg):
        if variadic is not None and not is_passed_on(variadic, function):
            yield variadic.annotation
    yield function.returns


def loose(body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    """Yield the public functions, methods and attributes of classes with `Any` in their types."""
    for node in body:
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield from loose(node.body, f"{owner}{node.name}.")
        elif isinstance(node, Function):
            if is_public(node.name) and any(map(has_any, annotations(node))):
                yield f"{node.lineno}: {owner}{node.name}"
        elif isinstance(node, ast.AnnAssign) and owner:
            name = ast.unparse(node.target)
            if is_public(name) and has_any(node.annotation):
                yield f"{node.lineno}: {owner}{name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_signatures_have_exact_types(path: Path) -> None:
    found = list(loose(ast.parse(path.read_text(encoding="utf-8")).body))
    assert not found, (
        "give it its type, or name the alias of a plug-in's type (as `Labels` in data/source.py)"
    )


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(x: dict[str, Any]) -> None: ...", ["1: f"]),
        ("def f(x: int) -> list[Any]: ...", ["1: f"]),
        ("def _f(x: Any) -> None: ...", []),
        ("class C:\n    x: Any\n    _y: Any", ["2: C.x"]),
        ("class C:\n    def __init__(self, *a: Any, **k: Any): super().__init__(*a, **k)", []),
        ("class C:\n    def __init__(self, **k: Any): super().__init__(**k, x=k['x'])", ["2: C.__init__"]),
        ("class C:\n    def __init__(self, **k: Any): ...", ["2: C.__init__"]),
        ("Labels = dict[str, Any]\ndef f(x: Labels) -> None: ...", []),
    ],
)
def test_what_is_found(code: str, found: list[str]) -> None:
    assert list(loose(ast.parse(code).body)) == found
