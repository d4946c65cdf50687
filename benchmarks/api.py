"""`POST /v1/classify`: latency and throughput against the bare model, overloaded, and during a bulk job."""

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from benchmarks import bare
from benchmarks.measure import median, pictures, print_table, smartsight
from shared.classifier.catalogue import Catalogue
from shared.classifier.model import LITERT_NETWORK
from shared.settings import read_settings

_ROUNDS = 3
_CLIENTS, _CROWD, _BULK = 8, 64, 4000
_SOME = 200
_HEAD = (
    b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
    b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
)


def main() -> None:
    """Measure and print."""
    paths = pictures()
    contents = [path.read_bytes() for path in paths]
    with service("api") as port:
        _ask(port, contents[:20])
        rounds = [_round(port, paths, contents) for _ in range(_ROUNDS)]
        _print_rounds(rounds)
        _print_crowd(port, contents)
        idle = _ask(port, contents[:_SOME])
    _print_beside_bulk(contents, paths, idle)


def _round(port: int, paths: Sequence[Path], contents: Sequence[bytes]) -> tuple[float, float, float, float]:
    """Return ms per image (bare loop, one client), then images/s (bare loop on all cores, many clients)."""
    bare_one = _bare(paths[:_SOME], 1)
    asked = median(seconds for seconds, _ in _ask(port, contents[:_SOME]))
    bare_all = _bare(paths, os.cpu_count() or 1)
    started = time.monotonic()
    _ask_all(port, contents, _CLIENTS)
    return bare_one * 1000, asked * 1000, 1 / bare_all, len(contents) / (time.monotonic() - started)


def _bare(paths: Sequence[Path], processes: int) -> float:
    """Return the seconds per image of the bare loop in this many parallel processes."""
    settings = read_settings(os.environ)
    model = Catalogue(settings.cache_dir, settings.data_dir).model("lite0")
    how, network = model.description.preprocessing, str(model.verified(LITERT_NETWORK))
    shares = [[str(path) for path in paths[i::processes]] for i in range(processes)]
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_load, range(processes)))
        started = time.monotonic()
        list(
            pool.map(
                bare.label, *zip(*((network, share, how.side, how.crop) for share in shares), strict=True)
            )
        )
        return (time.monotonic() - started) / len(paths)


def _load(_: int) -> None:
    time.sleep(0.2)  # so that each process gets one of these, and has imported all when it counts


def _ask(port: int, contents: Sequence[bytes]) -> list[tuple[float, int]]:
    """Classify one image after another on one connection; return the seconds and status of each request.

    Who is told to come again does so when told.
    """
    answers = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for content in contents:
            started = time.monotonic()
            connection.request("POST", "/v1/classify", content, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            answers.append((time.monotonic() - started, answer.status))
            time.sleep(float(answer.headers.get("Retry-After", 0)))
            if answer.will_close:
                connection.close()
    return answers


def _ask_all(port: int, contents: Sequence[bytes], clients: int) -> list[tuple[float, int]]:
    with ThreadPoolExecutor(clients) as threads:
        shares = [contents[i::clients] for i in range(clients)]
        return [one for share in threads.map(lambda share: _ask(port, share), shares) for one in share]


def _print_rounds(rounds: Sequence[tuple[float, float, float, float]]) -> None:
    one, asked, every, many = (median(each) for each in zip(*rounds, strict=True))
    ratio = median(each[3] / each[2] for each in rounds)
    extra = median(each[1] - each[0] for each in rounds)
    rows = [
        ("bare decode and invoke, ms per image", f"{one:.1f}", ""),
        ("`POST /v1/classify`, one client, ms, median", f"{asked:.1f}", f"+{extra:.1f} ms"),
        ("bare loop on all cores, images/s", f"{every:.1f}", ""),
        (f"`POST /v1/classify`, {_CLIENTS} clients, images/s", f"{many:.1f}", f"{ratio:.2f}"),
    ]
    print_table(("one at a time, and at saturation", "", "against bare"), rows)


def _print_crowd(port: int, contents: Sequence[bytes]) -> None:
    """Send more requests at the same time than the server has capacity for."""
    answers = asyncio.run(_crowd(port, (list(contents) * 2)[: 8 * _CROWD]))
    statuses = Counter(status for _, status in answers)
    refused = sorted(seconds for seconds, status in answers if status == 503)
    rows = [(str(status), str(count)) for status, count in sorted(statuses.items())]
    rows.append(("503: median ms", f"{1000 * median(refused):.1f}" if refused else "none"))
    rows.append(("503: p99 ms", f"{1000 * _p99(refused):.1f}" if refused else "none"))
    print()
    print_table((f"{_CROWD} clients at once, {len(answers)} requests", ""), rows)


async def _crowd(port: int, contents: Sequence[bytes]) -> list[tuple[float, int]]:
    """Return the answers to many concurrent clients.

    All are in one thread: so many threads would wait for one another longer than for the answers.
    """
    found = await asyncio.gather(*(_one_of_many(port, contents[i::_CROWD]) for i in range(_CROWD)))
    return [each for one in found for each in one]


async def _one_of_many(port: int, contents: Sequence[bytes]) -> list[tuple[float, int]]:
    answers = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for content in contents:
        started = time.monotonic()
        writer.write(_HEAD % (port, len(content)) + content)
        status, headers = await _answer(reader)
        answers.append((time.monotonic() - started, status))
        await asyncio.sleep(float(headers.get("Retry-After", 0)))
        if headers.get("Connection") == "close":
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return answers


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Message]:
    """Read a response to its end; return its status and headers."""
    line, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    headers = message_from_bytes(rest)
    await reader.readexactly(int(headers["Content-Length"]))
    return int(line.split()[1]), headers


def _print_beside_bulk(
    contents: Sequence[bytes], paths: Sequence[Path], idle: Sequence[tuple[float, int]]
) -> None:
    """Send one request at a time while a job of thousands runs in the same process."""
    command = [sys.executable, "-m", "benchmarks.picture_server", *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        place = f"127.0.0.1:{int(server.stdout.readline())}"
        with service("up", SMARTSIGHT_OWN_HOSTS=place) as port:
            _ask(port, contents[:20])
            job = _submit(port, [f"http://{place}/{number}" for number in range(_BULK)])
            _wait_for(port, job, _SOME)
            done = _done(port, job)
            started = time.monotonic()
            beside = _ask(port, contents[:_SOME])
            rate = (_done(port, job) - done) / (time.monotonic() - started)
        server.kill()
    rows = [
        (
            what,
            *(f"{1000 * value:.1f}" for value in (median(s for s, _ in found), _p99([s for s, _ in found]))),
        )
        for what, found in (("idle", idle), (f"beside a bulk job of {_BULK} ({rate:.0f} images/s)", beside))
    ]
    print()
    print_table(("`POST /v1/classify`, one client, ms", "median", "p99"), rows)


def _p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


def _submit(port: int, urls: Sequence[str]) -> int:
    data = _json(port, "POST", "/v1/jobs", json.dumps({"urls": urls}))
    return int(data["id"])


def _wait_for(port: int, job: int, done: int) -> None:
    while _done(port, job) < done:
        threading.Event().wait(0.1)


def _done(port: int, job: int) -> int:
    return int(_json(port, "GET", f"/v1/jobs/{job}")["done"])


def _json(port: int, method: str, path: str, body: str | None = None) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        data: dict[str, Any] = json.loads(connection.getresponse().read())["data"]
        return data


@contextmanager
def service(command: str, **settings: str) -> Iterator[int]:
    """Run the service on a new database; yield its port."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"SMARTSIGHT_DATABASE_URL": f"sqlite:///{folder}/api.db", **settings}
        with subprocess.Popen(
            smartsight(command, "--port", "0"), env=os.environ | own, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr
            port = None
            while port is None:
                port = re.search(r"Listening on http://127.0.0.1:([0-9]+)", process.stderr.readline())
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield int(port[1])
            process.kill()


if __name__ == "__main__":
    main()
