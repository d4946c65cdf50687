"""Where the servers' programs are on this machine, and how they get there."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_POSTGRES = Path("/usr/lib/postgresql")
_POLICY = Path("/usr/sbin/policy-rc.d")
_RABBIT = ("/usr/lib/rabbitmq/bin", "/usr/sbin")
_PACKAGES = ("postgresql", "rabbitmq-server")
_PATIENCE = 600
_WITH_SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))

WAYS = """The tests need PostgreSQL and RabbitMQ. Any one of these gives them both:
- name servers that run: SMARTSIGHT_TEST_DATABASE_URL=postgresql+psycopg://USER:PASSWORD@HOST/NAME and
  SMARTSIGHT_TEST_BROKER_URL=amqp://USER:PASSWORD@HOST/; the tests make databases and queues of their
  own there, and remove them. Tests that kill servers need programs to start all the same
- install them, with nothing to start: sudo apt-get install postgresql rabbitmq-server (as root the tests
  do so themselves)"""


_CHROMIUM_WAY = (
    """The tests of pages need Chromium: sudo apt-get install chromium (as root they do so themselves)."""
)


_NGINX_WAY = (
    """The test of a proxy needs nginx: sudo apt-get install nginx-light (as root it does so itself)."""
)
_PGBOUNCER_WAY = (
    "The test of pgbouncer needs it: sudo apt-get install pgbouncer (as root the test does so itself)."
)


class MissingProgramError(RuntimeError):
    """A server's program is not installed here."""


def postgres_program(name: str) -> Path:
    """Return a program of the newest PostgreSQL here; Debian has them on no search path."""
    folders = sorted(_POSTGRES.glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return _program(name, map(str, folders))


def rabbitmq_program(name: str) -> Path:
    """Return a program of RabbitMQ: where Debian has it is not on everybody's search path."""
    return _program(name, _RABBIT)


def _program(name: str, folders: Iterable[str]) -> Path:
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    if not found:
        raise MissingProgramError(name)
    return Path(found)


def chromium_program() -> Path:
    """Return Debian's Chromium, or fail with the way to get it."""
    with _one_at_a_time():
        if not shutil.which("chromium"):
            _install(("chromium",), _CHROMIUM_WAY)
    return _program("chromium", ())


def nginx_program() -> Path:
    """Return Debian's nginx, or fail with the way to get it."""
    with _one_at_a_time():
        if not shutil.which("nginx", path=_WITH_SBIN):
            _install(("nginx-light",), _NGINX_WAY)
    return _program("nginx", ("/usr/sbin",))


def pgbouncer_program() -> Path:
    """Return Debian's pgbouncer, or fail with the way to get it."""
    with _one_at_a_time():
        if not shutil.which("pgbouncer", path=_WITH_SBIN):
            _install(("pgbouncer",), _PGBOUNCER_WAY)
    return _program("pgbouncer", ("/usr/sbin",))


def ensure_local_binaries() -> None:
    """Install what is missing of PostgreSQL and RabbitMQ, or fail with the ways to get it."""
    with _one_at_a_time():
        if not _are_here():
            _install(_PACKAGES, WAYS)
            if not _are_here():
                pytest.fail(f"{_PACKAGES} were installed, but are not found\n{WAYS}", pytrace=False)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for other processes of the same test run: apt-get refuses to run twice at once."""
    with Path(tempfile.gettempdir(), f"smartsight-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(packages: Sequence[str], way: str) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(way, pytrace=False)
    print("installing", *packages)
    try:
        with _no_services():
            _apt_get("update")
            _apt_get("install", "--yes", "--no-install-recommends", *packages)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.fail(f"{error}\n{getattr(error, 'stdout', '') or ''}\n{way}", pytrace=False)


def _are_here() -> bool:
    try:
        postgres_program("initdb")
        rabbitmq_program("rabbitmqctl")
    except MissingProgramError:
        return False
    return True


def _apt_get(*arguments: str) -> None:
    subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq", *arguments],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE,
    )


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep Debian from starting the services of the packages it installs."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
