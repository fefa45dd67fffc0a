"""Who may import whom, read from the sources; and what an import costs."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# each may import those before it and those beside it; the dispatcher finds commands by their files' names
LAYERS = (
    {"errors", "version"},
    {"utils"},
    {"nn"},
    {"modalities"},
    {"backbone"},
    {"heads", "dense", "objectives"},
    {"data", "optim"},
    {"metrics", "results"},
    {"checkpoints"},
    {"hub", "triworld"},
    {"embedding"},
    {"search"},
    {"training"},
    {"callbacks", "integrations", "prediction", "serving"},
    {"benchmarks"},
    {"cli"},
    {"finetuning", "sweeps"},
    {"commands"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NO_LIGHTNING = {"nn", "modalities", "objectives", "backbone", "heads", "dense"}
FILES = sorted((ROOT / "onepeace_pl").rglob("*.py")) + sorted((ROOT / "tasks").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(dotted: str) -> str | None:
    """Return which part of the package a dotted name belongs to."""
    steps = dotted.split(".")
    return steps[1] if steps[0] == "onepeace_pl" and len(steps) > 1 else None


def of(path: Path) -> str | None:
    return part(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_direction(path):
    names, mine = set(imports(path)), of(path)
    assert not [name for name in names if name.split(".")[0] == "tasks"], "they are onepeace_pl.tasks"
    in_tasks = path.is_relative_to(ROOT / "tasks")
    tasks = {name.split(".")[2] for name in names if name.startswith("onepeace_pl.tasks.")}
    if not in_tasks:
        assert not tasks, "the package knows no task"
    if in_tasks:
        assert tasks <= {path.relative_to(ROOT / "tasks").parts[0]}, "tasks do not import each other"
    elif mine not in (None, "__init__", "__main__"):
        assert mine in LEVEL, f"give '{mine}' a place in LAYERS"
        above = [n for n in names if LEVEL.get(part(n) or "", 0) > LEVEL[mine]]
        assert not above, f"'{mine}' stands below what it imports"
    if mine in NO_LIGHTNING:
        assert not [name for name in names if name.split(".")[0] == "lightning"]


def test_no_files_import_each_other():
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES
    }
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = {name.replace("onepeace_pl.tasks", "tasks", 1) for name in imports(path)}
        found = {n if n in modules else n.rpartition(".")[0] for n in names} & modules.keys() - {module}
        # "from package import module" runs the package's __init__ as well, but reads the module alone
        graph[module] = {n for n in found if not any(other.startswith(f"{n}.") for other in found)}
    assert len(graph["onepeace_pl.backbone.encoder"]) > 3
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    "code",
    [
        "import onepeace_pl; dir(onepeace_pl)",
        "from onepeace_pl.cli import main; main(['--help'])",
        "from onepeace_pl.cli import main; main(['configs', 'ls'])",
    ],
)
def test_costs_no_torch(code):
    check = f"{code}\nimport sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_the_embedder_costs_no_training_library():
    heavy = "lightning", "torchmetrics", "torchvision", "torchaudio", "matplotlib", "mmengine", "mmcv"
    check = (
        "from onepeace_pl import OnePeace\nimport sys\n"
        f"loaded = sys.modules.keys() & set({heavy})\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_help_costs_no_optional_library():
    check = (
        "import sys\nfrom onepeace_pl.cli import main\nassert main(['fit', '--help']) == 0\n"
        "loaded = sys.modules.keys() & {'torchaudio', 'mmengine', 'tensorboard'}\nassert not loaded, loaded\n"
        "import gc\nassert gc.isenabled()"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "package",
    [
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in FILES
        if path.name == "__init__.py" and "__all__" in path.read_text(encoding="utf-8")
    ],
)
def test_public_names_exist(package):
    module = importlib.import_module(
        package.replace("tasks", "onepeace_pl.tasks", 1) if package.startswith("tasks") else package
    )
    assert not [name for name in module.__all__ if not hasattr(module, name)]
