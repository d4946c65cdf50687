"""What every store must do about hosts, those who wait for them, and URLs that were fetched before."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from shared.errors import Code
from shared.hosts import HostState
from shared.items import Evidence, Item, ItemState, Message, Result, Validators
from shared.store.database import Database
from shared.store.schema_hosts import robots
from shared.store.store import Demand, Job, Store, Tally, WaitingItem

_LADDER = 3


def _message(job: Job, index: int, attempt: int = 1) -> Message:
    return Message(job.id, index, f"http://h/{index}", attempt)


def _wait(store: Store, job: Job, host: str, *indexes: int) -> None:
    store.waiting.add(
        [WaitingItem(_message(job, index), host, f"http://{host}/{index}") for index in indexes]
    )


def _take(store: Store, holder: str, room: int = 100, first: int = 100, **options: Any) -> list[WaitingItem]:
    taken = store.waiting.take(Demand(room, {}, first, **options), holder, _LADDER, 60)
    return [] if taken is None else taken.items


def _state(store: Store, host: str) -> HostState:
    return next(listed.state for listed in store.hosts.page("", 100) if listed.state.host == host)


def test_one_holder_has_a_host_at_a_time(store: Store) -> None:
    first = store.hosts.claim(["b", "a"], "me", 60)
    second = store.hosts.claim(["b", "c"], "you", 60)
    assert {host: state.holder for host, state in first.states.items()} == {"a": "me", "b": "me"}
    assert {host: state.holder for host, state in second.states.items()} == {"b": "me", "c": "you"}
    assert store.hosts.claim(["a"], "me", 60).states["a"].holder == "me"


def test_a_hold_that_has_run_out_can_be_taken_over(store: Store) -> None:
    store.hosts.claim(["a"], "me", -1)
    assert store.hosts.claim(["a"], "you", 60).states["a"].holder == "you"


def test_what_was_learned_of_a_host_goes_to_its_next_holder(store: Store) -> None:
    state = store.hosts.claim(["a"], "me", 60).states["a"]
    now = store.hosts.now()
    learned = replace(
        state, delay=2.0, next_at=now + 5, closed_until=now + 9, code="http_5xx", failures=3, trips=1
    )
    assert store.hosts.renew([learned], [7], "me", 60).states["a"].holder == "me"
    assert store.hosts.renew([learned], [1], "me", 0).states["a"].holder is None
    found = store.hosts.claim(["a"], "you", 60).states["a"]
    assert replace(found, holder="me", held_until=learned.held_until) == replace(learned, requests=8)


def test_what_was_learned_after_the_host_was_lost_is_not_held(store: Store) -> None:
    state = store.hosts.claim(["a"], "me", -1).states["a"]
    store.hosts.claim(["a"], "you", 60)
    assert store.hosts.renew([state], [1], "me", 60).states["a"].holder == "you"


def test_what_people_decide_outlives_what_the_holder_remembers(store: Store) -> None:
    state = store.hosts.claim(["a"], "me", 60).states["a"]
    store.hosts.set_blocked("a", True)
    known = store.hosts.renew([replace(state, failures=4, trips=2)], [0], "me", 60).states["a"]
    assert (known.blocked, known.failures, known.trips) == (True, 0, 0)
    store.hosts.renew([replace(known, trips=9, closed_until=store.hosts.now() + 99)], [0], "me", 60)
    assert _state(store, "a").trips == 9
    store.hosts.set_blocked("a", False)
    assert (_state(store, "a").blocked, _state(store, "a").trips, _state(store, "a").closed_until) == (
        False,
        0,
        0,
    )


def test_hosts_are_listed_by_name_with_what_waits(store: Store, job: Job) -> None:
    store.hosts.claim(["b", "c", "a"], "me", 60)
    _wait(store, job, "b", 0, 1)
    listed = store.hosts.page("a", 10)
    assert [(one.state.host, one.waiting) for one in listed] == [("b", 2), ("c", 0)]
    assert len(store.hosts.page("", 2)) == 2


def test_waiting_items_are_taken_in_order_by_whoever_holds_their_host(store: Store, job: Job) -> None:
    _wait(store, job, "a", 3, 1, 2)
    taken = _take(store, "me", first=2)
    assert [item.message.index for item in taken] == [1, 2]
    rows = frozenset(item.id or 0 for item in taken)
    assert [(item.host, item.url, item.hops, item.redeliveries) for item in taken] == [
        ("a", "http://a/1", 0, 0),
        ("a", "http://a/2", 0, 0),
    ]
    assert _take(store, "you") == []
    assert [item.message.index for item in _take(store, "me", in_hand=rows)] == [3]


def test_an_item_waits_once(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1)
    _wait(store, job, "b", 1)
    (item,) = _take(store, "me")
    assert item.host == "a"
    _wait(store, job, "a", 1)
    assert _take(store, "me", in_hand=frozenset({item.id or 0})) == []


def test_an_item_can_move_on_to_another_host_and_try_again(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1)
    (item,) = _take(store, "me")
    moved = replace(item, message=_message(job, 1, attempt=2), host="b", url="http://b/x", hops=2)
    store.waiting.add([moved])
    (found,) = _take(store, "me")
    assert found == replace(moved, message=replace(moved.message), redeliveries=0)


def test_items_of_a_holder_that_died_are_found_again_and_known_as_such(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1, 2)
    taken = store.waiting.take(Demand(10, {}, 1), "me", _LADDER, -1)
    assert taken is not None
    assert [(item.message.index, item.redeliveries) for item in _take(store, "you")] == [(1, 1), (2, 0)]


def test_an_item_that_comes_again_is_not_lost_with_its_old_place(store: Store, job: Job) -> None:
    """Its message was delivered elsewhere before whoever had put it off could remove its row."""
    _wait(store, job, "a", 1)
    (item,) = _take(store, "me")
    store.waiting.add([WaitingItem(_message(job, 1, attempt=2), "a", "http://a/1")])
    store.waiting.remove([item.id or 0], "me")
    (again,) = _take(store, "me")
    assert again.message.attempt == 2


def test_items_whose_taking_was_not_heard_of_are_taken_again(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1, 2)
    (lost, known) = _take(store, "me")
    demand = Demand(10, {}, 10, in_hand=frozenset({known.id or 0}))
    taken = store.waiting.take(demand, "me", _LADDER, 60)
    assert taken is not None
    assert [item.id for item in taken.items] == [lost.id]


def test_what_a_former_holder_learned_is_not_written_over_what_is_known_now(store: Store) -> None:
    old = store.hosts.claim(["a"], "me", -1).states["a"]
    new = store.hosts.claim(["a"], "you", 60).states["a"]
    later = store.hosts.now() + 900
    store.hosts.renew([replace(new, closed_until=later)], [1], "you", 0)
    store.hosts.renew([old], [1], "me", 60)
    assert _state(store, "a").closed_until == later


def test_items_handed_back_are_as_new(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1)
    (item,) = _take(store, "me")
    store.waiting.release([item.id or 0], "me")
    (again,) = _take(store, "me")
    assert again == item


def test_items_done_with_are_gone(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1)
    (item,) = _take(store, "me")
    store.waiting.remove([item.id or 0], "me")
    store.hosts.claim(["a"], "me", -1)
    assert _take(store, "you") == []


def test_no_more_is_taken_than_there_is_room_for(store: Store, job: Job) -> None:
    _wait(store, job, "a", 0, 1, 2)
    _wait(store, job, "b", 3, 4, 5)
    assert len(_take(store, "me", room=4, first=3)) == 4
    assert _take(store, "you", first=0) == []
    full = store.waiting.take(Demand(10, {"a": 0, "b": 1}, 5), "me", _LADDER, 60)
    assert full is not None
    assert [item.host for item in full.items] == ["b"]


def test_only_items_of_one_job_are_taken_if_so_asked(store: Store, job: Job) -> None:
    other = store.jobs.open("other", job.model_id)
    _wait(store, job, "a", 1)
    _wait(store, other, "a", 2)
    assert [item.message.job_id for item in _take(store, "me", job_id=other.id)] == [other.id]


@pytest.mark.parametrize(
    ("trips", "blocked", "found"), [(1, False, 0), (_LADDER + 1, False, 1), (1, True, 1)]
)
def test_a_host_set_aside_is_left_alone_unless_it_is_given_up_or_blocked(
    store: Store, job: Job, trips: int, blocked: bool, found: int
) -> None:
    if blocked:
        store.hosts.set_blocked("a", True)
    state = store.hosts.claim(["a"], "me", 60).states["a"]
    store.hosts.renew([replace(state, closed_until=store.hosts.now() + 60, trips=trips)], [0], "me", 0)
    _wait(store, job, "a", 1)
    assert len(_take(store, "you")) == found


def test_a_host_that_was_just_called_is_not_taken_before_its_pause_is_over(store: Store, job: Job) -> None:
    state = store.hosts.claim(["a"], "me", 60).states["a"]
    store.hosts.renew([replace(state, next_at=store.hosts.now() + 60)], [0], "me", 0)
    _wait(store, job, "a", 1)
    assert _take(store, "you") == []


def test_what_waits_of_a_cancelled_job_is_gone(store: Store, job: Job) -> None:
    store.items.add([Item(job.id, 0, "http://h/0"), Item(job.id, 1, "http://h/1")])
    _wait(store, job, "h", 0, 1)
    store.results.cancel_pending(job.id, 0, 10)
    assert _take(store, "me") == []


def test_robots_are_kept_for_a_while(store: Store) -> None:
    assert store.hosts.robots("http://a", 60) is None
    store.hosts.save_robots("http://a", "User-agent: *")
    store.hosts.save_robots("http://a", "Disallow: /")
    assert store.hosts.robots("http://a", 60) == "Disallow: /"
    assert store.hosts.robots("http://a", -60) is None
    assert store.hosts.robots("https://a", 60) is None


def _result(
    job: Job, index: int, sha256: str = "ab" * 32, host: str | None = "h", **options: object
) -> Result:
    result = Result(
        job.id,
        index,
        ItemState.SUCCEEDED,
        datetime.now(UTC),
        1,
        job.model_id,
        class_ids=(1, 0),
        scores=(0.5, 0.25),
        evidence=Evidence(sha256=sha256, host=host, bytes=10),
    )
    return replace(result, **options)  # type: ignore[arg-type]


def test_what_a_url_led_to_is_known_to_the_same_model(store: Store, job: Job) -> None:
    known = Validators("http://h/final", '"tag"', None)
    store.results.save(
        [_result(job, 0, revalidation=("http://h/a", known)), _result(job, 1, sha256="cd" * 32)]
    )
    found = store.stored_responses.find(job.model_id, ["http://h/a", "http://h/b"])
    assert list(found) == ["http://h/a"]
    assert found["http://h/a"].validators == known
    assert found["http://h/a"].result.class_ids == (1, 0)
    assert store.stored_responses.find(job.model_id + 1, ["http://h/a"]) == {}


def test_the_newest_validators_count(store: Store, job: Job) -> None:
    for index, (tag, sha256) in enumerate((("1", "ab" * 32), ("2", "cd" * 32))):
        known = Validators("http://h/a", tag, "Mon, 01 Jan 2024 00:00:00 GMT")
        store.results.save([_result(job, index, sha256, revalidation=("http://h/a", known))])
    found = store.stored_responses.find(job.model_id, ["http://h/a"])["http://h/a"]
    assert (found.validators.etag, found.result.evidence.sha256) == ("2", "cd" * 32)


def _items(store: Store, job: Job, *refs: str) -> None:
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])


def _tallies(store: Store, job: Job) -> set[tuple[str, str | None, int]]:
    def key(tally: Tally) -> tuple[str, str | None, int]:
        return str(tally.state), tally.code and str(tally.code), tally.count

    return {key(tally) for tally in store.results.tallies(job.id)}


def test_bytes_that_many_urls_of_a_host_share_are_no_image(store: Store, job: Job) -> None:
    _items(store, job, *(f"http://h/{index}" for index in range(5)), "http://other/1", "http://h/own")
    store.results.save([*(_result(job, index) for index in range(5)), _result(job, 5, host="other")])
    store.results.save([_result(job, 6, sha256="cd" * 32)])
    assert store.results.skip_placeholders(job.id, 5) == 5
    assert store.results.skip_placeholders(job.id, 5) == 0
    assert _tallies(store, job) == {("succeeded", None, 2), ("skipped", "placeholder", 5)}
    outcome = store.results.outcomes(job.id, -1, 1)[0].result
    assert (outcome.state, outcome.code, outcome.class_ids) == (ItemState.SKIPPED, Code.PLACEHOLDER, ())


def test_the_same_url_many_times_is_one_url(store: Store, job: Job) -> None:
    _items(store, job, *["http://h/a"] * 5, "http://h/b")
    store.results.save([_result(job, 0), _result(job, 5)])
    assert store.results.skip_placeholders(job.id, 5) == 0
    assert store.results.skip_placeholders(job.id, 2) == 6


def test_local_files_are_never_set_aside(store: Store, job: Job) -> None:
    _items(store, job, "a", "b")
    store.results.save([_result(job, 0, host=None), _result(job, 1, host=None)])
    assert store.results.skip_placeholders(job.id, 2) == 0


def test_what_was_left_out_can_be_tried_again_by_its_code(store: Store, job: Job) -> None:
    _items(store, job, "http://h/a")
    skipped = {"state": ItemState.SKIPPED, "code": Code.ROBOTS_DISALLOWED, "class_ids": (), "scores": ()}
    store.results.save([_result(job, 0, **skipped)])
    assert store.results.forget_failed(job.id, [Code.ROBOTS_DISALLOWED], 0, 10) == 1
    assert _tallies(store, job) == set()


def test_times_of_a_clock_that_was_ahead_hold_nothing_up(store: Store, job: Job) -> None:
    _wait(store, job, "a", 1)
    state, day = store.hosts.claim(["a"], "gone", 86_400).states["a"], store.hosts.now() + 86_400
    store.hosts.renew([replace(state, next_at=day, closed_until=day, trips=1)], [0], "gone", 86_400)
    assert store.hosts.claim(["a"], "me", 60).states["a"].holder == "me"
    assert [item.message.index for item in _take(store, "me")] == [1]
    assert store.hosts.claim(["a"], "you", 60).states["a"].holder == "me"


def test_a_robots_txt_of_a_clock_that_was_ahead_is_fetched_again(store: Store, database: Database) -> None:
    store.hosts.save_robots("http://a", "User-agent: *")
    assert store.hosts.robots("http://a", 3600) == "User-agent: *"
    with database.write() as connection:
        connection.execute(update(robots).values(fetched_at=robots.c.fetched_at + 86_400))
    assert store.hosts.robots("http://a", 3600) is None
