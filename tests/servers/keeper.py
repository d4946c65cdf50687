"""One server for all processes of a test run: who needs it first starts it, and it ends when all are gone.

A process of its own keeps the server. Each user holds a shared lock on a file; the keeper waits for an
exclusive one, which it gets when the last user has gone, however it went.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.servers.docker import docker_is_usable, postgres_container, rabbitmq_container
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer
from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
#: A container's image may have to be fetched.
_PATIENCE = 600


@contextmanager
def shared_server(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of the "postgres" or "rabbit" of all processes that name the same folder."""
    with _users(folder, kind).open("a") as users:
        with (folder / f"{kind}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # A keeper that is just ending its server holds this lock until it has.
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _address(folder, kind).exists():
                _start_keeper(folder, kind)
        yield _address(folder, kind).read_text()


def _users(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.users"


def _address(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.url"


def _start_keeper(folder: Path, kind: str) -> None:
    log = folder / f"{kind}.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.keeper", kind, str(folder)],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = _address(folder, kind)
    wait_until(lambda: address.exists() or keeper.poll() is not None, _PATIENCE, f"the shared {kind}")
    if not address.exists():
        raise RuntimeError(f"the shared {kind} did not start:\n{log.read_text()}")
    # It outlives this process, which must not complain that nobody waited for it.
    keeper.returncode = 0


@contextmanager
def _server(kind: str) -> Iterator[str]:
    if docker_is_usable():
        with {"postgres": postgres_container, "rabbit": rabbitmq_container}[kind]() as url:
            yield url
        return
    server = PostgresServer(durable=False) if kind == "postgres" else RabbitServer()
    with closing(server):
        server.start()
        yield server.url


def _keep(kind: str, folder: Path) -> None:
    address = _address(folder, kind)
    # Left in reverse order: whoever comes now waits until the server has ended.
    with _users(folder, kind).open("a") as users, _server(kind) as url:
        unfinished = address.with_suffix(".new")
        unfinished.write_text(url)
        unfinished.rename(address)
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]))
