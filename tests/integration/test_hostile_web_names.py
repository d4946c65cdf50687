"""Names lead to the tests' web and nowhere else, in this process and in others, and its crawl is sound."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from shared.errors import Code
from tests.servers.names import FakeResolver
from tests.servers.web import Web
from tests.servers.web_callers import in_session
from tests.servers.web_crawl import ROBOTS_UNAVAILABLE, expected, rebinding
from tests.servers.web_hosts import GOOD, HOSTS, IDN, INSIDE, NAMES, REBINDING, TRAPS

_HOST = GOOD[0]


@pytest.mark.parametrize("name", [*INSIDE, "shut.example.net", *REBINDING])
def test_names_lead_where_they_should(web: Web, name: str) -> None:
    async def ask() -> list[list[str]]:
        resolver = FakeResolver(web.names)
        answers = [await resolver.resolve(name, 80, socket.AF_UNSPEC) for _ in range(3)]
        assert resolver.calls[name] == 3
        return [[result["host"] for result in answer] for answer in answers]

    first, *later = asyncio.run(ask())
    assert later[0] == later[1]
    assert (first != later[0]) == (name in REBINDING)
    assert [first, later[0]] == NAMES[name] or first == NAMES[name]


@pytest.mark.parametrize(
    ("name", "family"), [("nowhere.example.net", socket.AF_UNSPEC), ("mapped.example.com", socket.AF_INET)]
)
def test_a_name_without_an_address_is_an_error_as_of_the_system(
    name: str, family: socket.AddressFamily
) -> None:
    with pytest.raises(OSError, match="not known"):
        asyncio.run(FakeResolver(NAMES).resolve(name, 80, family))


def test_the_crawl_is_of_this_web(web: Web) -> None:
    crawl = expected(web)
    urls = [url for url, _ in crawl]
    assert len(urls) == len(set(urls))
    codes = {code for _, code in crawl if code is not None}
    assert codes <= {*Code, ROBOTS_UNAVAILABLE}
    hosts = {urlsplit(url).hostname for url, _ in crawl}
    assert not hosts & set(REBINDING)
    assert set(HOSTS) <= hosts | {*REBINDING, IDN}
    assert not {urlsplit(url).hostname for url in rebinding(web)} - set(REBINDING)


def test_what_shall_succeed_is_a_picture_in_the_end(web: Web) -> None:
    """A caller without a guard, who asks twice, gets all of them, and pictures only."""
    urls = [url for url, code in expected(web) if code is None]

    async def fetch(session: aiohttp.ClientSession) -> list[bytes]:
        async def get(url: str) -> bytes:
            for _ in range(2):
                try:
                    async with session.get(url) as answer:
                        body = await answer.read()
                        if answer.status == 200:
                            return body
                except aiohttp.ClientPayloadError:
                    pass
            return b""

        return await asyncio.gather(*map(get, urls))

    bodies = dict(zip(urls, in_session(web, fetch), strict=True))
    assert {url for url, body in bodies.items() if not body.startswith((b"\x89PNG", b"\xff\xd8"))} == set()


_GUARD = """
def system_resolver():
    raise AssertionError

class Guard:
    def allows(self, address, port):
        return address == "8.8.8.8"
"""
_CALLER = """
import asyncio, json, sys
assert "json" in sys.modules and "aiohttp" not in sys.modules and "shared" not in sys.modules
from shared.fetching import guard
from shared.fetching.guard import Guard, system_resolver

async def ask(name):
    try:
        return [found["host"] for found in await system_resolver().resolve(name, 80, 0)]
    except OSError as error:
        return type(error).__name__

names, doors = json.loads(sys.argv[1])
allowed = [Guard().allows(*door) for door in doors]
print(json.dumps([[asyncio.run(ask(name)) for name in names], allowed]))
"""


def test_a_process_finds_the_web_by_its_guard(web: Web, tmp_path: Path) -> None:
    package = tmp_path / "shared" / "fetching"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "guard.py").write_text(_GUARD)
    names = [_HOST, *[REBINDING[0]] * 2, "nowhere.example.net"]
    doors = [
        (web.address_of(_HOST), web.port),
        (web.address_of(_HOST), 80),
        (TRAPS[1], web.port),
        ("8.8.8.8", 1),
    ]
    settings = web.injection(tmp_path)
    inject, root = settings["PYTHONPATH"].split(":")
    environment = {**os.environ, **settings, "PYTHONPATH": f"{inject}:{tmp_path}:{root}"}
    command = [sys.executable, "-c", _CALLER, json.dumps([names, doors])]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    address = web.address_of(REBINDING[0])
    assert json.loads(output) == [
        [[web.address_of(_HOST)], [address], ["169.254.169.254"], "gaierror"],
        [True, False, False, True],
    ]


def test_a_process_that_fetches_nothing_is_left_alone(web: Web, tmp_path: Path) -> None:
    environment = {**os.environ, **web.injection(tmp_path), "SMARTSIGHT_TEST_WEB": "no such file"}
    command = [sys.executable, "-m", "smartsight", "--help"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, cwd=tmp_path)
    assert done.stderr == b""  # where an interpreter says that its start went wrong
