"""The conversion server: its worker processes, its start and its end."""

import logging
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from cyclegan.atomic import temporary_folder
from cyclegan.dashboard import address
from cyclegan.errors import UserError, require_extra
from cyclegan.serving import ServeSettings
from cyclegan.serving.models import Model, offered
from cyclegan.serving.tasks import Inspect
from cyclegan.serving.worker import Worker

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)
_ENDING = 3  # seconds that answers under way may take when the server is stopped


@dataclass(frozen=True)
class Workers:
    """The server's worker processes."""

    models: Worker
    headers: Worker

    def close(self) -> None:
        """End the processes for good."""
        self.models.close()
        self.headers.close()


def run(settings: ServeSettings) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code. Raises UserError."""
    require_extra("cyclegan serve", "serve", "fastapi", "python_multipart", "uvicorn")
    offered(settings, dict.fromkeys(settings.files, False))
    _warn_of_others(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with (
        address.listen(settings.host, settings.port) as listening,
        temporary_folder("cyclegan-serve-") as folder,
    ):
        workers = Workers(
            Worker.of_models(settings.device, settings.precision, trust_code=settings.trust_code),
            Worker.of_headers(),
        )
        try:
            files = {path: workers.models.do(Inspect(path)) for path in settings.files}
            app = _application(settings, files, workers, folder)
            _serve(app, workers, listening, settings)
        finally:
            workers.close()
    sys.stdout.write("serve: stopped\n")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _warn_of_others(settings: ServeSettings) -> None:
    if not address.is_loopback(settings.host):
        log.warning(
            "--host %s: anyone who can reach it can convert; there is no login", settings.host
        )


def _application(
    settings: ServeSettings, files: dict[Path, bool], workers: Workers, folder: Path
) -> "FastAPI":
    from cyclegan.serving.application import make_application
    from cyclegan.serving.endpoints import Endpoints
    from cyclegan.serving.queue import Queue

    def models() -> dict[str, Model]:
        try:
            return offered(settings, files)
        except UserError:  # they have been removed meanwhile
            return {}

    queues = Queue(workers.models), Queue(workers.headers)
    return make_application(Endpoints(settings, models, *queues, folder))


def _serve(
    app: "FastAPI", workers: Workers, listening: socket.socket, settings: ServeSettings
) -> None:
    import uvicorn

    from cyclegan.serving.middleware import AT_ONCE, QUEUE, Connection

    class Server(uvicorn.Server):
        """Uvicorn server that prints its address once it listens; ends the workers at shutdown."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            listening.listen(QUEUE)  # the system's own queue may be longer than what is taken of it
            url = address.url_of(f"http://{address.shown_host(settings.host)}", settings.port)
            sys.stdout.write(f"serve: {url}  (Ctrl-C stops it)\n")
            sys.stdout.flush()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            workers.close()
            await super().shutdown(sockets)

    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # the sender is told
    server = Server(
        uvicorn.Config(
            app,
            http=Connection,
            backlog=AT_ONCE,
            log_config=None,
            log_level="critical",
            access_log=False,
            ws="none",
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_ENDING,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn sends itself again what ended it
        signal.signal(number, lambda number, frame: setattr(server, "should_exit", True))
    server.run([listening])
