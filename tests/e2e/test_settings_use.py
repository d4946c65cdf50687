"""Every setting has its effect in every command that the documentation names, and in no other."""

import json
import signal
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

from shared.settings import SERVING, STORING, WORKING, Settings, users_of
from tests.e2e.conftest import Run, Start
from tests.e2e.serving import listening
from tests.servers.ports import free_port
from tests.servers.reading import note_settings

_NAMES = [setting.name for setting in fields(Settings)]
_INJECT = Path(__file__).parents[1] / "settings_inject"
_ROOT = _INJECT.parents[1]
_PATIENCE = 60
#: Read without an effect: `up` refuses a broker, and a dry run keeps no thumbnails.
_WITHOUT_EFFECT = {"up": {"broker_url"}, "submit": {"thumbnail_side"}}
#: Used only while there is a broker.
_UNSEEN = {"submit": {"queue_length"}}


def _used_by(command: str) -> set[str]:
    return {name for name in _NAMES if command in users_of(name)}


def test_each_setting_is_used_by_commands_that_exist() -> None:
    for name in _NAMES:
        assert users_of(name), name
        assert users_of(name) <= {"classify", "model", "--api", *STORING, *WORKING, *SERVING}
        if not name.startswith(("broker_", "queue_prefix")):
            # `up` does what both do.
            assert ("up" in users_of(name)) == bool(users_of(name) & {"worker", "api"}), name


@pytest.mark.parametrize(
    ("command", "invocations"),
    [
        ("classify", ["classify {image}"]),
        ("label", ["label {image} http://127.0.0.1/a.jpg"]),
        ("submit", ["submit {list}", "submit {list} --dry-run", "{broker} submit {list}"]),
        ("report", ["report 1 --output -"]),
        ("hosts", ["hosts block h.example", "hosts"]),
        ("jobs", ["jobs", "jobs 1", "results 1", "cancel 1", "retry 1"]),
        ("keys", ["keys list"]),
        ("migrate", ["migrate"]),
        ("model", ["model info lite0", "model list"]),
        ("--api", ["jobs --api"]),
    ],
)
def test_a_command_uses_the_settings_that_it_says(
    command: str, invocations: list[str], run: Run, samples: Path, tmp_path: Path
) -> None:
    Path("list.txt").write_text("http://127.0.0.1/a.jpg\n")
    run("submit", "list.txt")  # so that there is a job
    target = tmp_path / "read.txt"
    end = note_settings(target)
    try:
        for words in invocations:
            settings = {"SMARTSIGHT_API_URL": f"http://127.0.0.1:{free_port()}"}
            if words.startswith("{broker} "):
                settings["SMARTSIGHT_BROKER_URL"] = f"amqp://127.0.0.1:{free_port()}/"
            words = words.removeprefix("{broker} ").format(image=samples / "coffee.png", list="list.txt")
            run(*words.split(), **settings)
    finally:
        end()
    read = set(target.read_text().split()) - _WITHOUT_EFFECT.get(command, set())
    assert read == _used_by(command) - _UNSEEN.get(command, set())


def test_a_server_uses_the_settings_that_it_says(start: Start, samples: Path, tmp_path: Path) -> None:
    target = tmp_path / "read.txt"
    environment = {"PYTHONPATH": f"{_INJECT}:{_ROOT}", "SMARTSIGHT_TEST_READ": str(target)}
    with listening(start, command="up", **environment) as service:
        there = f"http://127.0.0.1:{service.port}/v1"
        picture = (samples / "coffee.png").read_bytes()
        _post(f"{there}/classify", picture, "image/png")
        urls = json.dumps({"urls": ["http://127.0.0.1/a.jpg"]}).encode()
        _post(f"{there}/jobs", urls, "application/json")
        _post(f"{there}/jobs?dry_run=true", b"http://127.0.0.1/a.jpg\n", "text/plain")
        with urllib.request.urlopen(f"{there}/hosts", timeout=_PATIENCE) as answer:
            assert answer.status == 200
        service.process.send_signal(signal.SIGTERM)
        service.process.communicate(timeout=_PATIENCE)
    assert set(target.read_text().split()) - _WITHOUT_EFFECT["up"] == _used_by("up")


def _post(url: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="POST")
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        assert answer.status in (200, 202)
