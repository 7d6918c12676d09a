"""The house rules: imports point one way, tables are complete, names are exported."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import pytest

import cyclegan
from cyclegan.atomic import UNFINISHED
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.settings import DatasetMode, PreprocessMode
from cyclegan.data.unpaired import DATASETS
from cyclegan.features.settings import FeatureName, LayeredName
from cyclegan.features.table import BLANK, FEATURES, LAYERED
from cyclegan.layers.initialization import INITS
from cyclegan.layers.normalization import NORMS
from cyclegan.layers.settings import InitType, Norm
from cyclegan.losses.adversarial import ADVERSARIAL
from cyclegan.losses.perceptual.settings import StyleKind
from cyclegan.losses.perceptual.styles import STYLES
from cyclegan.losses.settings import GanMode
from cyclegan.recipes.fusion.fusions import FUSIONS
from cyclegan.recipes.fusion.settings import FusionName
from cyclegan.run_folder import RunFolder
from cyclegan.training.schedule import POLICIES
from cyclegan.training.settings import LrPolicy
from cyclegan.video.encoders import ENCODERS
from cyclegan.video.endings import WRITABLE_VIDEO

PACKAGE = Path(cyclegan.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom, by the first part of the name below `cyclegan`; lower never imports higher.
RANKS = {
    "__version__": 0, "errors": 0, "strict": 0, "spelling": 0, "position": 0, "kinds": 0,
    "translation": 0, "atomic": 0, "run_folder": 1, "logged": 0,
    "classic_flags": 0, "packages": 0, "text": 0, "leftovers": 0,
    "plain": 0, "durations": 0, "locks": 0, "contents": 1, "wrapped": 1,
    "archive": 1, "images": 1, "run": 1, "device": 1, "progress": 1, "download": 1,
    "layers": 2, "generators": 3, "discriminators": 3, "losses": 3, "data": 3, "loggers": 3,
    "metrics": 3, "execution": 3, "features": 3, "quality": 5,
    "checkpoint": 2, "recipes.settings": 3.5, "settings": 4, "tiling": 4, "classic": 5,
    "training": 6,
    "recovery": 6, "resume": 6, "runs": 7, "runtimes": 6, "video": 2, "recipes": 7, "initial": 7,
    "conversion": 8, "evaluation": 8, "comparison": 8, "assemble": 8, "dashboard": 8,
    "stylize": 8, "benchmark": 9, "export": 9, "flags": 9, "serving": 9, "commands": 10, "cli": 11,
    "study": 9, "__main__": 12, "__init__": 12,
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports; names imported from packages count as modules.

    A part's settings import what they describe where it is built: that is not counted, nor are
    names for the type checker alone.
    """
    found = set()
    for node in walk_without(ast.parse(path.read_text()), {"build", "probe", "converter"}):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {module_name(file) for file in FILES} | {"cyclegan.__version__"}
            found |= (below & known) or {node.module}
    return found


def walk_without(node: ast.AST, functions: set[str]) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        built = isinstance(child, ast.FunctionDef) and child.name in functions
        types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not (built or types):
            yield from walk_without(child, functions)


def rank(module: str) -> int:
    parts = module.split(".")
    if parts[1:2] == ["recipes"] and parts[-1] in ("recipes", "settings"):
        return RANKS["recipes.settings"]
    if len(parts) > 2 and parts[-1] == "settings" and parts[1] != "commands":
        return 2  # a part's settings: below every part, so that the root settings can hold them
    return RANKS[parts[1] if len(parts) > 1 else "__init__"]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downwards(path: Path) -> None:
    here = module_name(path)
    for target in imports(path):
        if target.split(".")[0] == "cyclegan" and here != "cyclegan.__init__":
            assert rank(target) <= rank(here), f"{here} imports {target}"


@pytest.mark.parametrize("name", ["training/step.py", "training/loop.py", "training/phase.py"])
def test_step_and_loop_know_neither_the_root_settings_nor_a_recipe(name: str) -> None:
    imported = imports(PACKAGE / name)
    assert "cyclegan.settings" not in imported
    assert not any(target.startswith("cyclegan.recipes") for target in imported)


def test_parts_do_not_know_the_root_settings() -> None:
    parts = ("layers", "generators", "discriminators", "losses", "data", "loggers", "metrics")
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] in (*parts, "training", "recipes"):
            assert "cyclegan.settings" not in imports(path), path


def test_only_the_cli_and_python_users_reach_the_composition_root() -> None:
    importers = {module_name(path) for path in FILES if "cyclegan.assemble" in imports(path)}
    assert importers == {"cyclegan.commands.train", "cyclegan.benchmark.train"}


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
    kept = (run.lock, run.settings, run.journey, run.losses, run.table, run.report, run.evaluations)
    names = {path.name for path in (*kept, run.wandb_id, run.latest)} | {UNFINISHED}
    owners = {f"cyclegan.{name}" for name in ("run_folder", "atomic", "loggers.table")}
    for path in FILES:
        if module_name(path) not in owners:
            nodes = ast.walk(ast.parse(path.read_text()))
            texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
            assert not names & texts, path


def test_exported_names() -> None:
    assert cyclegan.__all__ == ["Settings", "Translator", "UserError", "load_preset"]
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
    assert not heavy & modules_after("import cyclegan.cli, cyclegan.conversion.settings")


def test_conversion_needs_torch_only() -> None:
    loaded = modules_after("import cyclegan.conversion.job")
    assert "torch" in loaded
    assert not {"torchvision", "albumentations", "cv2", "visdom"} & loaded
