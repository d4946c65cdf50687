"""Workers, producer, broker and Postgres killed at random, with the real model; `make soak` takes longer."""

import os
import random
import time

import pytest

from tests.servers.fleet import Fleet
from tests.servers.pictures import PictureServer
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer
from tests.servers.waiting import wait_until

_MINUTES = float(os.environ.get("SMARTSIGHT_TEST_SOAK_MINUTES", "0"))
_ITEMS = 240
_FAULTS = 6


class Chaos:
    """Hurts one thing after another, in an order that a seed decides."""

    def __init__(
        self, fleet: Fleet, rabbit: RabbitServer, postgres: PostgresServer, chance: random.Random
    ) -> None:
        self._fleet = fleet
        self._rabbit = rabbit
        self._postgres = postgres
        self._chance = chance
        self.log: list[str] = []

    def strike(self) -> None:
        fault = self._chance.choice([self.child, self.child, self.worker, self.broker, self.database])
        self.log.append(fault.__name__)
        fault()

    def child(self) -> None:
        self._fleet.kill_child(self._chance.choice(self._fleet.workers))

    def worker(self) -> None:
        victim = self._chance.choice(self._fleet.workers)
        self._fleet.workers.remove(victim)
        victim.kill()
        victim.wait()
        self._fleet.start_worker()

    def broker(self) -> None:
        self._rabbit.kill()
        self._rabbit.start()

    def database(self) -> None:
        self._postgres.kill()
        self._postgres.start()


def _one_round(
    fleet: Fleet, pictures: PictureServer, chaos: Chaos, start: int, chance: random.Random
) -> None:
    urls = [*pictures.urls("pictures", _ITEMS - 40, start), *pictures.urls("flaky", 20, start)]
    urls += pictures.urls("missing", 20, start)
    chance.shuffle(urls)
    command = ("submit", fleet.write_list(urls), "--idempotency-key", str(start))
    with fleet.start(*command) as submitting:
        time.sleep(chance.uniform(0.3, 1.5))
        submitting.kill()
    job = int(fleet.run(*command)[0])
    for strike in range(_FAULTS):
        reached = (strike + 1) * _ITEMS // (_FAULTS + 2)
        wait_until(lambda reached=reached: fleet.done(job) >= reached, 150, f"{reached} results: {chaos.log}")
        chaos.strike()
    fleet.wait_for(job, patience=200)
    fleet.check_invariants(job)
    for url, row in zip(urls, fleet.rows(job), strict=True):
        kind, number = url.split("/")[-2:]
        assert row["ref"] == url
        if kind == "missing":
            assert row["code"] == "http_404"
        else:
            assert row["predictions"][0]["class"] == _CLASSES[pictures.sample_of(int(number))], url


#: What the model says of each sample.
_CLASSES: dict[str, str] = {}


@pytest.fixture
def broker_url(mortal_rabbit: RabbitServer) -> str:
    return mortal_rabbit.url


@pytest.fixture
def database(mortal_postgres: PostgresServer) -> str:
    return mortal_postgres.new_database()


@pytest.mark.timeout(_MINUTES * 60 + 900)
def test_random_faults_lose_nothing(
    fleet: Fleet, pictures: PictureServer, mortal_rabbit: RabbitServer, mortal_postgres: PostgresServer
) -> None:
    seed = int(os.environ.get("SMARTSIGHT_TEST_SEED", "0")) or random.randrange(1, 2**32)
    print(f"SMARTSIGHT_TEST_SEED={seed}")
    chance = random.Random(seed)
    _learn_classes(fleet, pictures)
    fleet.start_worker()
    fleet.start_worker()
    chaos = Chaos(fleet, mortal_rabbit, mortal_postgres, chance)
    started, rounds = time.monotonic(), 0
    while not rounds or time.monotonic() - started < _MINUTES * 60:
        _one_round(fleet, pictures, chaos, 1000 + rounds * _ITEMS, chance)
        rounds += 1
    print(f"{rounds} rounds of {_ITEMS} images, faults: {chaos.log}")
    assert len(chaos.log) == rounds * _FAULTS


def _learn_classes(fleet: Fleet, pictures: PictureServer) -> None:
    count = len(pictures.names)
    job = fleet.submit(pictures.urls("pictures", count))
    worker = fleet.start_worker()
    fleet.wait_for(job)
    worker.terminate()
    worker.wait()
    fleet.workers.remove(worker)
    for number, row in enumerate(fleet.rows(job)):
        _CLASSES[pictures.sample_of(number)] = row["predictions"][0]["class"]
    assert len(set(_CLASSES.values())) > count // 2
