"""RabbitMQ and Postgres for a measurement, started as the tests start theirs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import smartsight
from shared.store.database import Database
from shared.store.store import Store
from tests.servers.binaries import ensure_local_binaries
from tests.servers.postgres import PostgresServer
from tests.servers.processes import children_of, cpu_seconds
from tests.servers.rabbit import RabbitServer


@dataclass(frozen=True)
class Servers:
    """Both servers, running, with an empty database."""

    rabbit: RabbitServer
    postgres: PostgresServer
    store: Store
    database_url: str
    environment: dict[str, str]

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each server has used."""
        return {"RabbitMQ": family_cpu(self.rabbit.pid), "Postgres": family_cpu(self.postgres.pid)}

    def command(self, *arguments: str) -> str:
        """Run a `smartsight` command and return what it printed."""
        finished = subprocess.run(
            smartsight(*arguments), env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return finished.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a `smartsight` command."""
        return subprocess.Popen(smartsight(*arguments), env=self.environment, stderr=subprocess.DEVNULL)


@contextmanager
def servers(**settings: str) -> Iterator[Servers]:
    """Start both servers, and stop them at the end; commands have these settings as well."""
    ensure_local_binaries()
    with closing(RabbitServer()) as rabbit, closing(PostgresServer()) as postgres:
        rabbit.start()
        postgres.start()
        url = postgres.new_database()
        with closing(Database(url)) as database, tempfile.TemporaryDirectory() as run_dir:
            environment = os.environ | {
                "SMARTSIGHT_BROKER_URL": rabbit.url,
                "SMARTSIGHT_DATABASE_URL": url,
                "SMARTSIGHT_RUN_DIR": run_dir,
                **settings,
            }
            yield Servers(rabbit, postgres, Store(database), url, environment)


def family_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    family, waiting = [], [pid]
    while waiting:
        family.append(waiting.pop())
        waiting += children_of(family[-1])
    return cpu_seconds(family)


@contextmanager
def picture_server(paths: Sequence[Path]) -> Iterator[str]:
    """Serve pictures from a separate process; yield the prefix of their URLs."""
    command = [sys.executable, "-m", "benchmarks.picture_server", *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def wait_for_done(store: Store, job_id: int, count: int) -> int:
    """Wait until this many items are done; return how many are."""
    while (done := sum(tally.count for tally in store.results.tallies(job_id))) < count:
        time.sleep(0.05)
    return done
