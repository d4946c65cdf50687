"""Workers that die, that are told to stop, and images that kill them."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.fleet import Fleet, stop
from tests.servers.pictures import PictureServer
from tests.servers.processes import children_of
from tests.servers.waiting import wait_until

_INJECT = Path(__file__).with_name("inject")

Inject = Callable[..., dict[str, str]]


@pytest.fixture
def inject(tmp_path: Path) -> Inject:
    """Return what gives the settings of a process that dies so often at a certain place."""
    folder = tmp_path / "lives"
    folder.mkdir()

    def settings(fault: str, lives: int = 0) -> dict[str, str]:
        for life in range(lives):
            (folder / f"life{life}").touch()
        root = Path(__file__).parents[2]
        return {
            "PYTHONPATH": f"{_INJECT}:{root}",
            "SMARTSIGHT_TEST_FAULT": fault,
            "SMARTSIGHT_TEST_LIVES": str(folder),
        }

    return settings


@pytest.mark.parametrize("fault", ["before results.save", "after results.save"])
def test_a_worker_killed_around_a_commit_loses_nothing(
    fault: str, fleet: Fleet, pictures: PictureServer, inject: Inject, tmp_path: Path
) -> None:
    job = fleet.submit(pictures.urls("pictures", 60))
    fleet.start_worker(**inject(fault, lives=3))
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)
    assert list((tmp_path / "lives").iterdir()) == [], "no worker died"
    ends = [line for line in fleet.words().splitlines() if '"process ended"' in line]
    assert sum('"signal": 9' in line for line in ends) == 3
    fleet.check_queues_are_empty()


def test_workers_killed_at_any_moment_lose_nothing(fleet: Fleet, pictures: PictureServer) -> None:
    job = fleet.submit([*pictures.urls("pictures", 80), *pictures.urls("slow", 30)])
    worker = fleet.start_worker(processes=2)
    for done in (1, 25, 50):
        wait_until(lambda done=done: fleet.done(job) >= done, 60, f"{done} results")
        fleet.kill_child(worker)
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)
    fleet.check_queues_are_empty()


def test_a_whole_worker_may_die_and_another_take_its_place(fleet: Fleet, pictures: PictureServer) -> None:
    job = fleet.submit(pictures.urls("pictures", 60))
    worker = fleet.start_worker()
    wait_until(lambda: fleet.done(job) >= 10, 60, "the first results")
    children = children_of(worker.pid)
    worker.send_signal(signal.SIGKILL)
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 60, "the orphans' end")


def test_a_worker_told_to_stop_under_load_finishes_what_it_has_in_hand(
    fleet: Fleet, pictures: PictureServer
) -> None:
    job = fleet.submit([*pictures.urls("pictures", 80), *pictures.urls("slow", 20)])
    first = fleet.start_worker()
    wait_until(lambda: fleet.done(job) >= 20, 60, "the first results")
    assert stop(first) == 0
    assert fleet.done(job) < 100
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_all_succeeded(job)
    assert set(pictures.asked.values()) == {1}, "something was done twice"
    fleet.check_queues_are_empty()


def test_an_image_that_kills_its_worker_costs_three_deaths_and_nobody_else_anything(
    fleet: Fleet, pictures: PictureServer, inject: Inject, tmp_path: Path
) -> None:
    urls = [
        *pictures.urls("pictures", 20),
        pictures.url("poison", 1),
        *pictures.urls("pictures", 20, start=20),
    ]
    job = fleet.submit(urls)
    # What is published again after a while is a new message, whose deaths are counted anew.
    fleet.start_worker(processes=2, **inject("poison"), SMARTSIGHT_SWEEP_AFTER="600")
    fleet.wait_for(job)
    fleet.check_invariants(job)
    rows = fleet.rows(job)
    assert [row["state"] for row in rows] == ["succeeded"] * 20 + ["failed"] + ["succeeded"] * 20
    assert rows[20]["code"] == "worker_crashed"
    assert len(list((tmp_path / "lives").glob("death*"))) == 3
    fleet.check_queues_are_empty()


def test_an_image_that_kills_its_decoder_costs_itself_and_no_worker(
    fleet: Fleet, pictures: PictureServer, inject: Inject
) -> None:
    urls = [*pictures.urls("pictures", 20), *pictures.urls("poison", 5), *pictures.urls("pictures", 20, 20)]
    job = fleet.submit(urls)
    fleet.start_worker(processes=2, **inject("decoder poison"))
    fleet.wait_for(job)
    fleet.check_invariants(job)
    ends = fleet.query(
        "SELECT state, code, detail, attempts FROM results WHERE job_id = %s ORDER BY index", job
    )
    good, bad = ("succeeded", None, "", 1), ("failed", "decoder_crashed", "SIGABRT", 1)
    assert ends == [good] * 20 + [bad] * 5 + [good] * 20
    assert "process ended" not in fleet.words()
    fleet.check_queues_are_empty()


def test_two_workers_with_a_dispatcher_each_do_nothing_twice(fleet: Fleet, pictures: PictureServer) -> None:
    # Not published again meanwhile, however slow the machine is.
    workers = [fleet.start_worker(SMARTSIGHT_SWEEP_AFTER="600") for _ in range(2)]
    jobs = [fleet.submit(pictures.urls("pictures", 40, start)) for start in (0, 40)]
    for job in jobs:
        fleet.wait_for(job)
        fleet.check_all_succeeded(job)
    assert set(pictures.asked.values()) == {1}
    assert [stop(worker) for worker in workers] == [0, 0]


def test_a_worker_says_whether_it_is_well(fleet: Fleet) -> None:
    fleet.run("worker", "--check", status=1, SMARTSIGHT_RUN_DIR=str(fleet.folder / "run0"))
    worker = fleet.start_worker()
    run_dir = str(fleet.folder / "run0")

    def ready() -> bool:
        with fleet.start("worker", "--check", "ready", SMARTSIGHT_RUN_DIR=run_dir) as check:
            return check.wait() == 0

    wait_until(ready, 60, "the worker to be ready")
    fleet.run("worker", "--check", "live", SMARTSIGHT_RUN_DIR=run_dir)
    assert stop(worker) == 0
    _, words = fleet.run("worker", "--check", status=1, SMARTSIGHT_RUN_DIR=run_dir)
    assert "no worker process" in words
