"""A PostgreSQL of one's own, to be killed and paused at will."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.servers.binaries import postgres_program
from tests.servers.databases import DRIVER, accepts, create_database
from tests.servers.ports import free_port, is_free
from tests.servers.processes import check_runs, children_of, end, kill_family, send
from tests.servers.waiting import wait_until

_PATIENCE = 60
_ADMINISTRATOR = "postgres"


class PostgresServer:
    """A private PostgreSQL in a folder of its own."""

    def __init__(self, durable: bool = True) -> None:
        """Without durability it is faster, but what was committed may not survive a kill."""
        # Not a test's folder: those are closed to the user that the server runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="smartsight-postgres-"))
        self.port = free_port()
        self._durable = durable
        self._log = self._folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{DRIVER}://{_ADMINISTRATOR}@127.0.0.1:{self.port}/postgres"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return create_database(self.url)

    def start(self) -> None:
        """Start the server, on the data of its last run if there are any, and wait until it serves."""
        if self._process:
            raise RuntimeError("it runs already")
        if not self._data.exists():
            self._initialize()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [postgres_program("postgres"), "-D", self._data, *self._options()],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **unprivileged(),
            )
        wait_until(self._serves, _PATIENCE, f"PostgreSQL on port {self.port}")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _initialize(self) -> None:
        user = unprivileged().get("user")
        if user:
            shutil.chown(self._folder, user)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", _ADMINISTRATOR]
        made = subprocess.run(
            [postgres_program("initdb"), "-D", self._data, *options],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            **unprivileged(),
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stdout}")

    def _options(self) -> list[str]:
        sync = "on" if self._durable else "off"
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            # No socket file: the path of a temporary folder can be longer than such a file's may be.
            "unix_socket_directories": "",
            "fsync": sync,
            "full_page_writes": sync,
            "synchronous_commit": sync,
            "max_connections": 200,
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _serves(self) -> bool:
        check_runs(self._running, self._log)
        return accepts(self.url)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if not self._process:
            raise RuntimeError("it does not run")
        return self._process

    def revive(self) -> None:
        """See to it that the server runs, whatever was done to it."""
        if self._process:
            self.unpause()
        else:
            self.start()

    @property
    def pid(self) -> int:
        return self._running.pid

    def stop(self) -> None:
        """Stop the server in good order, without waiting for its clients to leave."""
        self.unpause()
        end(self._running, signal.SIGINT)
        self._process = None

    def kill(self) -> None:
        """Kill the server as a power cut would, and what it runs for its clients."""
        kill_family(self._running)
        self._process = None
        wait_until(lambda: is_free(self.port), _PATIENCE, f"port {self.port} to be free")

    def pause(self) -> None:
        """Stop the server in its tracks: its connections stay open and nothing answers."""
        # The parent first: once it stands still, there are no new children.
        send(signal.SIGSTOP, [self._running.pid])
        send(signal.SIGSTOP, children_of(self._running.pid))

    def unpause(self) -> None:
        send(signal.SIGCONT, [*children_of(self._running.pid), self._running.pid])

    def close(self) -> None:
        """End the server and remove all that it left."""
        if self._process:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def unprivileged() -> dict[str, Any]:
    """Return how to run a program as PostgreSQL's user if we are root, which it refuses to run as."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
