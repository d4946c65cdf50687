"""A whole SmartSight on servers: commands and workers as real processes, and what must hold in the end."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pika
import psycopg
from sqlalchemy import make_url

from shared.rabbitmq.topology import Topology
from tests.servers.commands import Finished, run_command, start_command
from tests.servers.processes import children_of, send
from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
#: Short, so that a test sees every attempt.
_RETRY_DELAYS = (0.5, 1.0, 2.0)
_QUICK = {
    "SMARTSIGHT_RETRY_DELAYS": ",".join(map(str, _RETRY_DELAYS)),
    "SMARTSIGHT_SWEEP_AFTER": "10",
    "SMARTSIGHT_FETCH_TIMEOUT": "15",
}


class Fleet:
    """Runs `smartsight` on these servers, in a folder of its own."""

    def __init__(
        self, database: str, broker: str, folder: Path, cache: Path, settings: Mapping[str, str] = {}
    ) -> None:
        self.database = database
        self.broker = broker
        self.folder = folder
        #: A broker serves several fleets.
        self.topology = Topology(f"test-{uuid.uuid4().hex}", _RETRY_DELAYS)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "workers.log").open("ab")
        self._connection: psycopg.Connection[Any] | None = None
        self._environment = {
            **os.environ,
            **_QUICK,
            "PYTHONPATH": str(_ROOT),
            "SMARTSIGHT_DATABASE_URL": database,
            "SMARTSIGHT_BROKER_URL": broker,
            "SMARTSIGHT_QUEUE_PREFIX": self.topology.prefix,
            "SMARTSIGHT_CACHE_DIR": str(cache),
            "SMARTSIGHT_DATA_DIR": str(folder / "data"),
            **settings,
        }

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """Start a command in a process of its own."""
        return start_command(arguments, self._environment | settings)

    def run(self, *arguments: str, status: int = 0, **settings: str) -> tuple[str, str]:
        """Run a command to its end and return what it printed and what it said."""
        finished = run_command(arguments, self._environment | settings)
        return _checked(arguments, finished, status)

    def run_apart(self, *arguments: str, status: int = 0, **settings: str) -> tuple[str, str]:
        """Do the same in a process of its own, which may die of it."""
        with self.start(*arguments, **settings) as process:
            output, words = process.communicate(timeout=PATIENCE)
        return _checked(arguments, Finished(process.returncode, output, words), status)

    def write_list(self, urls: Sequence[str], name: str = "list.txt") -> str:
        (self.folder / name).write_text("".join(f"{url}\n" for url in urls))
        return name

    def submit(self, urls: Sequence[str], *options: str) -> int:
        """Submit URLs and return the job's number."""
        return int(self.run("submit", self.write_list(urls), *options)[0])

    def start_worker(self, processes: int = 1, **settings: str) -> "subprocess.Popen[bytes]":
        run_dir = self.folder / f"run{len(self.workers)}"
        worker = subprocess.Popen(
            [sys.executable, "-m", "smartsight", "worker", "--processes", str(processes)],
            cwd=self.folder,
            env=self._environment | {"SMARTSIGHT_RUN_DIR": str(run_dir)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self.workers.append(worker)
        return worker

    def kill_child(self, worker: "subprocess.Popen[bytes]") -> None:
        """Kill the processes that label for this worker."""
        send(signal.SIGKILL, children_of(worker.pid))

    def query(self, statement: str, *values: object) -> list[Any]:
        """Return the rows of a statement, on a connection that outlives a restart of the server."""
        try:
            return self._connected().execute(statement, values).fetchall()
        except psycopg.OperationalError:
            return self._connected().execute(statement, values).fetchall()

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            url = make_url(self.database).set(drivername="postgresql", query={})
            self._connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        return self._connection

    def state(self, job: int) -> str:
        return str(self.query("SELECT state FROM jobs WHERE id = %s", job)[0][0])

    def done(self, job: int) -> int:
        return int(self.query("SELECT count(*) FROM results WHERE job_id = %s", job)[0][0])

    def wait_for(self, job: int, state: str = "completed", patience: float = PATIENCE) -> None:
        def reached() -> bool:
            with suppress(psycopg.OperationalError):
                return self.state(job) == state
            return False

        try:
            wait_until(reached, patience, f"job {job} to be {state}")
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.situation(job)}") from error

    def situation(self, job: int) -> str:
        rows = self.query("SELECT state, submitted, published, reason FROM jobs WHERE id = %s", job)
        return f"{rows}, {self.done(job)} done\n{self.words()[-6000:]}"

    def words(self) -> str:
        """Return what the workers said."""
        return (self.folder / "workers.log").read_text()

    def rows(self, job: int) -> list[dict[str, Any]]:
        output, _ = self.run("results", str(job), "--output", "-")
        return [json.loads(line) for line in output.splitlines()]

    def ready(self, queue: str) -> int:
        """Return how many messages of a queue wait, as it says itself; none while it is just starting."""
        with suppress(pika.exceptions.AMQPError), closing(self._connect()) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)
        return 0

    def publish(self, queue: str, bodies: list[bytes]) -> None:
        with closing(self._connect()) as connection:
            channel = connection.channel()
            for body in bodies:
                channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))

    def _connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.broker))

    def check_queues_are_empty(self) -> None:
        """Stop the workers: nothing waits, nor does anything come back because nobody acked it."""
        wait_until(lambda: not any(self._waiting().values()), 30, "all queues to be empty")
        for worker in self.workers:
            assert worker.poll() is not None or stop(worker) == 0
        # Once a queue has noticed that a consumer is gone, what that one held waits again.
        wait_until(lambda: not any(self._consumers().values()), 30, "all consumers to be gone")
        assert not any(self._waiting().values()), self._waiting()

    def _waiting(self) -> dict[str, int]:
        return {queue: found.message_count for queue, found in self._declared().items()}

    def _consumers(self) -> dict[str, int]:
        return {queue: found.consumer_count for queue, found in self._declared().items()}

    def _declared(self) -> dict[str, Any]:
        with closing(self._connect()) as connection:
            channel = connection.channel()
            names = [name for name, _ in self.topology.queues()]
            return {name: channel.queue_declare(name, passive=True).method for name in names}

    def check_invariants(self, job: int) -> None:
        """Every item has one result, and all numbers agree."""
        submitted, finished = self.query("SELECT submitted, finished_at FROM jobs WHERE id = %s", job)[0]
        indexes = self.query("SELECT index FROM results WHERE job_id = %s ORDER BY index", job)
        assert [index for (index,) in indexes] == list(range(submitted))
        rows = dict(self.query("SELECT state, count(*) FROM results WHERE job_id = %s GROUP BY 1", job))
        counted = self.query("SELECT state, sum(count) FROM progress WHERE job_id = %s GROUP BY 1", job)
        assert rows == {state: int(count) for state, count in counted if count}
        assert finished is not None

    def check_all_succeeded(self, job: int) -> None:
        self.check_invariants(job)
        ends = self.query("SELECT DISTINCT state, code, detail FROM results WHERE job_id = %s", job)
        assert ends == [("succeeded", None, "")]

    def close(self) -> None:
        """Kill the workers and their children."""
        for worker in self.workers:
            send(signal.SIGSTOP, [worker.pid])  # so that it starts no more children
            send(signal.SIGKILL, [*children_of(worker.pid), worker.pid])
            worker.wait()
        # Each quorum queue that stays costs its broker a tick, five times a second.
        with suppress(pika.exceptions.AMQPError), closing(self._connect()) as connection:
            for queue, _ in self.topology.queues():
                connection.channel().queue_delete(queue)
        self._log.close()
        if self._connection is not None:
            self._connection.close()


def _checked(arguments: Sequence[str], finished: Finished, status: int) -> tuple[str, str]:
    assert finished.status == status, f"{arguments}: {finished}"
    return finished.out, finished.err


def stop(worker: "subprocess.Popen[bytes]", patience: float = 60) -> int:
    """Ask a worker to stop and return its exit status."""
    worker.terminate()
    return worker.wait(patience)
