"""The examples of the documentation on one list, as they stand there: each is run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Run, Start
from tests.e2e.serving import listening
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_LIST = "samples/crawl.csv"
_PAGES = [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]


def _commands(page: Path) -> list[str]:
    """Return the commands on the list, without what follows them on the line for the reader."""
    lines = re.findall(r"^\$ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return [line for line in lines if "crawl.csv" in line and "--webhook" not in line]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The web server of the README, on a free port, and the list beside us that leads to it; the settings."""
    port = free_port()
    shutil.copytree(_ROOT / "samples", "samples")
    list_ = Path(_LIST)
    list_.write_text(list_.read_text().replace("localhost:9000", f"localhost:{port}"))
    command = [
        sys.executable,
        "-m",
        "http.server",
        "--directory",
        "samples",
        "--bind",
        "127.0.0.1",
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_until(lambda: _answers(port), 30, "the web server")
            yield {"SMARTSIGHT_OWN_HOSTS": f"localhost:{port}"}
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_all_examples_use_the_one_list() -> None:
    for page in _PAGES:
        text = page.read_text("utf-8")
        assert set(re.findall(r"[\w./-]*crawl\.csv", text)) <= {_LIST}, page
        names = re.findall(r"""--(?:id-)?column (\w+)|(?:id_)?column=["']?(\w+)""", text)
        used = {name for pair in names for name in pair if name}
        assert used <= {"url", "sku"}, f"{page}: the list has the columns url and sku"
    assert "http.server --directory samples 9000" in (_ROOT / "README.md").read_text("utf-8")


def test_the_examples_of_commands_work_on_it(run: Run, web: dict[str, str]) -> None:
    commands = [one for one in _commands(_ROOT / "README.md") if one.startswith("smartsight ")]
    assert {one.split()[1] for one in commands} == {"label", "submit"}
    readme = (_ROOT / "README.md").read_text("utf-8")
    for command in commands:
        finished = run(*shlex.split(command)[1:], **web)
        left_out = "left out: samples/crawl.csv, line 6: 3 columns where the header has 2"
        assert left_out in finished.err
        assert left_out in readme
        if "--dry-run" in command:
            assert finished.status == 0
            assert "50.0%" in finished.out
        elif " label " in command:
            assert finished.status == 1
            told = readme.partition(f"$ {command}\n")[2].partition("\n\n")[0].splitlines()
            for line in told[2:4]:
                assert line in finished.err
            assert "4 images: 2 succeeded, 2 failed" in finished.err
            assert Path("labels.jsonl").read_text().count("\n") == 4
        else:
            assert finished.status == 1
            assert "4 images recorded" in finished.err


@pytest.mark.skipif(not shutil.which("curl"), reason="left out: there is no curl")
def test_the_examples_of_requests_work_on_it(start: Start, web: dict[str, str]) -> None:
    commands = [one for one in _commands(_ROOT / "README.md") if one.startswith("curl ")]
    assert commands
    with listening(start, **web) as service:
        for command in commands:
            there = command.replace("localhost:8000", f"127.0.0.1:{service.port}")
            finished = subprocess.run(shlex.split(there), capture_output=True, text=True, check=True)
            assert '"code":202' in finished.stdout, finished.stdout
