"""The house rules: imports point one way, tables are complete, names are exported."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal, get_args

import pytest

import cyclegan
from cyclegan.atomic import UNFINISHED
from cyclegan.data import DatasetMode, PreprocessMode
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.unpaired import DATASETS
from cyclegan.features import FeatureName, LayeredName
from cyclegan.features.table import BLANK, FEATURES, LAYERED
from cyclegan.layers import InitType, Norm
from cyclegan.layers.convolution import INITS
from cyclegan.layers.normalization import NORMS
from cyclegan.losses import GanMode, StyleKind
from cyclegan.losses.adversarial import ADVERSARIAL
from cyclegan.losses.perceptual import STYLES
from cyclegan.recipes.fusion import FusionName
from cyclegan.recipes.fusion.fusions import FUSIONS
from cyclegan.run import RunFolder
from cyclegan.training import LrPolicy
from cyclegan.training.state import POLICIES
from cyclegan.video import WRITABLE_VIDEO
from cyclegan.video.encoders import ENCODERS

PACKAGE = Path(cyclegan.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

ARCHITECTURE = (PACKAGE.parent / "docs" / "architecture.md").read_text()
#: Of each package, or module beside them: by the table in docs/architecture.md.
RANKS = {
    name: int(rank)
    for rank, names in re.findall(r"^\| (\d+) \| (.*) \|$", ARCHITECTURE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


MODULES = {module_name(file) for file in FILES}


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, wherever in it that stands.

    What only the type checker imports is not counted: nothing runs it.
    """
    found = set()
    for node in walk_what_runs(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= named & MODULES
            if named - MODULES - {"cyclegan.__version__"}:  # what the module itself defines
                found.add(node.module)
    ours = {name for name in found if name.split(".")[0] == "cyclegan"}
    return {"cyclegan.__init__" if name == "cyclegan" else name for name in ours}


def walk_what_runs(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from walk_what_runs(child)


def package(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_one_rank_and_a_place_on_the_map() -> None:
    assert sorted(RANKS) == sorted({package(module) for module in MODULES})
    ranked = re.findall(r"^\| \d+ \| (.*) \|$", ARCHITECTURE, re.MULTILINE)
    assert len(re.findall("`", "".join(ranked))) == 2 * len(RANKS), "none twice"
    the_map = ARCHITECTURE.partition("## The map")[2].partition("## Ranks")[0]
    folders = {package(module_name(path)) for path in FILES if path.parent != PACKAGE}
    rows = re.findall(r"^\| (`.*`) \| .+ \|$", the_map, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == folders


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downwards(path: Path) -> None:
    here = package(module_name(path))
    for target in imports(path):
        there = package(target)
        assert there == here or RANKS[there] < RANKS[here], (
            f"{module_name(path)} (rank {RANKS[here]}) imports {target} (rank {RANKS[there]}): "
            "the ranks are in docs/architecture.md"
        )


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even where the import stands in a function; but settings know what they build."""
    graph = {module_name(path): imports(path) for path in FILES}
    for module in graph:
        graph[module] -= {other for other in graph[module] if other.startswith(f"{module}.")}
    assert not list(cycles(graph))
    graph["cyclegan.errors"] = graph["cyclegan.errors"] | {"cyclegan.cli"}
    assert list(cycles(graph)), "one would be found"


def cycles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield error.args[1]


@pytest.mark.parametrize("name", ["training/step.py", "training/loop.py"])
def test_step_and_loop_know_neither_the_root_settings_nor_a_recipe(name: str) -> None:
    imported = imports(PACKAGE / name)
    assert "cyclegan.settings" not in imported
    assert not any(target.startswith("cyclegan.recipes") for target in imported)


def test_parts_do_not_know_the_root_settings() -> None:
    parts = ("layers", "generators", "discriminators", "losses", "data", "loggers", "metrics")
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] in (*parts, "training", "recipes"):
            assert "cyclegan.settings" not in imports(path), path


def test_parts_of_a_conversion_take_slices_of_its_settings() -> None:
    """Only the door to a conversion knows all flags of the command."""
    door = {PACKAGE / "conversion" / "__init__.py", PACKAGE / "conversion" / "job.py"}
    for path in FILES:
        part = path.relative_to(PACKAGE).parts[0] in ("conversion", "images", "tiling", "video")
        if part and path not in door:
            assert "ConvertSettings" not in path.read_text(), path


def test_only_the_cli_and_python_users_reach_the_composition_root() -> None:
    importers = {module_name(path) for path in FILES if "cyclegan.assemble" in imports(path)}
    benchmarks = {"cyclegan.benchmark.train", "cyclegan.benchmark.scale"}
    assert importers == {"cyclegan.api", "cyclegan.commands.train"} | benchmarks


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_public_things_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_the_names_in_a_run_folder_have_one_owner() -> None:
    """Whoever wants a file of a run asks `RunFolder`; a logger may be called like its file."""
    run = RunFolder(Path("run"))
    kept = (
        run.lock,
        run.settings,
        run.run_info,
        run.losses,
        run.table,
        run.report,
        run.evaluations,
    )
    names = {path.name for path in (*kept, run.wandb_id, run.latest)} | {UNFINISHED}
    owners = {f"cyclegan.{name}" for name in ("run", "atomic", "loggers.table")}
    for path in FILES:
        if module_name(path) not in owners:
            nodes = ast.walk(ast.parse(path.read_text()))
            texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
            assert not names & texts, path


def defined(path: Path) -> Iterator[str]:
    """Public classes of a file, and its other names for types; variables of types are none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from (name for name in names if re.fullmatch("[A-Z]+[a-z][A-Za-z]*", name))


def test_a_public_class_name_exists_once() -> None:
    owners: dict[str, list[str]] = {}
    for path in FILES:
        for name in defined(path):
            if not name.startswith("_"):
                owners.setdefault(name, []).append(module_name(path))
    assert len(owners) > 100
    assert not {name: places for name, places in owners.items() if len(places) > 1}


def test_exported_names() -> None:
    assert cyclegan.__all__ == sorted(cyclegan.__all__)
    assert {"Settings", "Translator", "load_preset", "train"} < set(cyclegan.__all__)
    for name in cyclegan.__all__:
        assert getattr(cyclegan, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = cyclegan.Nonsense


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (DatasetMode, DATASETS),
        (PreprocessMode, PREPROCESS),
        (InitType, INITS),
        (Norm, NORMS),
        (GanMode, ADVERSARIAL),
        (FeatureName, FEATURES),
        (LayeredName, LAYERED),
        (LayeredName, BLANK),
        (StyleKind, STYLES),
        (FusionName, FUSIONS),
        (LrPolicy, POLICIES),
        (Literal[*sorted(WRITABLE_VIDEO)], ENCODERS),
    ],
)
def test_tables_hold_exactly_what_the_settings_accept(names: object, table: dict) -> None:
    assert set(get_args(names)) == set(table)


def modules_after(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "albumentations", "cv2", "visdom", "numpy", "pooch"}
    assert not heavy & modules_after("import cyclegan.cli, cyclegan.conversion")


def test_conversion_needs_torch_only() -> None:
    """Also a run's checkpoint: its recipe says what converts."""
    recipes = sorted(
        name for name in MODULES if re.fullmatch(r"cyclegan\.recipes\..+\.recipe", name)
    )
    loaded = modules_after(f"import cyclegan.conversion.job, {', '.join(recipes)}")
    assert "torch" in loaded
    assert not {"torchvision", "albumentations", "cv2", "visdom"} & loaded
