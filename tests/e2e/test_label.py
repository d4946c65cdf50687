import contextlib
import csv
import fcntl
import gzip
import hashlib
import io
import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from results_api.rows import Row
from shared.store.result_columns import NAMES
from tests.crawls import Crawl, bomb, chunked
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until

Run = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[str]"]
_PATIENCE = 60.0


@pytest.fixture
def photos(samples: Path) -> Path:
    """A folder with two good pictures and a broken one."""
    Path("photos/more").mkdir(parents=True)
    shutil.copy(samples / "coffee.png", "photos/coffee.png")
    shutil.copy(samples / "chelsea.png", "photos/more/chelsea.jpg")
    Path("photos/text.jpg").write_text("no image")
    Path("photos/notes.txt").write_text("left out")
    return Path("photos")


def _rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_folder_is_labelled_a_line_a_picture(run: Run, photos: Path) -> None:
    finished = run("label", str(photos))
    assert finished.status == 1
    coffee, text, chelsea = finished.out.splitlines()
    assert coffee.split() == ["photos/coffee.png", "0.951", "espresso"]
    assert text.startswith("photos/text.jpg ")
    assert "failed  not_an_image: The content is not an image" in text
    assert "cat" in chelsea
    assert "3 images: 2 succeeded, 1 failed; 3 in " in finished.err
    assert "1 not_an_image: The content is not an image" in finished.err


def test_all_labelled_is_status_0(run: Run, samples: Path) -> None:
    finished = run("label", str(samples))
    assert finished.status == 0
    assert len(finished.out.splitlines()) == 6


def test_the_output_has_a_row_for_every_item(run: Run, photos: Path) -> None:
    finished = run("label", str(photos), "missing.jpg", "--output", "out.jsonl", "--top", "3")
    assert (finished.status, finished.out) == (1, "")
    rows = _rows("out.jsonl")
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert [row["code"] for row in rows] == [None, "not_an_image", None, "file_not_found"]
    coffee = rows[0]
    assert tuple(coffee) == NAMES
    assert (coffee["ref"], coffee["state"], coffee["width"]) == ("photos/coffee.png", "succeeded", 600)
    assert coffee["bytes"] == (photos / "coffee.png").stat().st_size
    assert coffee["model"].startswith("lite0@")
    assert len(coffee["predictions"]) == 3
    assert coffee["predictions"][0]["wordnet_id"] == "n07920052"
    assert rows[1]["message"].startswith("The content is not an image")


def _lasting(rows: list[Row]) -> list[Row]:
    """Return what is the same each time that an image is labelled."""
    changing = ("reused", "fetch_ms", "label_ms", "finished_at")
    return [{name: value for name, value in row.items() if name not in changing} for row in rows]


def test_the_formats_hold_the_same(run: Run, photos: Path) -> None:
    for ending in ("jsonl", "csv", "parquet"):
        run("label", str(photos), "--output", f"out.{ending}")
    rows = _rows("out.jsonl")
    # The later runs take the labels that the first one found.
    assert _lasting(parquet.read_table("out.parquet").to_pylist()) == _lasting(rows)
    with Path("out.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["ref"] for row in table] == [row["ref"] for row in rows]
    assert [json.loads(row["predictions"]) for row in table] == [row["predictions"] for row in rows]


@pytest.mark.parametrize(("side", "kept"), [("", 2), ("64", 2), ("0", 0)])
def test_each_labelled_picture_has_a_thumbnail(run: Run, photos: Path, side: str, kept: int) -> None:
    shutil.copy(photos / "coffee.png", photos / "the same.png")
    run("label", str(photos), "--db", "sqlite:///labels.db", SMARTSIGHT_THUMBNAIL_SIDE=side)
    with closing(sqlite3.connect("labels.db")) as connection:
        found = connection.execute("SELECT sha256, content FROM thumbnails").fetchall()
    assert len(found) == kept
    for _, content in found:
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (int(side or 128),) * 2
    with_one = {bytes(sha256).hex() for sha256, _ in found}
    wanted = [hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.rglob("c*")]
    assert with_one == (set(wanted) if kept else set())


def test_jsonl_goes_to_standard_output(run: Run, photos: Path) -> None:
    finished = run("label", str(photos), "--output", "-")
    assert [json.loads(line)["index"] for line in finished.out.splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("name", ["l.txt", "l.csv", "l.tsv", "l.jsonl", "l.csv.gz", "l.parquet", "-"])
def test_lists_of_every_kind(name: str, run: Run, photos: Path) -> None:
    refs, stdin = ["photos/coffee.png", "missing.jpg"], ""
    ids = ["c-1", "m-2"]
    if name == "l.parquet":
        parquet.write_table(pyarrow.table({"key": ids, "pic": refs}), name)
    elif name in ("l.txt", "-"):
        stdin = "\n".join(refs)
        Path("l.txt").write_text(stdin)
    elif name == "l.jsonl":
        Path(name).write_text(
            "".join(json.dumps({"key": i, "pic": r}) + "\n" for i, r in zip(ids, refs, strict=True))
        )
    else:
        tab = "\t" if "tsv" in name else ","
        text = "".join(f"{i}{tab}{r}\n" for i, r in zip(["key", *ids], ["pic", *refs], strict=True))
        Path(name).write_bytes(gzip.compress(text.encode()) if "gz" in name else text.encode())
    columns = [] if name in ("l.txt", "-") else ["--column", "pic", "--id-column", "key"]
    finished = run("label", name, *columns, "--output", "out.jsonl", stdin=stdin)
    assert finished.status == 1, finished.err
    rows = _rows("out.jsonl")
    assert [row["ref"] for row in rows] == refs
    assert [row["state"] for row in rows] == ["succeeded", "failed"]
    assert [row["custom_id"] for row in rows] == (ids if columns else [None, None])


def test_malformed_lines_are_reported_and_the_rest_runs(run: Run, photos: Path) -> None:
    Path("l.csv").write_text("url,size\nphotos/coffee.png,1\na,b,c\n,2\n")
    finished = run("label", "l.csv", "--output", "out.jsonl")
    assert finished.status == 1
    assert "left out: l.csv, line 3: 3 columns where the header has 2" in finished.err
    assert "left out: l.csv, line 4: the reference is empty" in finished.err
    assert "Malformed lines left out: 2." in finished.err
    assert [row["state"] for row in _rows("out.jsonl")] == ["succeeded"]


def test_urls_are_fetched(run: Run, photos: Path, web_folder: str) -> None:
    Path("l.txt").write_text(f"{web_folder}/photos/coffee.png\n{web_folder}/nothing.jpg\n")
    finished = run("label", "l.txt", "--output", "out.jsonl", SMARTSIGHT_OWN_HOSTS=_place(web_folder))
    assert finished.status == 1
    good, bad = _rows("out.jsonl")
    assert good["predictions"][0]["class"] == "espresso"
    assert (good["host"], good["http_status"], good["attempts"]) == ("127.0.0.1", 200, 1)
    assert good["final_url"] == good["ref"]
    assert good["fetch_ms"] > 0
    assert (bad["code"], bad["http_status"], bad["final_url"]) == ("http_404", 404, bad["ref"])


def test_a_dead_image_server_of_ones_own_is_told_of_at_once_and_backed_off(start: Start, run: Run) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    Path("l.txt").write_text("".join(f"{base}/{i}.jpg\n" for i in range(300)))
    settings = {"SMARTSIGHT_OWN_HOSTS": _place(base), "SMARTSIGHT_DATABASE_URL": "sqlite:///x.db"}
    with start("label", "l.txt", **settings) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "127.0.0.1" in line)
        host = _backed_off(lambda: run("hosts", "--json", **settings).json()[0])
        run("hosts", "block", "127.0.0.1", **settings)
        out, _ = process.communicate(timeout=_PATIENCE)
    assert line.startswith("Your image server 127.0.0.1 does not answer as it should: The host did not")
    assert (host["host"], host["code"], host["delay"]) == ("127.0.0.1", "connect_failed", 0.0)
    assert process.returncode == 1
    assert 200 < out.count("host_blocked") <= 300  # few were tried before it was known


def _backed_off(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a host once the store knows that it is backed off: whoever runs the job knows it first."""
    wait_until(lambda: read()["state"] == "backed_off", _PATIENCE, "a host that is backed off")
    return read()


def test_a_host_inside_is_not_called_unless_it_is_named(run: Run, photos: Path, web_folder: str) -> None:
    finished = run("label", f"{web_folder}/photos/coffee.png")
    assert finished.status == 1
    assert "url_not_allowed" in finished.out


def _place(base: str) -> str:
    """Return host and port, as the setting names them that opens them."""
    return base.partition("://")[2]


@pytest.fixture
def web_folder() -> Iterator[str]:
    """The current folder, served over HTTP."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split("port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["missing.csv"], 2, ["source_not_found", "missing.csv"]),
        (["missing.jpg"], 1, ["1 failed", "file_not_found"]),
        (["empty"], 1, ["nothing_to_label", "empty; of a folder", ".jpg"]),
        (["empty.txt"], 1, ["nothing_to_label", "empty.txt"]),
        (["blank.csv"], 1, ["nothing_to_label", "blank.csv", "line 2: the reference is empty"]),
        (["links.csv"], 2, ["column_unknown", "links.csv", "'url'", "'link'"]),
        (["links.csv", "--column", "link", "--id-column", "key"], 2, ["column_unknown", "'key'"]),
        (["broken.parquet"], 1, ["source_unreadable", "broken.parquet"]),
        (["broken.txt.gz"], 1, ["source_unreadable", "broken.txt.gz"]),
        (["sheet.xlsx"], 2, ["source_unreadable", "sheet.xlsx: it is a spreadsheet", ".ndjson"]),
        (["empty.warc.gz"], 1, ["source_unreadable", "empty.warc.gz: it is empty"]),
        (["pages.warc"], 1, ["nothing_to_label", "pages.warc; of a WARC file, images are taken"]),
        (["a.jpg", "--model", "vgg"], 2, ["model_unknown", "'vgg'", "lite0"]),
        (["a.jpg", "--output", "out.xlsx"], 2, ["output_unsupported", "out.xlsx"]),
        (["a.jpg", "--output", "no/folder/out.csv"], 1, ["output_unwritable", "no/folder/out.csv"]),
        (["a.jpg", "--output", "full.jsonl"], 1, ["output_unwritable", "full.jsonl", "No space left"]),
        (["a.jpg", "--db", "sqlite:////proc/x.db"], 1, ["database_unavailable", "/proc/x.db"]),
        (["a.jpg", "--db", "labels.db"], 2, ["database_unsupported", "labels.db"]),
        (["a.jpg", "--db", "sqlite:///text.db"], 1, ["database_unavailable", "not a database"]),
        ([], 2, ["SOURCE"]),
    ],
)
def test_bad_input_is_named(arguments: list[str], status: int, words: list[str], run: Run) -> None:
    Path("empty").mkdir()
    Path("empty.txt").touch()
    Path("blank.csv").write_text("url,size\n,1\n")
    Path("links.csv").write_text("link,size\na.jpg,1\n")
    Path("empty.warc.gz").touch()
    with Crawl("pages.warc") as crawl:
        crawl.answer("https://host/", b"<!doctype html>", "text/html")
    Path("broken.parquet").write_text("PAR1 no")
    Path("broken.txt.gz").write_text("no gzip")
    Path("full.jsonl").symlink_to("/dev/full")
    Path("text.db").write_text("no database " * 1000)
    finished = run("label", *arguments)
    assert finished.status == status, finished.err
    for word in words:
        assert word in finished.err


def _kinds_of_bad_picture(samples: Path) -> dict[str, bytes]:
    photo = (samples / "rocket.jpg").read_bytes()
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (20_000).to_bytes(4, "big") * 2 + b"\x01\0\0\0\0"
    bomb += zlib.crc32(bomb[12:]).to_bytes(4, "big") + b"\0\0\0\0IDAT\x35\xaf\x06\x1e"
    return {
        "empty_file": b"",
        "not_an_image": b"just text",
        "image_truncated": photo[: len(photo) // 2],
        "too_many_pixels": bomb,
        "too_many_bytes": photo + b"\0" * 20_000_000,
    }


def test_each_kind_of_bad_picture_has_its_code(run: Run, samples: Path) -> None:
    for code, content in _kinds_of_bad_picture(samples).items():
        Path(f"{code}.jpg").write_bytes(content)
    finished = run("label", ".", "--output", "out.jsonl")
    assert finished.status == 1
    rows = _rows("out.jsonl")
    assert len(rows) == 5
    for row in rows:
        assert row["ref"] == f"./{row['code']}.jpg"


def _count(path: str) -> int:
    """How many results a database holds; none while it is being made."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return 0


def _wait_for_results(path: str, process: "subprocess.Popen[str]") -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if count := _count(path):
            return count
        assert process.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.01)
    raise AssertionError("no result came")


@pytest.fixture
def many(samples: Path) -> Path:
    """Six hundred pictures: more than a second of work."""
    folder = Path("many")
    folder.mkdir()
    for number in range(600):
        (folder / f"{number:03}.jpg").symlink_to(samples / "rocket.jpg")
    return folder


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_half_way_the_same_command_goes_on(
    kill: signal.Signals, run: Run, start: Start, many: Path
) -> None:
    command = ("label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl")
    with start(*command) as process:
        _wait_for_results("labels.db", process)
        process.send_signal(kill)
        _, err = process.communicate(timeout=_PATIENCE)
    statuses = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
    assert process.returncode == statuses[kill]
    assert "Traceback" not in err
    done = _count("labels.db")
    assert 0 < done < 600
    assert not Path("out.jsonl").exists()
    if kill is not signal.SIGKILL:
        assert f"Stopped: {done} of 600 images done. The same command resumes here." in err

    finished = run(*command)
    assert finished.status == 0
    assert f"Resuming job 1: {done} of 600 images done." in finished.err
    assert f"600 images: 600 succeeded; {600 - done} in " in finished.err
    assert [row["index"] for row in _rows("out.jsonl")] == list(range(600))
    with closing(sqlite3.connect("labels.db")) as connection:
        (counted,) = connection.execute("SELECT sum(count) FROM progress").fetchone()
        jobs = connection.execute("SELECT state, submitted FROM jobs").fetchall()
    assert counted == 600
    assert jobs == [("completed", 600)]


def test_killed_again_and_again_it_still_ends_complete(run: Run, start: Start, many: Path) -> None:
    command = ("label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl")
    before = 0
    for _ in range(3):
        with start(*command) as process:
            deadline = time.monotonic() + _PATIENCE
            while _count("labels.db") <= before and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.005)
            process.kill()
        before = _count("labels.db")
    assert run(*command).status == 0
    assert [row["index"] for row in _rows("out.jsonl")] == list(range(600))


def test_a_finished_command_starts_a_new_job(run: Run, photos: Path) -> None:
    first = run("label", str(photos))
    second = run("label", str(photos))
    assert "as job 1 in" in first.err
    assert "as job 2 in" in second.err
    assert first.out == second.out


def test_a_changed_list_is_not_mistaken_for_the_interrupted_one(run: Run, start: Start, many: Path) -> None:
    lines = [f"{many}/{number:03}.jpg" for number in range(600)]
    Path("l.txt").write_text("\n".join(lines))
    with start("label", "l.txt", "--db", "sqlite:///labels.db") as process:
        _wait_for_results("labels.db", process)
        process.kill()
    Path("l.txt").write_text("\n".join(lines[:2]))
    finished = run("label", "l.txt", "--db", "sqlite:///labels.db")
    assert "as job 2 in" in finished.err
    assert len(finished.out.splitlines()) == 2


def test_two_at_once_on_one_database_lose_nothing(run: Run, start: Start, many: Path) -> None:
    other = start("label", str(many), "--db", "sqlite:///labels.db", "--output", "other.jsonl")
    with other:
        finished = run("label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl")
        other.communicate(timeout=_PATIENCE)
    assert (finished.status, other.returncode) == (0, 0)
    for name in ("out.jsonl", "other.jsonl"):
        assert [row["index"] for row in _rows(name)] == list(range(600))
    with closing(sqlite3.connect("labels.db")) as connection:
        jobs = connection.execute("SELECT id FROM jobs").fetchall()
        counts = dict(connection.execute("SELECT job_id, sum(count) FROM progress GROUP BY job_id"))
    assert counts == {job: 600 for (job,) in jobs}


def test_a_closed_pipe_is_no_traceback(environment: dict[str, str], many: Path) -> None:
    command = f"{sys.executable} -m smartsight label {many} | head -n 1"
    finished = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, check=True
    )
    assert len(finished.stdout.splitlines()) == 1
    assert "Traceback" not in finished.stderr


def test_progress_is_a_bar_on_a_terminal(environment: dict[str, str], many: Path) -> None:
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    command = [sys.executable, "-m", "smartsight", "label", str(many), "--output", "out.jsonl"]
    with subprocess.Popen(command, env=environment, stderr=inside) as process:
        os.close(inside)
        shown = b""
        while chunk := _read_terminal(terminal):
            shown += chunk
    os.close(terminal)
    assert process.returncode == 0
    text = shown.decode()
    assert "/600" in text
    assert "images/s" in text
    assert "succeeded=" in text


def _read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_hurt_nothing(closed: str, environment: dict[str, str], photos: Path) -> None:
    command = f"{sys.executable} -m smartsight label photos --output out.jsonl --db sqlite:///x.db {closed}"
    finished = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert [row["index"] for row in _rows("out.jsonl")] == [0, 1, 2]
    assert _count("x.db") == 3


def test_the_output_never_takes_the_place_of_a_source(run: Run, photos: Path) -> None:
    Path("l.csv").write_text("url\nphotos/coffee.png\n")
    Path("link.csv").symlink_to("l.csv")
    for output in ("l.csv", "./l.csv", "link.csv"):
        finished = run("label", "l.csv", "--output", output)
        assert finished.status == 2
        assert f"{output} is one of the sources" in finished.err
    assert Path("l.csv").read_text() == "url\nphotos/coffee.png\n"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str, run: Run) -> None:
    finished = run("label", "a.jpg", "--db", url)
    assert finished.status == 2
    assert "database_unsupported" in finished.err


def test_names_that_are_hard_to_print(run: Run, samples: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    shutil.copy(samples / "coffee.png", odd)
    finished = run("classify", odd, "x" * 5000)
    assert finished.status == 1
    assert "file_unreadable" in finished.err
    assert json.loads(finished.out)["predictions"][0]["class"] == "espresso"
    finished = run("label", odd, "x" * 4097, "x" * 4000, str(samples / "coffee.png"))
    assert finished.status == 1
    assert "caf?.png: the reference has control characters or is not UTF-8" in finished.err
    assert "longer than 4096" in finished.err
    assert "espresso" in finished.out


def _patient(base: str) -> dict[str, str]:
    return {"SMARTSIGHT_FETCH_TIMEOUT": "1000", "SMARTSIGHT_OWN_HOSTS": _place(base)}


def test_when_interrupted_a_slow_fetch_is_not_waited_for(start: Start, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        Path("l.txt").write_text(f"{base}/a.jpg\nmissing.jpg\n")
        with start("label", "l.txt", "--db", "sqlite:///x.db", **_patient(base)) as process:
            _wait_for_results("x.db", process)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 130
    assert "Stopped: 1 of 2 images done." in err


def test_a_database_without_room_stops_the_run_and_loses_nothing(
    run: Run, environment: dict[str, str], many: Path
) -> None:
    command = ["label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl"]
    limited = f"ulimit -f 120; exec {sys.executable} -m smartsight {' '.join(command)}"
    stopped = subprocess.run(["bash", "-c", limited], env=environment, capture_output=True, text=True)
    assert stopped.returncode == 1
    assert "database_unavailable" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    finished = run(*command)
    assert finished.status == 0, finished.err
    assert [row["index"] for row in _rows("out.jsonl")] == list(range(600))


def _hostile_server() -> "tuple[socket.socket, str]":
    server = socket.create_server(("127.0.0.1", 0))
    return server, f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe[/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp://host\x1b[31m/\r\nContent-Length: 0\r\n\r\n",
        b"not http at all\r\n\r\n\x00\xff\r\n",
        b"HTTP/1.1 404 \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_hostile_answer_costs_one_item_and_one_line(answer: bytes, run: Run, photos: Path) -> None:
    server, base = _hostile_server()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    Path("l.txt").write_text(f"{base}/a.jpg\nphotos/coffee.png\n")
    finished = run("label", "l.txt", SMARTSIGHT_OWN_HOSTS=_place(base))
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    assert finished.status == 1
    bad, good = finished.out.splitlines()
    assert "failed" in bad
    assert bad.isprintable()
    assert good.endswith("espresso")


def test_many_slow_fetches_are_not_waited_for_when_interrupted(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        Path("l.txt").write_text("missing.jpg\n" + "".join(f"{base}/{i}.jpg\n" for i in range(300)))
        with start("label", "l.txt", "--db", "sqlite:///x.db", **_patient(base)) as process:
            _wait_for_results("x.db", process)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 130
    assert "Stopped: 1 of 301 images done." in err


def test_two_at_once_may_have_the_same_output(run: Run, start: Start, many: Path) -> None:
    command = ("label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl")
    with start(*command) as other:
        assert run(*command).status == 0
        other.communicate(timeout=_PATIENCE)
    assert other.returncode == 0
    assert [row["index"] for row in _rows("out.jsonl")] == list(range(600))


def test_a_link_to_the_output_stays_a_link(run: Run, samples: Path) -> None:
    Path("real.jsonl").write_text("older")
    Path("link.jsonl").symlink_to("real.jsonl")
    assert run("label", str(samples / "coffee.png"), "--output", "link.jsonl").status == 0
    assert Path("link.jsonl").is_symlink()
    assert len(_rows("real.jsonl")) == 1


def test_a_list_that_can_be_read_only_once_is_refused(run: Run) -> None:
    os.mkfifo("l.txt")
    finished = run("label", "l.txt")
    assert finished.status == 1
    assert "source_unreadable" in finished.err
    assert "pipe it to `-` instead" in finished.err


def test_the_output_never_takes_the_place_of_the_database(run: Run, photos: Path) -> None:
    finished = run("label", str(photos), "--db", "sqlite:///labels.csv", "--output", "./labels.csv")
    assert finished.status == 2
    assert "./labels.csv is the database" in finished.err


@pytest.mark.parametrize("folder", ["what?", "100%20", "a b", "#1"])
def test_the_database_is_where_it_is_said_to_be(folder: str, run: Run, photos: Path) -> None:
    run("label", str(photos), SMARTSIGHT_DATA_DIR=folder)
    assert _count(f"{folder}/smartsight.db") == 3


def test_what_killed_runs_left_is_removed_by_the_next(run: Run, start: Start, many: Path) -> None:
    command = ("label", str(many), "--db", "sqlite:///labels.db", "--output", "out.jsonl")
    for _ in range(2):
        with start(*command) as process:
            _wait_for_results("labels.db", process)
            process.kill()
    assert list(Path().glob(".out.jsonl.*.part"))
    assert run(*command).status == 0
    assert not list(Path().glob(".out.jsonl.*.part"))


def test_an_output_keeps_its_permissions(run: Run, samples: Path) -> None:
    Path("out.csv").touch(mode=0o600)
    run("label", str(samples / "coffee.png"), "--output", "out.csv")
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600


def test_messages_that_find_no_place_cost_nothing(environment: dict[str, str], samples: Path) -> None:
    Path("l.csv").write_text("url,n\n" + "bad\n" * 200 + f"{samples}/coffee.png,1\n")
    command = f"{sys.executable} -m smartsight label l.csv --output out.jsonl"
    for redirect in ("2>/dev/full", "2>&1 >/dev/null | head -n 1"):
        Path("out.jsonl").unlink(missing_ok=True)
        subprocess.run(f"{command} {redirect}", shell=True, env=environment, capture_output=True)
        assert [row["state"] for row in _rows("out.jsonl")] == ["succeeded"]


def test_a_working_folder_that_is_gone_is_not_needed(environment: dict[str, str], samples: Path) -> None:
    root = Path(__file__).parents[2]
    command = (
        f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m smartsight label {samples / 'coffee.png'}"
    )
    finished = subprocess.run(
        command, shell=True, env=environment | {"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    assert "espresso" in finished.stdout


def test_postgres_keeps_the_results_of_several_jobs(
    run: Run, photos: Path, new_postgres_database: Callable[[], str]
) -> None:
    url = new_postgres_database()
    first = run("label", str(photos), "--output", "a.jsonl", SMARTSIGHT_DATABASE_URL=url)
    assert "Stored as job 1 in postgresql+psycopg://" in first.err
    assert [row["code"] for row in _rows("a.jsonl")] == [None, "not_an_image", None]
    second = run("label", str(photos), "--output", "b.jsonl", SMARTSIGHT_DATABASE_URL=url)
    assert "Stored as job 2 in" in second.err
    assert [row["reused"] for row in _rows("b.jsonl")] == [True, False, True]
    assert _lasting(_rows("b.jsonl")) == _lasting(_rows("a.jsonl"))


def _crawl_samples(name: str, samples: Path) -> list[tuple[str, str]]:
    """Write a crawl of two good pictures, and return each picture's reference and file name."""
    coffee, chelsea = ((samples / picture).read_bytes() for picture in ("coffee.png", "chelsea.png"))
    with Crawl(name) as crawl:
        crawl.others()
        first = crawl.answer("https://host/coffee", chunked(coffee, 9999), transfer_encoding="chunked")
        crawl.answer("https://host/gone.png", status="404 Not Found")
        crawl.answer("https://host/page", b"<!doctype html>", "text/html")
        second = crawl.answer(
            "https://host/cat", gzip.compress(chelsea), "text/plain", content_encoding="gzip"
        )
        crawl.others()
    return [
        (f"{name}:{first}:https://host/coffee", "coffee.png"),
        (f"{name}:{second}:https://host/cat", "chelsea.png"),
    ]


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz", "100%: a b.warc.gz"])
def test_a_crawl_is_labelled_as_its_files_would_be(name: str, run: Run, samples: Path) -> None:
    expected = _crawl_samples(name, samples)
    finished = run("label", name, "--output", "out.jsonl")
    assert finished.status == 0, finished.err
    run("label", *(str(samples / picture) for _, picture in expected), "--output", "files.jsonl")
    rows, files = _rows("out.jsonl"), _rows("files.jsonl")
    quoted = name.replace("%", "%25").replace(":", "%3A")
    assert [row["ref"] for row in rows] == [ref.replace(name, quoted) for ref, _ in expected]
    for key in ("predictions", "sha256", "bytes"):
        assert [row[key] for row in rows] == [row[key] for row in files]
    again = run("label", "out.jsonl", "--column", "ref", "--output", "again.jsonl")
    assert again.status == 0, again.err
    assert [row["predictions"] for row in _rows("again.jsonl")] == [row["predictions"] for row in rows]


def test_a_broken_image_of_a_crawl_has_its_reason(run: Run, samples: Path) -> None:
    with Crawl("crawl.warc.gz") as crawl:
        crawl.answer("https://host/half.jpg", (samples / "rocket.jpg").read_bytes()[:50_000])
        crawl.answer("https://host/page.jpg", b"<!doctype html>")
        crawl.answer("https://host/bomb.png", bomb(64), "image/png", content_encoding="gzip")
    finished = run("label", "crawl.warc.gz", "--output", "out.jsonl")
    assert finished.status == 1
    assert [row["code"] for row in _rows("out.jsonl")] == [
        "image_truncated",
        "not_an_image",
        "too_many_bytes",
    ]


def test_a_crawl_that_was_cut_off_is_labelled_as_far_as_it_goes(run: Run, samples: Path) -> None:
    (first, _), _ = _crawl_samples("crawl.warc.gz", samples)
    whole = Path("crawl.warc.gz").read_bytes()
    for length in (len(whole) * 3 // 4, 100):
        Path("crawl.warc.gz").write_bytes(whole[:length])
        finished = run("label", "crawl.warc.gz", "--output", "out.jsonl")
        assert finished.status == 1
        assert "the record is incomplete" in finished.err
    assert "source_unreadable" in finished.err
    assert [row["ref"] for row in _rows("out.jsonl")] == [first]


def test_a_crawl_stopped_half_way_goes_on(run: Run, start: Start, samples: Path) -> None:
    rocket = (samples / "rocket.jpg").read_bytes()
    with Crawl("crawl.warc.gz") as crawl:
        for number in range(250):
            crawl.answer(f"https://host/{number}.jpg", rocket + b"%d" % number)
    command = ("label", "crawl.warc.gz", "--db", "sqlite:///labels.db", "--output", "out.jsonl")
    with start(*command) as process:
        _wait_for_results("labels.db", process)
        process.kill()
        process.communicate(timeout=_PATIENCE)
    done = _count("labels.db")
    assert 0 < done < 250
    finished = run(*command)
    assert finished.status == 0, finished.err
    assert f"Resuming job 1: {done} of 250 images done." in finished.err
    assert [row["index"] for row in _rows("out.jsonl")] == list(range(250))


def test_an_image_that_kills_the_decoder_costs_itself(run_apart: Run, photos: Path) -> None:
    poisoned = Path("photos/coffee.png").read_bytes() + b"deadly poison"
    Path("photos/deadly.png").write_bytes(poisoned)
    tests = Path(__file__).parents[1]
    fault = {
        "SMARTSIGHT_TEST_FAULT": "decoder poison",
        "PYTHONPATH": f"{tests / 'faults/inject'}:{tests.parent}",
    }
    finished = run_apart("label", "photos", "--output", "out.jsonl", **fault)
    assert finished.status == 1
    ends = {row["ref"]: (row["state"], row["code"], row["message"]) for row in _rows("out.jsonl")}
    assert ends["photos/deadly.png"] == (
        "failed",
        "decoder_crashed",
        "The image crashed the process that decoded it. (SIGABRT)",
    )
    assert ends["photos/coffee.png"][0] == ends["photos/more/chelsea.jpg"][0] == "succeeded"
    assert "2 succeeded, 2 failed" in finished.err
