"""Connections to a real server of uvicorn, in this process, whose limits are short."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from serving.hostile import HALF
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from visdom_server import eventually

from cyclegan.serving import middleware
from cyclegan.serving.middleware import Connection

LARGE = 30_000_000  # bytes: more than the system keeps of an answer
WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(bytes(LARGE if scope["path"] == "/large" else 3))(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(middleware, "ASKING", 0.4)
    monkeypatch.setattr(middleware, "RECEIVING", 0.8)
    config = uvicorn.Config(
        answer, http=Connection, log_config=None, ws="none", lifespan="off", timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        assert eventually(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def line(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ask(line: socket.socket) -> None:
    line.sendall(WHOLE)
    answer = http.client.HTTPResponse(line)
    answer.begin()
    assert (answer.status, answer.read()) == (200, bytes(3))


def closed(line: socket.socket) -> bool:
    """Whether the other side hangs up; waits for it."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("head", [b"", HALF])
def test_who_does_not_ask_is_hung_up_on(head: bytes, port: int) -> None:
    with line(port) as asking:
        asking.sendall(head)
        assert closed(asking)


def test_a_byte_now_and_then_is_not_asking(port: int) -> None:
    with line(port) as asking:
        asking.settimeout(0.05)
        for _ in range(100):
            try:
                asking.sendall(b"x")
                assert asking.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            return
    pytest.fail("it was waited for")


def test_who_asked_once_may_ask_again_in_time(port: int) -> None:
    with line(port) as asking:
        for _ in range(5):
            ask(asking)
            threading.Event().wait(0.15)
        asking.sendall(HALF)
        assert closed(asking)


def test_who_does_not_receive_is_hung_up_on(port: int) -> None:
    with line(port) as asking:
        asking.sendall(WHOLE.replace(b"/ ", b"/large "))
        received = len(asking.recv(100))
        threading.Event().wait(1.6)
        try:
            while part := asking.recv(1 << 20):
                received += len(part)
        except ConnectionResetError:
            pass
    assert received < LARGE


def test_the_oldest_that_does_not_ask_makes_room(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "ASKING", 60)
    monkeypatch.setattr(middleware, "_MOST", 4)
    lines = [line(port) for _ in range(6)]
    assert [closed(each) for each in lines[:2]] == [True, True]
    for each in lines[2:]:
        ask(each)
        each.close()
    for each in lines[:2]:
        each.close()
