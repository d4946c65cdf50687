"""Write the state that this release leaves behind, half way through its jobs, as text beside this file."""

import hashlib
import json
import re
import sqlite3
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
from sqlalchemy import make_url

from producer.references import Reference
from producer.submit import record
from shared.classifier.catalogue import Catalogue
from shared.classifier.model import Model
from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Message, Result, Validators, now
from shared.rabbitmq.publisher import RabbitPublisher
from shared.rabbitmq.topology import Topology
from shared.settings import Settings
from shared.store.database import Database
from shared.store.store import Demand, Job, NewJob, Store, WaitingItem
from tests.servers.binaries import ensure_local_binaries, postgres_program
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer
from tests.servers.web_hosts import GOOD

_HERE = Path(__file__).parent
#: Nobody is called: the port is replaced by a word afterwards.
_PORT = 54321
_RETRY_DELAYS = (0.5, 1, 2)
_GONE = "gone"


def main() -> None:
    settings = Settings()
    model = Catalogue(settings.cache_dir, settings.data_dir).model("lite0")
    ensure_local_binaries()
    with closing(PostgresServer()) as postgres, closing(RabbitServer()) as rabbit:
        postgres.start()
        rabbit.start()
        url = postgres.new_database()
        topology = Topology("previous", _RETRY_DELAYS)
        with closing(Database(url)) as database, closing(RabbitPublisher(rabbit.url, topology)) as publisher:
            _fill(Store(database), publisher, model)
        queues = json.dumps(_queues(rabbit.url, topology), indent=1)
        (_HERE / "queues.json").write_text(_without_port(queues) + "\n")
        (_HERE / "postgres.sql").write_text(_text(_dump(url), model))
    (_HERE / "sqlite.sql").write_text(_text(_sqlite(model), model))


def _fill(store: Store, publisher: RabbitPublisher, model: Model) -> None:
    recorded = store.models.record(model.name, model.version, model.labels)
    _half_done(store, publisher, store.jobs.open("half-done", recorded.id, name="half done"))
    body = "url\n" + "".join(f"{_url(4, number)}\n" for number in range(3)) + "\n\nno url\n"
    parts = [body[:40].encode(), body[40:].encode()]
    handed_in = NewJob("handed-in", "the request", recorded.id, "list.csv", name="handed in")
    store.uploads.accept(handed_in, parts)
    _half_cancelled(store, publisher, store.jobs.open("cancelled", recorded.id))
    store.hosts.set_blocked("blocked.example.com", True)
    store.hosts.save_robots(f"http://{GOOD[0]}:{_PORT}", "User-agent: *\nDisallow: /private/\n")


def _half_done(store: Store, publisher: RabbitPublisher, job: Job) -> None:
    """Leave an item in every place where one can be: done, queued, delayed, waiting, held, not published."""
    refs = [_url(index % 4, index) for index in range(10)]
    refs += [refs[0], refs[4]]
    refs += [_url(0, 12), _url(1, 13), _url(2, 14), f"http://{GOOD[3]}:{_PORT}/status/410"]
    job = _record(store, job, refs)

    def message(index: int, attempt: int = 1) -> Message:
        return Message(job.id, index, refs[index], attempt)

    store.results.save([_labelled(job, index, refs[index]) for index in (0, 1, 2, 5)])
    missing = Evidence(host=GOOD[3], http_status=404)
    failed = Result(job.id, 3, ItemState.FAILED, now(), 1, job.model_id, code=Code.HTTP_404, evidence=missing)
    store.results.save([failed])
    store.jobs.lease(job.id, _GONE, 0)
    store.jobs.mark_published(job.id, _GONE, 0, 12)
    publisher.publish([message(4), message(5), message(9)])  # 5 has its result already
    publisher.publish([message(6, 2)], delay=_RETRY_DELAYS[-1])
    store.poison.begin_trial(message(9), 3)
    store.waiting.add([WaitingItem(message(7), GOOD[3], refs[7])])
    store.waiting.add([WaitingItem(message(8, 2), GOOD[0], refs[8])])
    assert store.waiting.take(Demand(1, {}, 1), _GONE, 3, 1.0)


def _half_cancelled(store: Store, publisher: RabbitPublisher, job: Job) -> None:
    refs = [_url(5, number) for number in range(4)]
    job = _record(store, job, refs)
    store.results.save([_labelled(job, 0, refs[0])])
    publisher.publish([Message(job.id, 1, refs[1])])
    store.jobs.cancel(job.id)


def _url(host: int, number: int) -> str:
    return f"http://{GOOD[host]}:{_PORT}/ok/{number}"


def _record(store: Store, job: Job, refs: Sequence[str]) -> Job:
    deque(record(store, job, [Reference(ref) for ref in refs], threading.Event()), maxlen=0)
    return store.jobs.get(job.id)


def _labelled(job: Job, index: int, ref: str) -> Result:
    is_url = "://" in ref
    evidence = Evidence(
        width=512,
        height=512,
        format="PNG",
        bytes=1234 + index,
        sha256=hashlib.sha256(ref.encode()).hexdigest(),
        host=ref.split("/")[2].partition(":")[0] if is_url else None,
        final_url=ref if is_url else None,
        http_status=200 if is_url else None,
        fetch_ms=12.5,
        label_ms=30.25,
    )
    return Result(
        *(job.id, index, ItemState.SUCCEEDED, now(), 1, job.model_id),
        class_ids=(1, 2, 3, 4, 5),
        scores=(0.5, 0.25, 0.125, 0.0625, 0.03125),
        evidence=evidence,
        revalidation=(ref, Validators(ref, f'"{index}"', None)) if is_url else None,
        thumbnail=b"\xff\xd8thumbnail",
    )


def _queues(url: str, topology: Topology) -> list[dict[str, Any]]:
    """Return the queues with their arguments and messages; those that pass messages on come first."""
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        return [
            {"name": name, "arguments": arguments, "messages": list(_messages(channel, name))}
            for name, arguments in reversed(list(topology.queues()))
        ]


def _messages(channel: Any, queue: str) -> Any:
    while True:
        method, properties, body = channel.basic_get(queue)
        if method is None:
            return
        names = ("content_type", "delivery_mode", "message_id")
        yield {"body": body.decode(), **{name: getattr(properties, name) for name in names}}


def _dump(url: str) -> str:
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    command = [postgres_program("pg_dump"), "--inserts", "--no-owner", "--no-privileges", target]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if not line.startswith(("--", "\\")))


def _sqlite(model: Model) -> str:
    """Leave `smartsight label` killed half way; the test knows how its key and digest are computed."""
    refs = ["astronaut.png", "camera.png", "chelsea.png", _url(0, 1), _url(1, 2), "astronaut.png"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.db"
        with closing(Database(f"sqlite:///{path}")) as database:
            store = Store(database)
            job = store.jobs.open("KEY", store.models.record(model.name, model.version, model.labels).id)
            store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)], "DIGEST")
            store.results.save([_labelled(job, index, refs[index]) for index in (0, 1)])
            store.waiting.add([WaitingItem(Message(job.id, 3, refs[3], 2), GOOD[0], refs[3])])
        with closing(sqlite3.connect(path)) as connection:
            return "".join(f"{line}\n" for line in connection.iterdump())


def _text(dump: str, model: Model) -> str:
    """Return a dump without empty lines and without what differs by machine."""
    short = re.sub(r"'\[\[\"n\d+.*?\]\]'", "'LABELS'", dump, flags=re.DOTALL)
    short = short.replace(f"'{model.version}'", "'VERSION'")
    return _without_port("".join(f"{line}\n" for line in short.splitlines() if line.strip()))


def _without_port(text: str) -> str:
    return text.replace(f":{_PORT}".encode().hex(), "HEXPORT").replace(f":{_PORT}", ":PORT")


if __name__ == "__main__":
    main()
