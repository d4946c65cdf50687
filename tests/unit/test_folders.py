"""Folders and files that commands make: who may read them, and how a full disk is noticed."""

import errno
import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands.metrics import serve_metrics
from commands.parts import open_store
from commands.serving_parts import probe_disk
from shared.errors import Code, ResourceError
from shared.settings import Settings
from tests.servers.commands import run_command
from tests.servers.ports import free_port


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_the_default_database_is_its_owners_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with open_store(Settings(data_dir=folder)) as store:
        store.models.record("mine", "1", [])
        names = ("smartsight.db", "smartsight.db-wal", "smartsight.db-shm")
        assert _modes(folder) == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_so_is_any_new_database_and_an_older_default_one(tmp_path: Path) -> None:
    with open_store(Settings(database_url=f"sqlite:///{tmp_path / 'labels.db'}")):
        assert _modes(tmp_path)["labels.db"] == 0o600
    (tmp_path / "smartsight.db").touch(0o644)
    with open_store(Settings(data_dir=tmp_path)):
        assert _modes(tmp_path)["smartsight.db"] == 0o600
    (tmp_path / "labels.db").chmod(0o640)
    with open_store(Settings(database_url=f"sqlite:///{tmp_path / 'labels.db'}")):
        assert _modes(tmp_path)["labels.db"] == 0o640


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError) as caught, open_store(Settings(data_dir=tmp_path / "file" / "data")):
        pass
    assert caught.value.code is Code.DATABASE_UNAVAILABLE
    assert "Not a directory; SMARTSIGHT_DATA_DIR names another folder" in str(caught.value)


@contextmanager
def _no_room() -> Iterator[None]:
    """Let this process write no file larger than a kilobyte."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_server_knows_that_it_can_store_nothing_more(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    probe_disk(settings)
    with pytest.raises(ResourceError) as caught, _no_room():
        probe_disk(settings)
    assert caught.value.code is Code.DISK_FULL


def test_a_server_knows_that_the_folder_of_its_database_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        probe_disk(Settings(data_dir=tmp_path / "gone"))
    assert caught.value.code is Code.FOLDER_UNWRITABLE
    probe_disk(Settings(database_url="postgresql+psycopg://host/jobs"))


def test_metrics_without_a_folder_or_a_port_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError) as caught, serve_metrics(free_port(), tmp_path / "file" / "run"):
        pass
    assert caught.value.code is Code.FOLDER_UNWRITABLE
    assert "SMARTSIGHT_RUN_DIR" in str(caught.value)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError) as caught, serve_metrics(port, tmp_path):
            pass
    assert caught.value.code is Code.ADDRESS_UNAVAILABLE
    assert f"port {port}" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EROFS, "folder_unwritable"), (errno.ENOSPC, "disk_full"), (0, "folder_unwritable")],
)
def test_a_file_that_cannot_be_made_is_no_traceback(
    number: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a temporary one, which many parts make."""

    def refuse(*_: object) -> int:
        raise OSError(number, "No usable temporary directory found", "/tmp/x")

    monkeypatch.setattr("commands.installation.migrate", refuse)
    finished = run_command(["migrate"], os.environ)
    assert finished.status == 1
    assert finished.err.startswith(f"smartsight: {code}: ")
    assert "/tmp/x: No usable" in finished.err
