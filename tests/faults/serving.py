"""Faults of `cyclegan serve`: one server, asked again and again."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import requests
from faults import places
from faults.processes import require, until
from faults.trial import Fault, Kept, Trial
from serving.asking import PICTURE, Server, ended, served
from serving.conftest import write_run
from serving.hostile import HALF, dripping, slow_head

_BROKEN = "broken"


def _server(kept: Kept) -> Server:
    """Return the server of this run of the harness; a new one if it has ended."""

    def make(folder: Path) -> Server:
        for name in ("mine", _BROKEN):
            write_run(folder / "runs", name)
        (folder / "tmp").mkdir()
        stack = ExitStack()
        kept.at_end(stack.close)
        server = stack.enter_context(served(folder / "runs", folder / "tmp", "--queue", "16"))
        stack.callback(server.process.kill)
        return server

    server: Server = kept.once("server", make)
    return server


def _expected(kept: Kept) -> bytes:
    """Return what the server makes when nothing is wrong."""
    return kept.once("answer", lambda folder: _good(_server(kept)))


def _good(server: Server) -> bytes:
    answer = server.post(PICTURE, model="mine")
    require(answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}")
    return answer.content


def _check(trial: Trial) -> None:
    """Check that the server answers as ever, and keeps nothing."""
    server = _server(trial.kept)
    require(server.process.poll() is None, "the server has ended")
    require(_good(server) == _expected(trial.kept), "it answers otherwise than before")
    kept = lambda: [path for path in server.temporary.rglob("*") if path.is_file()]  # noqa: E731
    until(lambda: not kept(), "the end of uploads", 20)


def worker_killed(trial: Trial) -> None:
    server = _server(trial.kept)
    _expected(trial.kept)
    answers: list[requests.Response] = []
    asking = threading.Thread(target=lambda: answers.append(server.post(PICTURE, model="mine")))
    asking.start()
    trial.tell(f"{1000 * trial.pause(0.05):.0f} ms after a request")
    worker = server.worker
    worker.kill()
    asking.join()
    until(lambda: _is_gone(worker), "the end of its worker")
    require(answers and answers[0].status_code in (200, 500), f"it answered {answers}")
    _check(trial)


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def model_damaged(trial: Trial) -> None:
    server = _server(trial.kept)
    _expected(trial.kept)
    path = server.temporary.with_name("runs") / _BROKEN / "latest.pt"
    whole, how = path.read_bytes(), trial.draw.choice(["cut", "flipped", "garbled", "deleted"])
    places.DAMAGES[how](path, trial.draw)
    trial.tell(how)
    answer = server.post(PICTURE, model=_BROKEN)
    path.write_bytes(whole)
    # A bit between the records, or in a discriminator, may be harmless.
    require(answer.status_code in (200, 404, 500), f"{answer.status_code}: {answer.text[:200]}")
    require("Traceback" not in answer.text, answer.text[:500])
    require(str(path.parent) not in answer.text, "the answer tells where files are")
    if answer.status_code == 200:
        require(answer.content == _expected(trial.kept), "a damaged model made another picture")
    require(server.post(PICTURE, model=_BROKEN).status_code == 200, "mended, it is still broken")
    _check(trial)


def clients(head: bytes, most: int) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        server = _server(trial.kept)
        _expected(trial.kept)
        count = trial.draw.randint(1, most)
        trial.tell(f"{count} connections")
        with dripping(server.port, head[: trial.draw.randint(4, len(head))], count):
            _check_answer(server, trial)
        _check(trial)

    return strike


def _check_answer(server: Server, trial: Trial) -> None:
    require(_good(server) == _expected(trial.kept), "it answers otherwise than before")


def many_clients(trial: Trial) -> None:
    server, expected = _server(trial.kept), _expected(trial.kept)
    count = 200
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: server.post(PICTURE, model="mine"), range(count)))
    codes = {answer.status_code for answer in answers}
    made = [answer for answer in answers if answer.status_code == 200]
    trial.tell(f"{len(made)} of {count} were served at once")
    # 408: of too many uploads at once the slowest is told to try again.
    require(codes <= {200, 408, 503}, f"answers: {sorted(codes)}")
    require(made, "nobody was served")
    require(all(one.content == expected for one in made), "somebody got another picture")
    told = [one for one in answers if one.status_code != 200]
    require(all(one.json()["detail"] for one in told), "no word of why")
    _check(trial)


def told_to_stop(trial: Trial) -> None:
    kept = trial.kept
    server = _server(kept)
    _expected(kept)
    worker, number = server.worker, trial.draw.choice([signal.SIGTERM, signal.SIGINT])
    asking = threading.Thread(target=_ask, args=(server,))
    asking.start()
    trial.tell(f"{number.name} {1000 * trial.pause(0.1):.0f} ms after a request")
    code, _, err = ended(server, number)
    asking.join()
    kept.forget("server")
    require(code == 0, f"ended with {code}")
    require("Traceback" not in err, f"a traceback: {err}")
    until(lambda: _is_gone(worker), "the end of its worker", 10)
    require(not list(server.temporary.iterdir()), "it left temporary files")


def _ask(server: Server) -> None:
    try:
        server.post(PICTURE, model="mine")
    except requests.RequestException:
        return  # it was told to stop


_AS_BEFORE = "it answers on, the same bytes, and keeps no upload"

SERVING_FAULTS = [
    Fault("serve-worker", "kill -9 to the process that computes", _AS_BEFORE, worker_killed),
    Fault("serve-model", "a model's file is damaged", "one answer says so", model_damaged),
    Fault("serve-slow", "uploads that never end", _AS_BEFORE, clients(slow_head(), 16)),
    Fault("serve-half", "half-open connections", _AS_BEFORE, clients(HALF, 100)),
    Fault("serve-many", "200 clients at once", _AS_BEFORE, many_clients),
    Fault("serve-stop", "SIGTERM or Ctrl-C while it computes", "it ends with 0", told_to_stop),
]
