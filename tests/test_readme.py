"""What the README and the longer texts in docs show works."""

import re
import shlex
import subprocess
import types
from pathlib import Path

import pytest
import torch
from conftest import smooth_image
from exporting import save_run

from cyclegan import assemble, cli
from cyclegan.benchmark import scale
from cyclegan.comparison import CompareSettings
from cyclegan.conversion import ConvertSettings
from cyclegan.evaluation import EvaluateSettings
from cyclegan.export import CardSettings, ExportSettings, PushSettings
from cyclegan.flags import defaults_of, parse, parse_run
from cyclegan.losses.context import LossContext
from cyclegan.losses.terms import TERMS, Term, stateless
from cyclegan.run import RunSettings
from cyclegan.serving import ServeSettings
from cyclegan.settings import from_table
from cyclegan.stylize import StylizeSettings
from cyclegan.sweep import SweepSettings
from cyclegan.translation import Translation

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
DOCS = [*sorted((ROOT / "docs").glob("*.md")), *ROOT.glob("*/README.md")]


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Language and content of what is fenced."""
    return re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)


def commands_of(text: str) -> list[str]:
    """The lines of shell that are ours, each side of && and || by itself."""
    return [
        part
        for kind, block in blocks_of(text)
        if kind == "bash"
        for line in re.sub(r"(?m)^ *exec ", "", block.replace("\\\n", " ")).splitlines()
        for part in re.split(r" (?:&&|\|\||2>) ", line)
        if part.startswith(("cyclegan ", "bash "))
    ]


BLOCKS, COMMANDS = blocks_of(TEXT), commands_of(TEXT)
LONGER = [line for path in DOCS for line in commands_of(path.read_text())]


@pytest.mark.parametrize("line", [*COMMANDS, *LONGER])
def test_commands_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program, *args = shlex.split(line, comments=True)
    if program == "bash":
        assert (ROOT / args[0]).is_file()
        return
    name = " ".join(args[:2]) if args[0] in ("data", "benchmark") else args[0]
    rest = args[len(name.split()) :]
    assert name in cli.COMMANDS
    if name == "settings":
        assert cli.run([name, *rest[: rest.index(">") if ">" in rest else None]]) == 0
    if name == "benchmark scale":
        with monkeypatch.context() as patched:
            patched.setattr(scale, "run", lambda settings, asked: 0)
            assert cli.run([*name.split(), *rest]) == 0
    if name in ("train", "benchmark train", "benchmark load"):
        parse_run(rest, defaults_of(rest), prog="cyclegan", about="").settings.check()
    others = {
        "convert": ConvertSettings,
        "evaluate": EvaluateSettings,
        "compare": CompareSettings,
        "export": ExportSettings,
        "push": PushSettings,
        "card": CardSettings,
        "serve": ServeSettings,
        "stylize": StylizeSettings,
        "sweep": SweepSettings,
    }
    if name in others:
        parse(rest, others[name], prog="cyclegan", about="")


def test_the_readme_shows_commands_of_every_kind() -> None:
    shown = {line.split("#")[0].split()[1] for line in COMMANDS if line.startswith("cyclegan")}
    assert {"train", "convert", "data", "settings"} <= shown
    assert "bash scripts/demo.sh" in TEXT
    assert "bash scripts/test.sh" in TEXT


def test_the_new_loss_term_trains(
    tiny: dict[str, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example is taken as it stands: the file, and its line in the table."""
    text = (ROOT / "docs" / "contributing.md").read_text()
    source = next(block for _, block in blocks_of(text) if "cyclegan/losses/luminance.py" in block)
    module = types.ModuleType("luminance")
    exec(compile(source, "luminance.py", "exec"), module.__dict__)
    assert '"luminance": Term(stateless(luminance)),' in text
    monkeypatch.setitem(TERMS, "luminance", Term(stateless(module.luminance)))
    command = parse_run(
        ["--weights", "luminance", "2.0"], from_table(tiny, "x"), prog="cyclegan", about=""
    )
    assert command.settings.recipe.losses.weights == {"luminance": 2.0}
    torch.manual_seed(0)
    assert assemble.train(command.settings) is None
    log = (command.settings.run.folder / "losses.jsonl").read_text()
    assert "luminance_a_to_b" in log
    own = next(block for _, block in blocks_of(text) if "test_black_made_white_is_two" in block)
    names = {"Translation": Translation, "TERMS": TERMS, "LossContext": LossContext}
    told = {**names, "torch": torch, "pytest": pytest}
    exec(compile(own, "test_luminance.py", "exec"), told)
    told["test_black_made_white_is_two"]()


def test_pictures_go_through_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the example as it stands, where Ray is installed."""
    ray = pytest.importorskip("ray")
    text = (ROOT / "docs" / "scale.md").read_text()
    (example,) = (block for kind, block in blocks_of(text) if kind == "python")
    monkeypatch.chdir(tmp_path)
    save_run(tmp_path / "checkpoints" / "vangogh", {"ngf": 2, "n_blocks": 1}, {})
    (tmp_path / "photos").mkdir()
    for number in range(3):
        smooth_image(number).save(tmp_path / "photos" / f"{number}.png")
    # The two workers have one each, and what reads and writes needs some, too.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        exec(compile(example, "example.py", "exec"), {})
    finally:
        ray.shutdown()
    assert len(list((tmp_path / "results").glob("*.png"))) == 3


def test_linked_pictures_exist() -> None:
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert links
    assert all((ROOT / link).is_file() for link in links)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_docs_link_to_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert all((path.parent / link).exists() for link in links)


def test_every_page_of_the_docs_is_listed() -> None:
    """For Sphinx a page that is not is a mistake."""
    (listed,) = re.findall(r"```{toctree}\n:.*\n\n([^`]*)```", (ROOT / "docs/index.md").read_text())
    assert sorted(listed.split()) == sorted(
        path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index"
    )


def test_docs_show_commands() -> None:
    assert LONGER


def test_the_readme_is_read_in_five_minutes() -> None:
    """And leads to every longer text."""
    assert len(TEXT.split()) <= 1300
    longer = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert all(f"docs/{name}" in TEXT for name in longer)


def test_every_command_says_what_a_stop_leaves() -> None:
    """In the words of the page on commands, where it does not end by saving."""
    text = (ROOT / "docs" / "commands.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z ]+)` \| (.*) \|$", text, re.MULTILINE))
    assert rows.keys() == cli.COMMANDS.keys()
    save = {"train", "distill", "stylize", "serve", "dashboard"}
    assert {name: rows[name] for name in rows.keys() - save} == {
        name: command.after_stop for name, command in cli.COMMANDS.items() if name not in save
    }


def test_the_script_for_supervisors_starts_a_run_and_goes_on(tmp_path: Path) -> None:
    """As it stands in the text, by a `cyclegan` that tells what it was given and exits as asked."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    assert f"| {RunSettings().stop_exit_code}, or `--stop_exit_code N` |" in text
    (tmp_path / "train.sh").write_text(next(b for _, b in blocks_of(text) if "# train.sh" in b))
    (tmp_path / "cyclegan").write_text('#!/bin/sh\necho "$@"\nexit 75\n')
    (tmp_path / "cyclegan").chmod(0o755)

    def told() -> str:
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        ended = subprocess.run(
            ["bash", "train.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 75, ended.stderr
        return ended.stdout

    assert "--dataroot mydata --name vangogh --stop_exit_code 75" in told()
    (tmp_path / "checkpoints" / "vangogh").mkdir(parents=True)
    (tmp_path / "checkpoints" / "vangogh" / "latest.pt").touch()
    assert told() == "train --name vangogh --continue_train\n"
