"""Models go to a stand-in of the hub and come back, and nothing of this machine goes with them."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import smooth_image
from exporting import save_run
from hub_server import HubServer, hub_server
from huggingface_hub import ModelCard, constants, snapshot_download
from PIL import Image
from serving.asking import PICTURE, served

from cyclegan import Translator, checkpoint, cli, errors, hub
from cyclegan.checkpoint import Checkpoint
from cyclegan.errors import UserError
from cyclegan.export.card import shared_settings
from cyclegan.hub import HubModel
from cyclegan.run import Position
from cyclegan.runtimes.safetensors import open_file
from cyclegan.settings import from_table

SAID = ["--license", "cc-by-4.0", "--trained_on", "My own photographs, and paintings of ours."]
#: As which the system knows the user and the machine: words that nothing holds by chance.
USER, HOST = "annaschmidt7", "annas-computer-7"
PUSH = ["push", "tiny", "hf://anna/tiny", *SAID]
FILES = {"model.safetensors", "model_BtoA.safetensors", "settings.toml", "README.md"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `tiny`, trained and measured, and the images that it was trained on."""
    place = tmp_path_factory.mktemp("secret_place")
    for folder, count in {"trainA": 4, "trainB": 4, "testA": 4, "testB": 5}.items():
        (place / "data" / folder).mkdir(parents=True)
        for number in range(count):
            seed = number + 100 * (folder[-1] == "B") + 50 * (folder[:4] == "test")
            smooth_image(seed).save(place / "data" / folder / f"{number}.png")
    flags = {
        "dataroot": place / "data", "name": "tiny", "checkpoints_dir": place / "checkpoints",
        "load_size": 28, "crop_size": 24, "num_threads": 0, "ngf": 2, "n_blocks": 1, "ndf": 2,
        "n_epochs": 1, "n_epochs_decay": 1, "save_epoch_freq": 1, "eval_freq": 4, "print_freq": 1,
        "display_freq": 2, "display_seconds": 0, "precision": "fp32", "device": "cpu",
        "display_env": f"{HOST}_{USER}", "feature_weights": place / "vgg19.pth",
    }  # fmt: skip
    args = [text for key, value in flags.items() for text in (f"--{key}", str(value))]
    with pytest.MonkeyPatch.context() as system:
        known_as(system)
        assert cli.run(["train", *args, "--no_visdom", "--no_html"]) == 0
    where = ["--checkpoints_dir", str(place / "checkpoints")]
    assert cli.run(["evaluate", "--name", "tiny", *where]) == 0
    return place


def known_as(system: pytest.MonkeyPatch) -> None:
    """Let this process be that of `USER` on `HOST`."""
    for name in ("LOGNAME", "USER", "USERNAME"):
        system.setenv(name, USER)
    system.setattr("socket.gethostname", lambda: HOST)
    system.setattr("platform.node", lambda: HOST)


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line, in a folder of its own that has the run in `checkpoints`."""
    shutil.copytree(trained / "checkpoints", tmp_path / "work" / "checkpoints")
    (tmp_path / "work" / "photos").mkdir()
    smooth_image(7, (37, 22)).save(tmp_path / "work" / "photos" / "one.png")
    monkeypatch.chdir(tmp_path / "work")
    return lambda *args: cli.run(args)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A stand-in of the hub that the client asks, by Anna's token, with an empty cache."""
    with hub_server() as started:
        reach(started.url, tmp_path, monkeypatch)
        yield started
        hub.fetch_model.cache_clear()


def reach(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client ask `url`: what it takes from its variables, when it is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_anna")
    hub.fetch_model.cache_clear()


def bytes_in(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).rglob("*.png")}


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_what_comes_back_makes_the_same_bytes(
    run: Callable[..., int], server: HubServer, direction: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PUSH) == 0
    assert re.search(r"^pushed: http.*/anna/tiny/commit/\w{40}$", capsys.readouterr().out, re.M)
    assert server.models["anna/tiny"].files.keys() == FILES | {".gitattributes"}
    way = ["--input", "photos", "--direction", direction, "--also", "cycled", "--output"]
    assert run("convert", "--name", "tiny", *way, "by_name") == 0
    assert run("convert", "--weights", "hf://anna/tiny", *way, "by_weights") == 0
    assert run("convert", "--name", "hf://anna/tiny@main", *way, "by_hub_name") == 0
    assert len(bytes_in("by_name")) == 1
    assert bytes_in("by_name") == bytes_in("by_weights") == bytes_in("by_hub_name")
    cycled = [Path(name, "cycled", "one.png").read_bytes() for name in ("by_name", "by_weights")]
    assert cycled[0] == cycled[1]


def test_what_is_pushed_is_what_export_writes(run: Callable[..., int], server: HubServer) -> None:
    assert run(*PUSH) == 0
    files = server.models["anna/tiny"].files
    names = {"AtoB": "model.safetensors", "BtoA": "model_BtoA.safetensors"}
    for direction, name in names.items():
        way = ["--direction", direction, "--output", f"{direction}.safetensors"]
        assert run("export", "--name", "tiny", "--format", "safetensors", *way) == 0
        Path("pushed.safetensors").write_bytes(files[name])
        (texts, pushed), (known, written) = map(
            open_file, (Path("pushed.safetensors"), Path(f"{direction}.safetensors"))
        )
        assert texts == known
        assert checkpoint.digest(pushed) == checkpoint.digest(written) == texts["cyclegan.digest"]


def test_only_the_weights_are_fetched(run: Callable[..., int], server: HubServer) -> None:
    assert run(*PUSH) == 0
    model = server.models["anna/tiny"]
    model.commit(model.files | {"latest.pt": b"pickle", "hub.py": b"evil", "more.safetensors": b""})
    Translator.load("hf://anna/tiny")
    assert sorted(server.downloads()) == ["model.safetensors", "model_BtoA.safetensors"]


def test_a_folder_with_all_of_a_model_is_read_as_the_model(
    run: Callable[..., int], server: HubServer
) -> None:
    """As git, or the hub's own program, fetches it."""
    assert run(*PUSH) == 0
    model = server.models["anna/tiny"]
    digest = Translator.load("checkpoints/tiny", direction="BtoA").generator.digest
    Path("clone").mkdir()
    for name, held in model.files.items():
        Path("clone", name).write_bytes(held)
    assert Translator.load("clone", direction="BtoA").generator.digest == digest
    model.commit(model.files | {"latest.pt": b"pickle"})
    snapshot_download("anna/tiny")
    assert Translator.load("hf://anna/tiny", direction="BtoA").generator.digest == digest


def test_nothing_that_is_sent_tells_of_the_machine(
    run: Callable[..., int], trained: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's settings name the data, a file of weights, the host and the user."""
    table = tomllib.loads(Path("checkpoints/tiny/settings.toml").read_text())
    assert table["data"]["dataroot"] == str(trained / "data")
    assert table["perceptual"]["feature_weights"].startswith(str(trained))
    assert table["loggers"]["display_env"] == f"{HOST}_{USER}"
    known_as(monkeypatch)
    assert run(*PUSH, "--pictures") == 0
    sent = b"\n".join(server.sent)
    held = b"\n".join(server.models["anna/tiny"].files.values())
    for secret in (trained, trained.name, Path.cwd(), Path.home(), USER, HOST):
        assert str(secret).encode() not in sent + held, secret


def test_settings_that_name_places_stay_here() -> None:
    table = {
        "run": {"name": "annas", "checkpoints_dir": "here", "seed": 4},
        "data": {
            "domain_A": "photos",
            "load_size": 300,
            "augment": [{"name": "FDA", "reference_images": ["../van/gogh.jpg"]}],
        },
        "perceptual": {"feature_weights": "vgg.pth"},
        "loggers": {"display_server": "http://annas-computer"},
    }
    shared = shared_settings(from_table(table, "test"))
    assert shared["run"] == {"seed": 4, "model": "cycle_gan", "direction": "AtoB"}
    assert "loggers" not in shared
    assert {"domain_A", "augment"}.isdisjoint(shared["data"])
    assert shared["data"]["load_size"] == 300
    assert "feature_weights" not in shared["perceptual"]
    assert from_table(shared, "a preset of it").data.load_size == 300


def test_a_path_in_the_users_own_words_is_not_pushed(
    run: Callable[..., int], server: HubServer
) -> None:
    words = f"Photographs in {Path.cwd()}/photos"
    with pytest.raises(
        UserError, match=r"^README.md: would reveal the local path .*reword --trained"
    ):
        run(*PUSH[:-1], words)
    assert server.models == {}


def test_the_card_tells_what_the_run_knows(
    run: Callable[..., int], trained: Path, server: HubServer
) -> None:
    assert run(*PUSH) == 0
    card = ModelCard(server.models["anna/tiny"].files["README.md"].decode())
    assert card.data.license == "cc-by-4.0"
    assert card.data.pipeline_tag == "image-to-image"
    assert card.data.library_name == "cyclegan"
    assert "cyclegan" in card.data.tags
    assert "My own photographs, and paintings of ours." in card.text
    assert "cyclegan convert --weights hf://anna/tiny --input photos" in card.text
    assert "| `generator.ngf` | `2` |" in card.text
    (row,) = json.loads((trained / "checkpoints/tiny/evaluation.json").read_text())
    kid = row["A_to_B"]["kid"]
    assert f"| KID ↓ | {kid['value']:.4f} ± {kid['error']:.4f} |" in card.text
    assert "at 24 px" in card.text
    assert "feature network efficientnet-lite0" in card.text
    records = (trained / "checkpoints/tiny/losses.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in records if "progress_a_to_b" in line][-1]
    ways = " | ".join(f"{last[f'progress_{way}']:.3f}" for way in ("a_to_b", "b_to_a"))
    assert f"| progress ↑ | {ways} |" in card.text
    assert f"after {last['images']} images" in card.text
    assert "4 images of A and 4 of B." in card.text
    assert "held_out.jpg" not in card.text


def test_pictures_are_shown_only_where_they_are_allowed(
    run: Callable[..., int], server: HubServer
) -> None:
    assert run(*PUSH, "--pictures") == 0
    files = server.models["anna/tiny"].files
    assert b"](held_out.jpg)" in files["README.md"]
    Path("shown.jpg").write_bytes(files["held_out.jpg"])
    with Image.open("shown.jpg") as shown:
        (newest,) = sorted(Path("checkpoints/tiny/pictures/held_out").glob("*.png"))[-1:]
        with Image.open(newest) as grid:
            assert shown.size == grid.size
        assert not shown.getexif()
    assert run(*PUSH) == 0
    assert "held_out.jpg" not in server.models["anna/tiny"].files, "they are taken back"
    shutil.rmtree("checkpoints/tiny/pictures")
    with pytest.raises(UserError, match=r"--pictures: .* holds none of this checkpoint"):
        run(*PUSH, "--pictures")


def test_what_else_a_model_holds_stays(run: Callable[..., int], server: HubServer) -> None:
    assert run(*PUSH) == 0
    model = server.models["anna/tiny"]
    model.commit(model.files | {"NOTES.md": b"mine", "model_AtoB.safetensors": b"of another run"})
    again = [*PUSH[:-1], "Other words."]
    assert run(*again) == 0
    assert model.files.keys() == FILES | {".gitattributes", "NOTES.md"}
    assert model.files["NOTES.md"] == b"mine"
    assert b"Other words." in model.files["README.md"], "nobody had edited it"


def test_a_card_that_was_edited_is_not_overwritten_unasked(
    run: Callable[..., int], server: HubServer
) -> None:
    assert run(*PUSH) == 0
    model = server.models["anna/tiny"]
    edited = model.files["README.md"].replace(b"My own", b"Anna's own")
    before = model.commit(model.files | {"README.md": edited})
    with pytest.raises(UserError, match=r"edited since: --edited_card keep .* --edited_card repl"):
        run(*PUSH)
    assert model.refs["main"] == before
    assert run(*PUSH, "--edited_card", "keep", "--epoch", "1") == 0
    assert model.refs["main"] != before
    assert model.files["README.md"] == edited
    assert run(*PUSH, "--edited_card", "replace") == 0
    assert b"My own" in model.files["README.md"]


def test_private_models(
    run: Callable[..., int], server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*PUSH, "--private") == 0
    assert server.models["anna/tiny"].private
    assert Translator.load("hf://anna/tiny").generator.origin == "hf://anna/tiny"
    hub.fetch_model.cache_clear()
    shutil.rmtree(constants.HF_HUB_CACHE)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match=r"^hf://anna/tiny: no such model, or a private one"):
        Translator.load("hf://anna/tiny")
    monkeypatch.setenv("HF_TOKEN", "hf_anna")
    server.model("anna/open")
    with pytest.raises(UserError, match="--private: hf://anna/open is public"):
        run("push", "tiny", "hf://anna/open", *SAID, "--private")


def test_a_revision_is_what_was_pushed_then(run: Callable[..., int], server: HubServer) -> None:
    assert run(*PUSH, "--epoch", "1") == 0
    model = server.models["anna/tiny"]
    model.refs["v1"] = first = model.refs["main"]
    assert run(*PUSH) == 0
    then = Translator.load("checkpoints/tiny", epoch=1).generator.digest
    now = Translator.load("checkpoints/tiny").generator.digest
    assert then != now
    for revision in ("v1", first):
        assert Translator.load(f"hf://anna/tiny@{revision}").generator.digest == then
    assert Translator.load("hf://anna/tiny").generator.digest == now


def test_a_model_of_one_direction(run: Callable[..., int], server: HubServer) -> None:
    table = {"run": {"model": "one_painting"}, "generator": {"ngf": 2, "n_blocks": 1}}
    settings = from_table(table, "test")
    network = settings.recipe.generator.build(3, 3, settings.recipe.networks.norm)
    state = {"networks": {"generator_a_to_b": network.state_dict()}}
    Path("checkpoints/one").mkdir()
    checkpoint.save(Checkpoint(settings.table(), state, Position()), Path("checkpoints/one"))
    assert run("push", "one", "hf://anna/one", *SAID) == 0
    assert "model_BtoA.safetensors" not in server.models["anna/one"].files
    assert b"one way (A to B)" in server.models["anna/one"].files["README.md"]
    Translator.load("hf://anna/one", direction="AtoB")
    with pytest.raises(UserError, match=r"--direction BtoA: .* was exported for AtoB"):
        Translator.load("hf://anna/one", direction="BtoA")
    to = ["--input", "photos", "--output", "out", "--also", "cycled"]
    with pytest.raises(UserError, match="--also needs the other generator"):
        run("convert", "--weights", "hf://anna/one", *to)


def test_a_model_trained_the_other_way(run: Callable[..., int], server: HubServer) -> None:
    save_run(Path("checkpoints/back"), {"ngf": 2, "n_blocks": 1}, {}, run={"direction": "BtoA"})
    assert run("push", "back", "hf://anna/back", *SAID) == 0
    for direction in (None, "AtoB", "BtoA"):
        there = Translator.load("hf://anna/back", direction=direction).generator
        here = Translator.load("checkpoints/back", direction=direction).generator
        assert (there.direction, there.digest) == (here.direction, here.digest)
    saved = checkpoint.load(Path("checkpoints/back/latest.pt"))
    checkpoint.save(replace(saved, data={"A": 3, "B": 5}), Path("checkpoints/back"))
    assert run("card", "back") == 0
    card = Path("checkpoints/back/card.md").read_text()
    assert "5 images of A and 3 of B." in card, "its own A is the folder B"
    assert "`model.safetensors` translates B to A" in card


def test_other_commands_take_models_of_the_hub(
    run: Callable[..., int], server: HubServer, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Export, and evaluate with the figures of the run itself."""
    assert run(*PUSH) == 0
    to = ["--format", "safetensors", "--output"]
    assert run("export", "--name", "hf://anna/tiny", *to, "hub.safetensors") == 0
    assert run("export", "--name", "tiny", *to, "run.safetensors") == 0
    texts = [open_file(Path(name).with_suffix(".safetensors"))[0] for name in ("hub", "run")]
    assert texts[0] == texts[1]
    with pytest.raises(UserError, match="hf://anna/tiny: give the file to write with --output"):
        run("export", "--weights", "hf://anna/tiny", "--format", "onnx")
    capsys.readouterr()
    data = ["--dataroot", str(trained / "data"), "--size", "24", "--json"]
    assert run("evaluate", "--name", "hf://anna/tiny", *data) == 0
    (known,) = json.loads(Path("checkpoints/tiny/evaluation.json").read_text())
    own = {"epoch": "hf://anna/tiny", "images_seen": 0}
    assert json.loads(capsys.readouterr().out) == known | own


def test_a_training_starts_from_a_model_of_the_hub(
    run: Callable[..., int], server: HubServer, trained: Path
) -> None:
    assert run(*PUSH) == 0
    shape = ["--ngf", "2", "--n_blocks", "1", "--ndf", "2", "--load_size", "28", "--crop_size"]
    start = ["24", "--dataroot", str(trained / "data"), "--n_epochs", "0", "--n_epochs_decay", "0"]
    args = [*shape, *start, "--no_visdom", "--eval_freq", "0", "--num_threads", "0"]
    assert run("train", "--name", "on", "--init_weights", "hf://anna/tiny", *args) == 0
    for direction in ("AtoB", "BtoA"):
        first, second = (
            Translator.load(f"checkpoints/{name}", direction=direction).generator.digest
            for name in ("tiny", "on")
        )
        assert first == second


def test_it_is_served(
    run: Callable[..., int], server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that knows the hub by its variables."""
    assert run(*PUSH) == 0
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with served(tmp_path / "none", tmp_path, "--name", "hf://anna/tiny") as serving:
        answer = serving.post(PICTURE, model="tiny", direction="BtoA")
    assert answer.status_code == 200, answer.text
    Path("holiday.png").write_bytes(PICTURE)
    to = ["--output", "out.png", "--direction", "BtoA", "--precision", "fp32"]
    assert run("convert", "--name", "tiny", "--input", "holiday.png", *to) == 0
    assert answer.content == Path("out.png").read_bytes()


def test_what_was_fetched_is_there_without_a_network(
    run: Callable[..., int], server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*PUSH) == 0
    Translator.load("hf://anna/tiny")
    reach("http://127.0.0.1:9", tmp_path, monkeypatch)
    Translator.load("hf://anna/tiny")


Prepare = Callable[[HubServer, pytest.MonkeyPatch], object]


def _broken_off(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.cut = 2000
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)


def _answers_500(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.broken = True


def _nothing(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def _token(text: str | None) -> Prepare:
    def prepare(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", text or "")

    return prepare


def _holds(**files: bytes) -> Prepare:
    def prepare(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
        server.models["anna/tiny"].commit(
            {name.replace("_safetensors", ".safetensors"): held for name, held in files.items()}
        )

    return prepare


def _gated(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.models["anna/tiny"].gated = True


#: The address, what is wrong, and the one line about it.
PULLS: list[tuple[str, Prepare, str]] = [
    ("hf://anna/tinny", _nothing, "hf://anna/tinny: no such model, or a private one: check how"),
    ("hf://anna/tiny@v9", _nothing, "hf://anna/tiny@v9: no such revision"),
    ("hf://tiny", _nothing, "hf://tiny: not the address of a model: give hf://USER/MODEL"),
    ("hf://anna/tiny/x.pt", _nothing, "hf://anna/tiny/x.pt: not the address of a model"),
    ("hf://anna/ti--ny", _nothing, "hf://anna/ti--ny: not a valid model name"),
    ("hf://anna/tiny", _token("hf_old"), r"hf://anna/tiny: the hub asks for a valid token \(401\)"),
    ("hf://anna/tiny", _gated, "hf://anna/tiny: a gated model: request access"),
    ("hf://anna/tiny", _holds(other=b"x"), "hf://anna/tiny: holds no model.safetensors"),
    ("hf://anna/tiny", _holds(model_safetensors=b"<html>"), "model.safetensors: a web page, not"),
    ("hf://anna/tiny", _answers_500, r"hf://anna/tiny: the hub answered 500 \(Internal error\)"),
    ("hf://anna/tiny", _broken_off, "hf://anna/tiny: the connection to http.* broke off: run the"),
]


@pytest.mark.parametrize(("address", "prepare", "line"), PULLS)
def test_what_can_not_be_pulled_is_told_in_one_line(
    run: Callable[..., int],
    server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    prepare: Prepare,
    line: str,
) -> None:
    assert run(*PUSH) == 0
    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    prepare(server, monkeypatch)
    with pytest.raises(UserError, match=line) as error:
        run("convert", "--weights", address, "--input", "photos", "--output", "out")
    assert "\n" not in str(error.value)
    assert error.value.exit_code != 0
    assert not Path("out").exists()


def test_half_a_download_is_not_taken_for_a_model(
    run: Callable[..., int], server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*PUSH) == 0
    _broken_off(server, monkeypatch)
    with pytest.raises(UserError):
        Translator.load("hf://anna/tiny")
    server.cut = None
    there = Translator.load("hf://anna/tiny").generator
    assert there.digest == Translator.load("checkpoints/tiny").generator.digest


def test_a_safetensors_file_of_something_else(run: Callable[..., int], server: HubServer) -> None:
    import torch
    from safetensors.torch import save

    held = save({"bert.weight": torch.zeros(3, 4)})
    server.model("ben/bert").commit({"model.safetensors": held})
    with pytest.raises(UserError, match=r"model\.safetensors: ") as error:
        run("convert", "--weights", "hf://ben/bert", "--input", "photos", "--output", "out")
    assert "\n" not in str(error.value)


PUSHES: list[tuple[list[str], Prepare, str]] = [
    (PUSH, _token(None), r"hf://anna/tiny: the hub asks for a valid token \(401\): set HF_TOKEN"),
    (PUSH, _token("hf_old"), r"hf://anna/tiny: the hub asks for a valid token \(401\)"),
    (PUSH, _token("hf_ben"), r"hf://anna/tiny: the token does not allow that \(403\).*anna's"),
    ([*PUSH, "--license", "nonsense"], _nothing, 'hf://anna/tiny: .*"license" must be one of'),
    ([*PUSH, "--license", "my own"], _nothing, "--license 'my own': give an identifier"),
    (PUSH[:-2], _nothing, "missing --trained_on"),
    ([*PUSH[:-1], " "], _nothing, "--trained_on is empty"),
    (["push", "tiny", "anna/tiny", *SAID], _nothing, "anna/tiny: not the address of a model"),
    (["push", "other", "hf://anna/tiny", *SAID], _nothing, "checkpoints/other: no such run"),
    (["push", "hf://a/b", "hf://anna/tiny", *SAID], _nothing, "hf://a/b: a model on the hub"),
]


@pytest.mark.parametrize(("args", "prepare", "line"), PUSHES)
def test_what_can_not_be_pushed_is_told_in_one_line(
    run: Callable[..., int],
    server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    prepare: Prepare,
    line: str,
) -> None:
    prepare(server, monkeypatch)
    with pytest.raises(UserError, match=line) as error:
        run(*args)
    assert "\n" not in str(error.value)
    made = server.models.get("anna/tiny")
    assert made is None or made.files.keys() == {".gitattributes"}


def test_a_push_does_not_undo_somebody_elses(run: Callable[..., int], server: HubServer) -> None:
    assert run(*PUSH) == 0
    model = server.models["anna/tiny"]
    server.before_commit = lambda: model.commit(model.files | {"NOTES.md": b"new"})
    with pytest.raises(UserError, match="changed by someone else meanwhile: run the same command"):
        run(*PUSH, "--epoch", "1")
    assert model.files["NOTES.md"] == b"new"


def test_without_a_network_both_ways_are_told_in_one_line(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach("http://127.0.0.1:9", tmp_path, monkeypatch)
    to = ["--input", "photos", "--output", "out"]
    for args in (PUSH, ["convert", "--weights", "hf://anna/tiny", *to]):
        line = r"^hf://anna/tiny: no connection to http://127.0.0.1:9: check the network"
        with pytest.raises(UserError, match=line) as error:
            run(*args)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "args",
    [
        ["train", "--name", "hf://anna/tiny", "--continue_train"],
        ["report", "hf://anna/tiny"],
        ["card", "hf://anna/tiny"],
        ["compare", "tiny", "hf://anna/tiny"],
    ],
    ids=" ".join,
)
def test_what_needs_a_run_says_so(run: Callable[..., int], args: list[str]) -> None:
    with pytest.raises(UserError, match=r"hf://anna/tiny: .*local (run|runs)") as error:
        run(*args)
    assert "\n" not in str(error.value)


def test_without_the_package_the_way_out_is_told(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = errors.find_spec
    monkeypatch.setattr(
        errors, "find_spec", lambda name: None if name == "huggingface_hub" else found(name)
    )
    hub.fetch_model.cache_clear()
    to = ["--input", "photos", "--output", "out"]
    for args in (PUSH, ["convert", "--weights", "hf://anna/tiny", *to]):
        with pytest.raises(UserError, match=r"needs huggingface_hub \(.*pip install.*\[hub\]"):
            run(*args)


def test_the_card_alone(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("card", "tiny") == 0
    assert capsys.readouterr().out == "card: checkpoints/tiny/card.md\n"
    card = ModelCard(Path("checkpoints/tiny/card.md").read_text())
    assert card.data.license is None, "it is not guessed"
    assert "*Not described yet.*" in card.text
    assert "*Not stated yet.*" in card.text
    with pytest.raises(UserError, match=r"card\.md: already exists"):
        run("card", "tiny", *SAID)
    assert run("card", "tiny", *SAID, "--pictures", "--output", "cards/README.md") == 0
    assert "](held_out.jpg)" in Path("cards/README.md").read_text()
    assert Path("cards/held_out.jpg").is_file()
    assert run("card", "tiny", *SAID, "--overwrite") == 0
    assert ModelCard(Path("checkpoints/tiny/card.md").read_text()).data.license == "cc-by-4.0"


def test_addresses() -> None:
    assert HubModel.of(Path("hf://anna/tiny@refs/pr/1")) == HubModel("anna/tiny", "refs/pr/1")
    assert str(HubModel.of("hf://anna/tiny@v1.0")) == "hf://anna/tiny@v1.0"
    assert hub.told(Path("hf://anna/tiny")) == "hf://anna/tiny"
    assert not hub.is_address("hf_models/tiny")
