"""Databases that die, hang, or are cut off."""

import time
from contextlib import closing

import pytest

from tests.faults.conftest import half_done
from tests.servers.fleet import Fleet, stop
from tests.servers.pictures import PictureServer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import children_of, cpu_seconds
from tests.servers.proxy import TcpProxy
from tests.servers.waiting import wait_until


@pytest.fixture
def postgres(mortal_postgres: PostgresServer) -> PostgresServer:
    return mortal_postgres


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.mark.parametrize(("fault", "mend"), [("kill", "start"), ("pause", "unpause")])
def test_a_database_that_is_away_for_a_while_costs_nothing(
    fault: str, mend: str, fleet: Fleet, pictures: PictureServer, postgres: PostgresServer
) -> None:
    job = half_done(fleet, pictures)
    getattr(postgres, fault)()
    family = [fleet.workers[0].pid, *children_of(fleet.workers[0].pid)]
    before = cpu_seconds(family)
    time.sleep(4)  # the outage itself: what is looked at is what the workers do meanwhile
    assert cpu_seconds(family) - before < 2.0, "workers spin while the database is away"
    assert fleet.workers[0].poll() is None
    getattr(postgres, mend)()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)
    assert fleet.query("SELECT max(attempts) FROM results WHERE job_id = %s", job) == [(1,)]


def test_a_worker_can_be_stopped_while_its_database_is_away(
    fleet: Fleet, pictures: PictureServer, postgres: PostgresServer
) -> None:
    job = half_done(fleet, pictures)
    postgres.kill()
    status = stop(fleet.workers[0], patience=90)
    postgres.start()
    assert status == 0
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)


@pytest.mark.parametrize("fault", ["reset", "delay"])
def test_a_worker_that_is_cut_off_from_its_database_takes_up_its_work_again(
    fault: str, fleet: Fleet, pictures: PictureServer, postgres: PostgresServer
) -> None:
    with closing(TcpProxy("127.0.0.1", postgres.port)) as proxy:
        through = fleet.database.replace(f":{postgres.port}", f":{proxy.port}")
        job = half_done(fleet, pictures, SMARTSIGHT_DATABASE_URL=f"{through}?connect_timeout=2")
        if fault == "delay":
            proxy.delay(0.2)
        else:
            proxy.reset()
            wait_until(lambda: "store unavailable" in fleet.words(), 30, "the worker to notice")
            proxy.pass_on()
        fleet.wait_for(job)
    fleet.check_all_succeeded(job)
