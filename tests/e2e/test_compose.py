"""The whole pipeline in containers, where Docker is: brought up, scaled, one worker killed, brought down."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
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
    init: true
    command: [python, -m, http.server, --directory, /samples, "80"]
    volumes: ["{samples}:/samples:ro"]
"""


#: What is set in the shell or in ``.env``.
_SETTINGS = {
    "SMARTSIGHT_MODEL": "lite2",
    "SMARTSIGHT_RETRY_DELAYS": "0.5,1",
    "SMARTSIGHT_FETCH_TIMEOUT": "7",
    "SMARTSIGHT_METRICS_PORT": "9111",
}
_ONCE = ("run", "--rm", "--no-deps", "--no-TTY")
#: The network and the labels of a model in the image.
_LITE0 = "/opt/smartsight/models/lite0"
#: The volume.
_DATA = "/var/lib/smartsight"


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
            **_SETTINGS,
        }

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        finished = self._run(arguments, stdin)
        assert finished.returncode == 0, f"{arguments}\n{finished.stdout}\n{finished.stderr[-5000:]}"
        return finished.stdout

    def smartsight(self, *arguments: str, stdin: str = "", options: Sequence[str] = ()) -> str:
        return self(*_ONCE, *options, "worker", *arguments, stdin=stdin)

    def failure(self, *arguments: str, options: Sequence[str] = ()) -> str:
        """Return what a command that fails says."""
        finished = self._run([*_ONCE, *options, "worker", *arguments])
        assert finished.returncode in (1, 2), f"{arguments}\n{finished.stdout}\n{finished.stderr[-5000:]}"
        assert "Traceback" not in finished.stderr
        return finished.stderr

    def _run(self, arguments: Sequence[str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )

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


@pytest.mark.timeout(2 * _PATIENCE)  # it builds the image first
def test_three_workers_of_which_one_dies_label_the_samples(
    compose: Compose, samples: Path, tmp_path: Path
) -> None:
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
    assert rows[names.index("coffee.png")]["predictions"][0]["class"] == "espresso"
    assert rows[-1]["model"].startswith("lite2@")
    _check_report(compose, job, tmp_path)
    _check_settings(compose)
    _check_models(compose, tmp_path)
    _check_users(compose)


def _check_report(compose: Compose, job: str, folder: Path) -> None:
    assert "http_404" in compose.smartsight("report", job, "--output", "-")
    compose.smartsight("report", job)
    compose("cp", f"api:{_DATA}/report-{job}.html", str(folder))
    assert "</html>" in (folder / f"report-{job}.html").read_text("utf-8")


def _check_settings(compose: Compose) -> None:
    """What is set outside has its effect in every container; the rest has its default."""
    for service in ("worker", "api"):
        listed = json.loads(compose("exec", "--no-TTY", service, "smartsight", "settings", "--json"))
        shown = {one["name"]: (one["value"], one["source"]) for one in listed}
        assert shown.items() >= {name: (value, "environment") for name, value in _SETTINGS.items()}.items()
        assert shown["SMARTSIGHT_SWEEP_AFTER"] == ("1200", "default")


def _check_models(compose: Compose, folder: Path) -> None:
    """All three are there; an imported or copied one is found everywhere; what cannot be done is said."""
    assert compose.smartsight("model", "list").count(" built ") == 3
    labels = ("--labels", f"{_LITE0}/labels.tsv")
    compose.smartsight("model", "import", f"{_LITE0}/network.tflite", "--name", "mine", *labels)
    urls = "http://pictures/chelsea.png\n"
    job = compose.smartsight("submit", "-", "--model", "mine", stdin=urls).strip()
    wait_until(lambda: "completed" in compose.smartsight("jobs", job), 120, "the job to be completed")
    (row,) = [json.loads(line) for line in compose.smartsight("results", job, "--output", "-").splitlines()]
    assert (row["state"], row["model"].startswith("mine@")) == ("succeeded", True)
    compose("cp", f"api:{_DATA}/models/mine", str(folder / "mine"))
    (folder / "models").mkdir()
    (folder / "mine").rename(folder / "models" / "ours")
    compose("cp", str(folder / "models"), f"api:{_DATA}/")
    assert "ours             imported" in compose.smartsight("model", "list")
    assert "folder_unwritable" in compose.failure("model", "build", "lite0")
    elsewhere = ("--env", "SMARTSIGHT_CACHE_DIR=/tmp/models")
    assert "tensorflow_missing" in compose.failure("model", "build", "lite0", options=elsewhere)
    assert "model_unknown" in compose.failure("worker", options=("--env", "SMARTSIGHT_MODEL=yours"))


def _check_users(compose: Compose) -> None:
    """Any user may run the image, with a home or without."""
    alone = ("--env", "SMARTSIGHT_DATABASE_URL=", "--env", "SMARTSIGHT_BROKER_URL=")
    bare = ("--env", "SMARTSIGHT_DATA_DIR=", "--env", "SMARTSIGHT_CACHE_DIR=", "--env", "SMARTSIGHT_RUN_DIR=")
    for user in ("10001", "12345:0", "12345:12345"):
        for home in ("/", "", "/nonexistent"):
            options = ("--user", user, "--env", f"HOME={home}", *alone)
            assert "lite2" in compose.smartsight("model", "list", options=options)
            assert "folder" in compose.failure("migrate", options=(*options, *bare)).lower()
    assert "up to date" not in compose.smartsight("migrate", options=("--user", "12345:0", *alone))
    assert "database_unavailable" in compose.failure("migrate", options=("--user", "12345:12345", *alone))
