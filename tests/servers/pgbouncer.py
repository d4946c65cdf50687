"""Debian's pgbouncer in transaction mode before a PostgreSQL: each transaction gets any of a few sessions."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.binaries import pgbouncer_program
from tests.servers.databases import accepts
from tests.servers.ports import free_port
from tests.servers.postgres import unprivileged
from tests.servers.processes import check_runs
from tests.servers.waiting import wait_until

_PATIENCE = 30

_SETTINGS = """[databases]
* = {upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_round_robin = 1
"""


class PgBouncer:
    """A private pgbouncer before the server of a URL."""

    def __init__(self, upstream: str) -> None:
        program = pgbouncer_program()
        self._folder = Path(tempfile.mkdtemp(prefix="smartsight-pgbouncer-"))
        self._log = self._folder / "pgbouncer.log"
        self.port = free_port()
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(upstream=_upstream(upstream), port=self.port))
        user = unprivileged()
        if user:
            shutil.chown(self._folder, user["user"])
            shutil.chown(settings, user["user"])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, settings],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **user,
            )
        wait_until(lambda: self._serves(self.url(upstream)), _PATIENCE, f"pgbouncer on port {self.port}")

    def url(self, upstream: str) -> str:
        """Return a URL of the server as it is reached through here."""
        user = urlsplit(upstream).netloc.rpartition("@")[0]
        return urlsplit(upstream)._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serves(self, url: str) -> bool:
        check_runs(self._process, self._log)
        return accepts(url)


def _upstream(url: str) -> str:
    """Return the server of a URL, and whom to be there, as pgbouncer's settings have them."""
    parts = urlsplit(url)
    found = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    return " ".join(f"{name}={value}" for name, value in found.items() if value)
