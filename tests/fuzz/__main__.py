"""Many inputs, which can be stopped and gone on with: `bash scripts/fuzz.sh --inputs 100000`."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fuzz.harness import Tally, Worker, run, shares, target_of, working
from fuzz.mutate import Seed
from fuzz.targets import TARGETS
from fuzz.worker import FINE

from cyclegan.errors import format_duration

_ROUND = 10  # inputs for each share before the next target has its turn
_PLACE = Path(__file__).parents[2] / "build" / "fuzz"


@dataclass(frozen=True)
class Turn:
    """Inputs of one target that are judged in one go."""

    target: str
    numbers: range

    def key(self, seed: int) -> str:
        return f"{self.target} {seed} {self.numbers.start} {self.numbers.stop}"


def turns(inputs: int) -> Iterator[Turn]:
    """Yield the turns of so many inputs: each target has some before any has all of its own."""
    counts, begun = shares(inputs), 0
    while any(begun * TARGETS[name].share < count for name, count in counts.items()):
        for name, count in counts.items():
            share = TARGETS[name].share
            start, stop = (min(count, at * share) for at in (begun, begun + _ROUND))
            if start < stop:
                yield Turn(name, range(start, stop))
        begun += _ROUND


def main(args: Sequence[str]) -> int:
    """Run the inputs that have no result yet; return 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="bash scripts/fuzz.sh", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same inputs")
    parser.add_argument("--results", type=Path, default=_PLACE, help="folder of results and faults")
    parser.add_argument("--replay", type=Path, nargs="+", help="kept inputs to judge once more")
    asked = parser.parse_args(args)
    if asked.replay:
        return _replay(asked.replay)
    asked.results.mkdir(parents=True, exist_ok=True)
    file = asked.results / f"results-{asked.seed}.jsonl"
    todo = list(turns(asked.inputs))
    done = {row["turn"]: row for row in _rows(file)}
    left = [turn for turn in todo if turn.key(asked.seed) not in done]
    with working() as worker, file.open("a", encoding="utf-8") as results:
        for row in _judged(worker, left, asked.seed, asked.results / "faults"):
            done[row["turn"]] = row
            results.write(f"{json.dumps(row)}\n")
            results.flush()
    return _tell([done[turn.key(asked.seed)] for turn in todo])


Row = dict[str, Any]


def _rows(file: Path) -> list[Row]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _judged(worker: Worker, left: Sequence[Turn], seed: int, kept: Path) -> Iterator[Row]:
    """Judge the turns' inputs, and tell how long the rest takes."""
    commit, begun, seen, faults = _commit(), time.monotonic(), 0, 0
    whole = sum(len(turn.numbers) for turn in left)
    for turn in left:
        tally = run(worker, turn.target, seed, turn.numbers, kept)
        seen, faults = seen + len(turn.numbers), faults + len(tally.faults)
        for fault in tally.faults:
            _say(f"FAULT {fault}")
        rest = format_duration((time.monotonic() - begun) / seen * (whole - seen))
        _say(f"{seen:,} of {whole:,} inputs, {faults} faults, {rest} left", sys.stderr)
        yield _row(turn, seed, commit, tally)


def _row(turn: Turn, seed: int, commit: str, tally: Tally) -> Row:
    return {
        "turn": turn.key(seed), "target": turn.target, "commit": commit,
        "counts": dict(tally.counts), "faults": tally.faults,
        "seconds": round(tally.seconds, 2), "memory": tally.memory,
    }  # fmt: skip


def _say(line: str, where: TextIO = sys.stdout) -> None:
    where.write(f"{line}\n")
    where.flush()


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _tell(rows: Sequence[Row]) -> int:
    """Print a line for each target and the sum, as docs/reliability.md has them."""
    _say("| target | inputs | refused | read | faults | longest | most memory |")
    _say("|---|---|---|---|---|---|---|")
    faults = 0
    for name in (*TARGETS, "**sum**"):
        own = [row for row in rows if name in (row["target"], "**sum**")]
        counts = [row["counts"] for row in own]
        refused, read = (sum(each.get(kind, 0) for each in counts) for kind in ("refused", "read"))
        whole = sum(sum(each.values()) for each in counts)
        faults = sum(n for each in counts for kind, n in each.items() if kind not in FINE)
        seconds, memory = (
            max((row[key] for row in own), default=0) for key in ("seconds", "memory")
        )
        _say(f"| {name} | {whole:,} | {refused:,} | {read:,} | {faults} | {seconds:.1f} s | "
              f"{memory >> 20} MiB |")  # fmt: skip
    return int(faults > 0)


def _replay(files: Sequence[Path]) -> int:
    """Judge kept inputs, and tell what becomes of each."""
    faults = 0
    with working() as worker:
        for file in files:
            target, name = target_of(file)
            verdict = worker.judge(target, Seed(name, file.read_bytes()))
            faults += verdict.kind not in FINE
            _say(f"{file.name}: {verdict.kind}: {verdict.told}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
