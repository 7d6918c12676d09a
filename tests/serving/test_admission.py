"""How long an upload may take."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from cyclegan.serving import admission
from cyclegan.serving.admission import Upload


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second at least, and a kilobyte for each second more."""
    monkeypatch.setattr(admission, "GRACE", 0.3)
    monkeypatch.setattr(admission, "SLOWEST", 1000)


def parts(size: int, pause: float) -> Callable[[], object]:
    """Receives parts of `size` bytes, one every `pause` seconds."""

    async def receive() -> Message:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": bytes(size), "more_body": True}

    return receive


def received(size: int, pause: float, seconds: float) -> tuple[float, str]:
    """Seconds until it was refused, and what was said; 0 where it was not in so many."""

    async def receive() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        upload = Upload(parts(size, pause), 10**9, "here", lambda: None)
        try:
            while loop.time() < begun + seconds:
                await upload()
        except HTTPException as error:
            return loop.time() - begun, f"{error.status_code} {error.detail}"
        return 0, ""

    return asyncio.run(receive())


@pytest.mark.parametrize(("size", "pause"), [(1, 10), (1, 0.01), (5, 0.01)])
def test_what_comes_slowly_is_ended(size: int, pause: float) -> None:
    took, said = received(size, pause, 5)
    assert said == "408 the upload took too long"
    assert took < 2


def test_what_comes_in_time_is_not() -> None:
    assert received(2000, 0.05, 0.8) == (0, "")


def test_no_upload_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UPLOAD", 0.5)
    assert received(2000, 0.05, 5)[1] == "408 the upload took too long"
