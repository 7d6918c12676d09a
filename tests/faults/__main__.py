"""Trials of the faults, one after the other: `python -m faults --trials 500 --seed 1`."""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

from faults.table import FAULTS
from faults.trial import Fault, Kept, Result

from cyclegan.progress import progress_bar

ROOT = Path(__file__).parents[2]


def main(args: Sequence[str]) -> int:
    """Make the trials that are asked for; return 1 if something was lost or is wrong."""
    asked = _parser().parse_args(args)
    commit = _commit()
    before = list(_read(asked.results, commit)) if asked.results else []
    done = {(one.fault, one.seed): one for one in before}
    plan = list(planned(asked.trials, asked.seed, asked.only))
    todo = [(fault, seed) for fault, seed in plan if (fault.name, seed) not in done]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, progress_bar() as bar:
        kept = Kept(Path(folder) / "kept")
        task = bar.add_task("faults", total=len(plan), completed=len(plan) - len(todo))
        try:
            for number, (fault, seed) in enumerate(todo):
                place = Path(folder) / str(number)
                result = fault.tried(seed, place, kept)
                shutil.rmtree(place, ignore_errors=True)
                done[fault.name, seed] = result
                if asked.results:
                    _append(asked.results, result, commit)
                if result.outcome in ("lost", "wrong"):
                    _tell(result)
                bar.advance(task)
        finally:
            kept.close()
    return report([done[fault.name, seed] for fault, seed in plan])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults.sh", description=__doc__)
    parser.add_argument("--trials", type=int, help="how many; default: one of each row")
    parser.add_argument("--seed", type=int, default=1, help="of the first trial")
    parser.add_argument("--only", default="*", metavar="NAME",
                        help="one row, or all that match, as 'kill*': "
                        + ", ".join(fault.name for fault in FAULTS))  # fmt: skip
    parser.add_argument("--results", type=Path, help="a line for each trial; go on from there")
    return parser


def planned(trials: int | None, seed: int, only: str) -> Iterator[tuple[Fault, int]]:
    """Yield faults and seeds: all rows in an order of chance, and again until there are enough."""
    rows = [fault for fault in FAULTS if fnmatchcase(fault.name, only)]
    if not rows:
        sys.exit(f"faults.sh: --only {only}: no such fault")
    random.Random(seed).shuffle(rows)
    for number in range(len(rows) if trials is None else trials):
        yield rows[number % len(rows)], seed + number


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip() or "unknown"


def _read(path: Path, commit: str) -> Iterator[Result]:
    """Yield the results of this commit; half a line of a killed run is passed over."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if found.pop("commit") == commit:
            yield Result(**found)


def _append(path: Path, result: Result, commit: str) -> None:
    halved = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write("\n" * halved + json.dumps(asdict(result) | {"commit": commit}) + "\n")


def _tell(result: Result) -> None:
    sys.stderr.write(
        f"{result.outcome}: {result.fault} ({result.moment}): {result.why}\n"
        f"  again: bash scripts/faults.sh --only {result.fault} --seed {result.seed}\n"
    )


_OUTCOMES = ("survived", "lost", "wrong", "skipped")


def report(results: Sequence[Result]) -> int:
    """Print a row for each fault, as Markdown, and the sum; return 1 if not all have survived."""
    lines = [
        "| fault | what happens | trials | survived | lost | wrong |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for fault in FAULTS:
        count = Counter(one.outcome for one in results if one.fault == fault.name)
        if count:
            tried = count.total() - count["skipped"]
            cells = (fault.name, fault.does, tried, *(count[one] for one in _OUTCOMES[:3]))
            lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += sorted(
        {f"skipped: {one.fault}: {one.why}" for one in results if one.outcome == "skipped"}
    )
    whole = Counter(result.outcome for result in results)
    lines.append(f"{len(results)} trials: {', '.join(f'{whole[one]} {one}' for one in _OUTCOMES)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(whole["lost"] + whole["wrong"] > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # unmount, and clean up
    sys.exit(main(sys.argv[1:]))
