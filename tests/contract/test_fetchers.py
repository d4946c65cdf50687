"""What every fetcher must do, whatever stands behind it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.errors import Code, ItemError
from shared.fetching.fetcher import Fetched, Fetcher, FetchRequest, FileFetcher, SchemeFetcher
from shared.fetching.guard import Guard
from shared.fetching.warc import WarcFetcher
from shared.fetching.web import WebFetcher, WebLimits
from shared.images import Limits, decode
from shared.warc import WarcReference
from tests.crawls import Crawl

_LIMIT = 1000


_JPEG = b"\xff\xd8\xff".ljust(_LIMIT, b"x")
_CONTENTS = {"good.jpg": _JPEG, "large.jpg": _JPEG + b"x", "empty.jpg": b""}


@dataclass
class Place:
    """What makes a fetcher, and how that names what is there."""

    fetcher: Callable[[], Fetcher]
    refs: dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, content in _CONTENTS.items():
        (folder / name).write_bytes(content)
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


@pytest.fixture
def files(folder: Path) -> Place:
    return Place(
        lambda: FileFetcher(_LIMIT), {name: f"{folder}/{name}" for name in (*_CONTENTS, "missing.jpg")}
    )


@pytest.fixture
def web(server: str) -> Place:
    refs = {name: f"{server}/{name}" for name in (*_CONTENTS, "missing.jpg")}
    guard = Guard((80, 443), [("127.0.0.1", int(server.rpartition(":")[2]))])
    limits = WebLimits(_LIMIT, 10, frozenset({"JPEG"}))
    return Place(lambda: WebFetcher(guard, limits, "TestBot/1"), refs)


@pytest.fixture
def warc(folder: Path) -> Place:
    return _crawled(str(folder / "crawl.warc"))


@pytest.fixture
def warc_gz(folder: Path) -> Place:
    return _crawled(str(folder / "crawl.warc.gz"))


def _crawled(path: str) -> Place:
    uri = "https://host/{}".format
    with Crawl(path) as crawl:
        offsets = {name: crawl.answer(uri(name), content) for name, content in _CONTENTS.items()}
    refs = {name: str(WarcReference(path, offset, uri(name))) for name, offset in offsets.items()}
    return Place(
        lambda: WarcFetcher(_LIMIT), refs | {"missing.jpg": f"no-{Path(path).name}:0:{uri('missing.jpg')}"}
    )


@pytest.fixture(params=["files", "web", "warc", "warc_gz"])
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(request.param)
    return place


def _fetched(fetcher: Fetcher, ref: str) -> tuple[Fetched, bytes]:
    async def fetch() -> tuple[Fetched, bytes]:
        try:
            fetched = await fetcher.fetch(FetchRequest(ref))
            assert isinstance(fetched, Fetched)
            return fetched, fetched.read()
        finally:
            await fetcher.close()

    return asyncio.run(fetch())


def _fetch(place: Place, name: str) -> bytes:
    return _fetched(place.fetcher(), place.refs[name])[1]


def _code_of(fetcher: Fetcher, ref: str) -> Code:
    with pytest.raises(ItemError) as caught:
        _fetched(fetcher, ref)
    assert not caught.value.code.transient
    return caught.value.code


def _code(place: Place, name: str) -> Code:
    return _code_of(place.fetcher(), place.refs[name])


def test_content_comes_whole_up_to_the_limit(place: Place) -> None:
    assert _fetch(place, "good.jpg") == _JPEG
    assert _fetch(place, "empty.jpg") == b""


def test_more_than_the_limit_is_refused(place: Place) -> None:
    assert _code(place, "large.jpg") is Code.TOO_MANY_BYTES


def test_what_is_not_there_is_a_permanent_failure(place: Place) -> None:
    assert _code(place, "missing.jpg") in (Code.FILE_NOT_FOUND, Code.HTTP_404)


def test_a_record_tells_where_it_came_from_and_how() -> None:
    with Crawl("c.warc.gz") as crawl:
        answer = crawl.answer("https://host/a.jpg")
        resource = crawl.resource("file:///b.jpg")
    for offset, uri, status in ((answer, "https://host/a.jpg", 200), (resource, "file:///b.jpg", None)):
        fetched, _ = _fetched(WarcFetcher(_LIMIT), f"c.warc.gz:{offset}:{uri}")
        assert (fetched.final_url, fetched.http_status) == (uri, status)


def test_what_is_no_answer_with_an_image_is_no_file_that_can_be_read() -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.others()
        gone = crawl.answer("https://host/gone.jpg", status="404 Not Found")
        good = crawl.answer("https://host/a.jpg")
    refs = [
        f"c.warc.gz:{gone}:https://host/gone.jpg",
        f"c.warc.gz:{good}:https://host/another.jpg",
        f"c.warc.gz:{good + 1}:https://host/a.jpg",
        f"c.warc.gz:{10**18 - 1}:https://host/a.jpg",
        "c.warc.gz:0:",
    ]
    assert [_code_of(WarcFetcher(_LIMIT), ref) for ref in refs] == [Code.FILE_UNREADABLE] * len(refs)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo("pipe.warc")
    Path("folder.warc").mkdir()
    for name in ("pipe.warc", "folder.warc"):
        assert _code_of(WarcFetcher(_LIMIT), f"{name}:0:https://host/a.jpg") is Code.FILE_UNREADABLE
        assert _code_of(FileFetcher(_LIMIT), name) is Code.FILE_UNREADABLE
    assert _code_of(WarcFetcher(_LIMIT), f"{'x' * 300}.warc:0:u") is Code.FILE_UNREADABLE


def test_each_reference_goes_to_who_can_fetch_it(files: Place, web: Place, warc_gz: Place) -> None:
    for place in (files, web, warc_gz):
        fetcher = SchemeFetcher(web.fetcher(), files.fetcher(), warc_gz.fetcher())
        assert _fetched(fetcher, place.refs["good.jpg"])[1] == _CONTENTS["good.jpg"]


def _outcome(content: Callable[[], bytes], limits: Limits) -> object:
    """Return what becomes of an image: its size and format, or the reason why it has none."""
    try:
        picture = decode(content(), 32, 1.0, limits)
    except ItemError as error:
        return error.code, error.detail
    return picture.width, picture.height, picture.format


@pytest.mark.parametrize("limits", [Limits(), Limits(tiff=True)], ids=["default", "tiff"])
def test_every_file_has_the_same_outcome_from_disk_and_over_http(
    limits: Limits, server: str, folder: Path, test_data: Path
) -> None:
    files = [path for kind in ("hostile", "cases") for path in (test_data / kind).iterdir()]
    for path in files:
        link = folder / path.name
        link.exists() or link.symlink_to(path)
    guard = Guard((80, 443), [("127.0.0.1", int(server.rpartition(":")[2]))])

    async def fetch_all() -> None:
        fetcher = WebFetcher(guard, WebLimits(limits.max_bytes, 10, frozenset(limits.formats)), "TestBot/1")
        for path in files:
            fetched: Fetched | ItemError
            try:
                fetched = await fetcher.fetch(FetchRequest(f"{server}/{path.name}"))
            except ItemError as error:
                fetched = error
            assert _outcome(_content(fetched), limits) == _outcome(path.read_bytes, limits), path.name
        await fetcher.close()

    asyncio.run(fetch_all())


def _content(fetched: Fetched | ItemError) -> Callable[[], bytes]:
    def content() -> bytes:
        if isinstance(fetched, ItemError):
            raise fetched
        return fetched.read()

    return content
