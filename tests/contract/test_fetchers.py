"""What every fetcher must do, whatever stands behind it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Code, ItemError
from worker.fetching.fetcher import Fetcher, FileFetcher
from worker.fetching.web import WebFetcher

_LIMIT = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "good.jpg").write_bytes(b"x" * _LIMIT)
    (folder / "large.jpg").write_bytes(b"x" * (_LIMIT + 1))
    (folder / "empty.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split("port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture(params=["files", "web"])
def base(request: pytest.FixtureRequest, folder: Path, server: str) -> str:
    return str(folder) if request.param == "files" else server


def _fetch(base: str, name: str) -> bytes:
    async def fetch() -> bytes:
        fetcher: Fetcher = WebFetcher(_LIMIT, 10) if "://" in base else FileFetcher(_LIMIT)
        try:
            return (await fetcher.fetch(f"{base}/{name}")).read()
        finally:
            await fetcher.close()

    return asyncio.run(fetch())


def _code(base: str, name: str) -> Code:
    with pytest.raises(ItemError) as caught:
        _fetch(base, name)
    return caught.value.code


def test_content_comes_whole_up_to_the_limit(base: str) -> None:
    assert _fetch(base, "good.jpg") == b"x" * _LIMIT
    assert _fetch(base, "empty.jpg") == b""


def test_more_than_the_limit_is_refused(base: str) -> None:
    assert _code(base, "large.jpg") is Code.TOO_MANY_BYTES


def test_what_is_not_there_is_a_permanent_failure(base: str) -> None:
    code = _code(base, "missing.jpg")
    assert code in (Code.FILE_NOT_FOUND, Code.HTTP_404)
    assert not code.transient
