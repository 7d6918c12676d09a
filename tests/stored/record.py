"""Make the run folders and the half-converted folder of `tests/stored` with the code of today.

    .venv/bin/python tests/stored/record.py     (from the checkout's top)

Run it again only to add what a later version writes; what is here already was written by an
earlier one, and has to be read for ever.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import smooth_image  # also keeps OMP_NUM_THREADS at 1

from cyclegan import cli

HERE = Path(__file__).parent
DATA = ["--load_size", "26", "--crop_size", "24", "--num_threads", "0"]
SMALL = ["--ngf", "1", "--n_blocks", "1", "--pool_size", "1", "--device", "cpu"]
LOGS = [
    *("--csv", "--no-html", "--no_visdom", "--print_freq", "1"),
    *("--display_freq", "4", "--display_images", "1"),
]
SAME = ["--precision", "fp32", "--compile", "off", "--n_epochs", "1", "--n_epochs_decay", "1"]
SEEN = ["--loss_features", "plain", "--content_layers", "conv2", "--style_layers", "conv1"]
HALF = ["--device", "cpu", "--glob", "[67].png"]
STYLE = {
    "one_painting": ["--style_mix", "10=0.7,11=0.3"],
    "fusion": ["--style", "paintings/10.png"],
}
#: As large as latest.pt, 5 MB of plotly, and pictures of which one run's are enough.
LARGE = [
    *(f"*/{name}" for name in ("epoch_2.pt", "best.pt", "previous.pt", "report.html")),
    *(f"{run}/pictures/*/*.png" for run in ("one_painting", "fusion")),
    "cycle_gan/pictures/batch/*.png",
]
TWO = ["--content", "photographs", "--style", "paintings"]
RUNS = {
    "cycle_gan": [
        *("--dataroot", "data", *DATA, *SMALL, "--ndf", "2", "--netD", "pixel"),
        *("--load_size", "20", "--crop_size", "16"),
        *("--eval_freq", "2", "--eval_images", "4"),
    ],
    "one_painting": ["one_painting", *TWO, *DATA, *SMALL, *SEEN, "--ema_decay", "0"],
    "fusion": [
        *("fusion", *TWO, *DATA, "--device", "cpu", *SEEN),
        *("--decoder_width", "2", "--fusion_layer", "conv1", "--batch_size", "1"),
    ],
}


def record(folder: Path) -> None:
    """Make the pictures, train each model on them, convert some and export one generator."""
    for name, seeds in {
        "data/trainA": (0, 1), "data/trainB": (10, 11),
        "data/testA": (2, 3, 4, 5), "data/testB": (12, 13, 14, 15),
        "photographs": (0, 1), "paintings": (10, 11), "inputs": (6, 7, 8, 9),
    }.items():  # fmt: skip
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            smooth_image(seed, (24, 20)).save(folder / name / f"{seed}.png")
    for name, flags in RUNS.items():
        run("train", *flags, *LOGS, *SAME, *model(name))
    run("convert", *model("cycle_gan"), "--input", "inputs", "--output", "converted", *HALF)
    seen = ["--dataroot", "data", "--images", "4", "--crops", "2", "--device", "cpu"]
    run("evaluate", *model("cycle_gan"), *seen)
    run("export", *model("cycle_gan"), "--format", "safetensors", "--output", "g.safetensors")
    for name in RUNS:
        expect(folder, name)
    (folder / "expected" / "manifest.jsonl").unlink()
    for large in LARGE:
        for path in sorted(folder.glob(f"runs/{large}")):
            path.unlink()


def expect(folder: Path, name: str) -> None:
    """What the model makes of one picture, and its losses in an epoch more."""
    (folder / "expected").mkdir(exist_ok=True)
    into = ["--input", "inputs/6.png", "--output", f"expected/{name}.png", "--device", "cpu"]
    run("convert", *model(name), *into, "--precision", "fp32", *STYLE.get(name, []))
    shutil.copytree(folder / "runs", folder / "again", dirs_exist_ok=True)
    run("train", "--continue_train", "--n_epochs", "2", *model(name, "again"))
    lines = (folder / "again" / name / "losses.jsonl").read_text().splitlines(keepends=True)
    (folder / "expected" / f"{name}.jsonl").write_text("".join(lines[-2:]))
    shutil.rmtree(folder / "again")


def model(name: str, runs: str = "runs") -> list[str]:
    """The flags that name a run."""
    return ["--checkpoints_dir", runs, "--name", name]


def run(*args: str) -> None:
    """Run a command."""
    assert cli.run(args) == 0


def main() -> None:
    """Record in a folder that is gone afterwards, as a run's folder may be."""
    with tempfile.TemporaryDirectory(prefix="stored-") as name:
        folder = Path(name).resolve()
        sys.stdout.write(f"{folder}\n")
        os.chdir(folder)
        record(folder)
        os.chdir(HERE)
        shutil.copytree(folder, HERE, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
