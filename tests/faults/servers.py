"""A server in Visdom's place that dies, hangs or refuses, on a real socket."""

import contextlib
import socket
import threading
from types import TracebackType

_REFUSED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TRUE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue"


class BadServer:
    """One that is good for `after` requests, and then no more."""

    def __init__(self, how: str, after: int) -> None:
        self.how, self.after = how, after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "BadServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end()
        self._thread.join()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for line in self._held:
            line.close()

    def _serve(self) -> None:
        answered = 0
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                if answered >= self.after and self.how == "dies":
                    line.close()
                    self._end()
                    return
                if answered >= self.after and self.how == "hangs":
                    self._held.append(line)
                    continue
                self._answer(line, _REFUSED if answered >= self.after else _TRUE)
                answered += 1

    def _answer(self, line: socket.socket, content: bytes) -> None:
        with line, contextlib.suppress(OSError):
            line.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head and (more := line.recv(65536)):
                head += more
            before, _, body = head.partition(b"\r\n\r\n")
            length = next(
                (int(row.split(b":")[1]) for row in before.lower().split(b"\r\n")
                 if row.startswith(b"content-length:")),
                0,
            )  # fmt: skip
            while len(body) < length and (more := line.recv(65536)):
                body += more
            line.sendall(content)
