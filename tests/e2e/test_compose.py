"""The whole pipeline in containers, where Docker is: brought up, scaled, one worker killed, brought down."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.docker import docker_is_usable
from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_PATIENCE = 900
#: Serves the sample pictures inside the network of the containers.
_PICTURES = """\
services:
  pictures:
    image: python:3.13-slim
    command: [python, -m, http.server, --directory, /samples, "80"]
    volumes: ["{samples}:/samples:ro"]
"""


class Compose:
    """The services of docker-compose.yml, in a project of their own."""

    def __init__(self, folder: Path, samples: Path) -> None:
        pictures = folder / "pictures.yml"
        pictures.write_text(_PICTURES.format(samples=samples))
        files = ["--file", str(_ROOT / "docker-compose.yml"), "--file", str(pictures)]
        self._command = ["docker", "compose", "--project-name", f"smartsight-{uuid.uuid4().hex[:8]}", *files]
        self._environment = os.environ | {
            "POSTGRES_PASSWORD": "first",
            "RABBITMQ_PASSWORD": "second",
            "SMARTSIGHT_OWN_HOSTS": "pictures",
        }

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        finished = subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert finished.returncode == 0, f"{arguments}\n{finished.stdout}\n{finished.stderr[-5000:]}"
        return finished.stdout

    def smartsight(self, *arguments: str, stdin: str = "") -> str:
        return self("run", "--rm", "--no-deps", "--no-TTY", "worker", *arguments, stdin=stdin)

    def workers(self) -> list[str]:
        return self("ps", "--quiet", "worker").split()


@pytest.fixture
def compose(tmp_path: Path, samples: Path) -> Iterator[Compose]:
    if not docker_is_usable():
        pytest.skip("left out: Docker is not here, or not running")
    compose = Compose(tmp_path, samples.resolve())
    try:
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "60")


@pytest.mark.timeout(_PATIENCE)
def test_three_workers_of_which_one_dies_label_the_samples(compose: Compose, samples: Path) -> None:
    assert shutil.which("docker")
    compose("up", "--detach", "--build", "--wait", "--wait-timeout", "300")
    compose("up", "--detach", "--no-recreate", "--scale", "worker=3", "--wait", "--wait-timeout", "300")
    names = sorted(file.name for file in samples.glob("*.*g"))
    urls = [f"http://pictures/{name}" for name in names] + ["http://pictures/nothing.jpg"]
    job = compose.smartsight("submit", "-", stdin="\n".join(urls)).strip()
    victim = compose.workers()[0]
    subprocess.run(["docker", "kill", victim], check=True, capture_output=True)

    def completed() -> bool:
        return "completed" in compose.smartsight("jobs", job)

    wait_until(completed, 120, "the job to be completed")
    rows = [json.loads(line) for line in compose.smartsight("results", job, "--output", "-").splitlines()]
    assert [row["ref"] for row in rows] == urls
    assert [row["state"] for row in rows] == ["succeeded"] * len(names) + ["failed"]
    assert rows[-1]["code"] == "http_404"
    assert rows[names.index("chelsea.png")]["predictions"][0]["class"] == "tiger cat"
