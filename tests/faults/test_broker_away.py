"""Brokers that die, forget everything, fill up, lose their patience, or are cut off."""

from collections.abc import Iterator
from contextlib import closing, suppress

import pika
import pytest

from tests.faults.conftest import half_done
from tests.servers.fleet import Fleet
from tests.servers.pictures import PictureServer
from tests.servers.proxy import TcpProxy
from tests.servers.rabbit import RabbitServer
from tests.servers.waiting import wait_until


@pytest.fixture
def rabbit(mortal_rabbit: RabbitServer) -> RabbitServer:
    return mortal_rabbit


@pytest.fixture
def broker_url(rabbit: RabbitServer) -> str:
    return rabbit.url


def test_a_broker_that_is_restarted_loses_nothing(
    fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    job = half_done(fleet, pictures)
    rabbit.stop()
    rabbit.start()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)


def test_a_broker_that_is_killed_while_a_job_is_submitted_loses_nothing(
    fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    fleet.run("submit", fleet.write_list(pictures.urls("missing", 1)))  # makes the queues
    # One that is younger than a moment is not on the broker's disk yet, nor is what was confirmed into it.
    rabbit.stop()
    rabbit.start()
    urls = pictures.urls("pictures", 3000)
    with fleet.start("submit", fleet.write_list(urls), "--max-failure-rate", "1") as submitting:
        assert submitting.stdout
        job = int(submitting.stdout.readline())
        wait_until(lambda: fleet.query("SELECT published FROM jobs WHERE id = %s", job)[0][0], 60, "a start")
        rabbit.kill()
        rabbit.start()
        _, words = submitting.communicate(timeout=60)
    assert submitting.returncode == 0, words
    queue = fleet.topology.bulk
    # While the broker is away, what is left is left to the dispatcher of a worker.
    confirmed = 1 + fleet.query("SELECT published FROM jobs WHERE id = %s", job)[0][0]
    # Just started, a broker does not count yet what it has recovered.
    ready: list[int] = []
    with suppress(TimeoutError):
        wait_until(
            lambda: ready.append(fleet.ready(queue)) or ready[-1] >= confirmed, 60, "what was confirmed"
        )
    assert confirmed <= ready[-1] <= confirmed + 2000, "something was lost, or far too much was sent twice"
    fleet.run("cancel", str(job))
    fleet.check_invariants(job)


def test_a_broker_that_forgot_everything_is_filled_again(
    fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    job = half_done(fleet, pictures)
    rabbit.kill()
    rabbit.wipe()
    rabbit.start()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)


@pytest.mark.parametrize("fault", ["queue_delete", "queue_purge"])
def test_a_queue_that_an_operator_removes_is_made_and_filled_again(
    fault: str, fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    job = half_done(fleet, pictures, count=150)
    with closing(pika.BlockingConnection(pika.URLParameters(rabbit.url))) as connection:
        getattr(connection.channel(), fault)(fleet.topology.bulk)
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)


@pytest.fixture
def broker_proxy(rabbit: RabbitServer) -> Iterator[TcpProxy]:
    with closing(TcpProxy("127.0.0.1", rabbit.port)) as proxy:
        yield proxy


def _through(proxy: TcpProxy) -> str:
    return f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F?heartbeat=4"


@pytest.mark.parametrize("fault", ["blackhole", "reset", "delay"])
def test_a_worker_that_is_cut_off_from_its_broker_takes_up_its_work_again(
    fault: str, fleet: Fleet, pictures: PictureServer, broker_proxy: TcpProxy
) -> None:
    job = half_done(fleet, pictures, SMARTSIGHT_BROKER_URL=_through(broker_proxy))
    if fault == "delay":
        broker_proxy.delay(0.5)
    else:
        getattr(broker_proxy, fault)()
        away = "broker unavailable"
        wait_until(lambda: away in fleet.words(), 30, "the worker to notice")
        broker_proxy.pass_on()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)


def test_an_alarm_of_the_broker_holds_up_submitting_but_not_labelling(
    fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    job = fleet.submit(pictures.urls("pictures", 40))
    rabbit.ctl("set_disk_free_limit", "999GB")
    try:
        fleet.start_worker()
        fleet.wait_for(job)
        late = fleet.start("submit", fleet.write_list(pictures.urls("pictures", 40, start=40), "late.txt"))
        assert late.stdout
        other = int(late.stdout.readline())
        recorded = "SELECT sealed FROM jobs WHERE id = %s"
        wait_until(lambda: fleet.query(recorded, other)[0][0], 30, "the job to be recorded")
        assert fleet.done(other) == 0
    finally:
        rabbit.ctl("set_disk_free_limit", "50MB")
    with late:
        late.communicate(timeout=60)
    fleet.wait_for(other)
    for done in (job, other):
        fleet.check_all_succeeded(done)


def test_a_full_queue_holds_up_publishing_and_nothing_is_lost(
    fleet: Fleet, pictures: PictureServer, rabbit: RabbitServer
) -> None:
    fleet.run("submit", fleet.write_list(pictures.urls("missing", 1)))  # makes the queues
    bulk = fleet.topology.bulk
    rabbit.ctl("set_policy", "full", f"^{bulk}$", '{"max-length": 50}', "--apply-to", "queues")
    try:
        with fleet.start("submit", fleet.write_list(pictures.urls("pictures", 120))) as submitting:
            assert submitting.stdout
            job = int(submitting.stdout.readline())
            wait_until(lambda: fleet.ready(bulk) >= 50, 60, "a full queue")
            fleet.start_worker()
            fleet.wait_for(job)
            submitting.communicate(timeout=60)
        assert submitting.returncode == 0
    finally:
        rabbit.ctl("clear_policy", "full")
    fleet.check_all_succeeded(job)


@pytest.fixture
def impatient_rabbit(rabbit: RabbitServer) -> Iterator[None]:
    """A broker that takes a message back after 5 s without an ack."""
    _set_patience(rabbit, 5_000, 500)
    yield
    _set_patience(rabbit, 1_800_000, 60_000)


def _set_patience(rabbit: RabbitServer, milliseconds: int, tick: int) -> None:
    settings = {"consumer_timeout": milliseconds, "channel_tick_interval": tick}
    rabbit.ctl(
        "eval",
        "".join(f"application:set_env(rabbit, {name}, {value})," for name, value in settings.items()) + "ok.",
    )


@pytest.mark.usefixtures("impatient_rabbit")
def test_a_host_that_hangs_longer_than_the_broker_waits_for_acks(
    fleet: Fleet, pictures: PictureServer
) -> None:
    job = fleet.submit([*pictures.urls("pictures", 20), pictures.url("hang", 1)])
    fleet.start_worker(SMARTSIGHT_FETCH_TIMEOUT="12", SMARTSIGHT_RETRY_DELAYS="0.5")
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert [row["code"] for row in fleet.rows(job)] == [None] * 20 + ["fetch_timeout"]
    assert "PRECONDITION_FAILED" in fleet.words(), "the broker never lost its patience"
