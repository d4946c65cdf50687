"""Thumbnails: kept once for each content, as long as a result has it, and given out to whoever may see it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.schema_api import thumbnails
from shared.store.store import Job, RecordedModel, Store
from tests.contract.races import PATIENCE, somebody_waits, stopped_after
from tests.servers.waiting import wait_until

_URL, _OTHER = "http://h/a.jpg", "http://h/b.jpg"
_CAT, _DOG = "ca" * 32, "d0" * 32
_SEEN = b"what the model saw"


@pytest.fixture
def other_job(store: Store, model: RecordedModel) -> Job:
    return store.jobs.open("other", model.id)


def _labelled(job: Job, index: int, sha256: str = _CAT, **options: Any) -> Result:
    evidence = Evidence(640, 480, "JPEG", 10, sha256, "h", "http://h/final", 200)
    labels = {"class_ids": (1, 0), "scores": (0.5, 0.25), "evidence": evidence, "thumbnail": _SEEN}
    return Result(job.id, index, ItemState.SUCCEEDED, now(), 1, job.model_id, **(labels | options))


def _record(store: Store, job: Job, *refs: str) -> None:
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])


def _kept(store: Store) -> dict[str, bytes]:
    """Return all thumbnails by the SHA-256 of what they are of."""
    with store.jobs._database.read() as connection:
        rows = connection.execute(select(thumbnails)).all()
    return {row.sha256.hex(): row.content for row in rows}


def test_a_thumbnail_is_stored_with_its_result(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    store.results.save([_labelled(job, 0), _labelled(job, 1, _DOG, thumbnail=b"another")])
    assert [store.thumbnails.get(job.id, index) for index in (0, 1, 2)] == [_SEEN, b"another", None]
    assert _kept(store) == {_CAT: _SEEN, _DOG: b"another"}


def test_thumbnails_of_a_page_are_read_at_once(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    store.results.save([_labelled(job, 0), _labelled(job, 1, _DOG, thumbnail=b"another")])
    cat, dog, none = (bytes.fromhex(digest) for digest in (_CAT, _DOG, "00" * 32))
    assert store.thumbnails.get_many([none, dog, cat]) == {cat: _SEEN, dog: b"another"}
    assert store.thumbnails.get_many([none]) == {}


def test_a_batch_stores_all_its_thumbnails(store: Store, job: Job) -> None:
    contents = [f"{index:064x}" for index in range(300)]
    _record(store, job, *(f"http://h/{index}" for index in range(300)))
    pictures = [bytes([0, index % 256, 0xFF]) * 2000 for index in range(300)]
    store.results.save(
        [_labelled(job, index, contents[index], thumbnail=pictures[index]) for index in reversed(range(300))]
    )
    assert _kept(store) == dict(zip(contents, pictures, strict=True))


def test_a_content_keeps_the_thumbnail_that_it_has(store: Store, job: Job, other_job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    _record(store, other_job, _URL)
    store.results.save([_labelled(job, 0), _labelled(job, 1, thumbnail=None, reused=True)])
    store.results.save([_labelled(other_job, 0, thumbnail=b"of a second look")])
    places = [(job.id, 0), (job.id, 1), (other_job.id, 0)]
    assert [store.thumbnails.get(*place) for place in places] == [_SEEN] * 3


def test_a_result_that_comes_twice_changes_no_thumbnail(store: Store, job: Job) -> None:
    _record(store, job, _URL)
    store.results.save([_labelled(job, 0)])
    store.results.save([_labelled(job, 0, thumbnail=b"again")])
    store.results.save([_labelled(job, 0, _DOG, thumbnail=b"of a result that is not kept")])
    assert _kept(store) == {_CAT: _SEEN}


def test_items_with_the_same_reference_share_a_thumbnail(store: Store, job: Job) -> None:
    _record(store, job, _URL, _URL)
    store.results.save([_labelled(job, 0)])
    assert store.thumbnails.get(job.id, 1) == _SEEN


def test_without_a_label_or_a_digest_no_thumbnail_is_kept(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    failed = replace(_labelled(job, 0), state=ItemState.FAILED, code=Code.IMAGE_CORRUPT)
    store.results.save([failed, _labelled(job, 1, evidence=Evidence())])
    assert _kept(store) == {}


def test_what_is_denied_leaves_no_thumbnail(store: Store, job: Job) -> None:
    store.deny_list.forget_sha256(_CAT)
    store.deny_list.forget_url(_OTHER)
    _record(store, job, _URL, _OTHER)
    store.results.save([_labelled(job, 0), _labelled(job, 1, _DOG)])
    assert _kept(store) == {}


def test_the_thumbnail_of_forgotten_bytes_goes(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER, "http://h/c.jpg")
    store.results.save([_labelled(job, 0), _labelled(job, 1), _labelled(job, 2, _DOG)])
    store.deny_list.forget_sha256(_CAT)
    assert _kept(store) == {_DOG: _SEEN}
    assert [store.thumbnails.get(job.id, index) for index in (0, 1, 2)] == [None, None, _SEEN]


def test_the_thumbnail_of_a_forgotten_url_goes_unless_others_led_to_it(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER, _URL)
    store.results.save([_labelled(job, 0), _labelled(job, 1)])
    store.deny_list.forget_url(_URL)
    assert [store.thumbnails.get(job.id, index) for index in (0, 1, 2)] == [None, _SEEN, None]
    store.deny_list.forget_url(_OTHER)
    assert _kept(store) == {}


def test_thumbnails_go_with_the_last_job_that_has_them(store: Store, job: Job, other_job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    _record(store, other_job, _URL)
    store.results.save([_labelled(job, 0), _labelled(job, 1, _DOG), _labelled(other_job, 0, thumbnail=None)])
    store.jobs.remove_items(job.id, 0, 2)
    assert _kept(store) == {_CAT: _SEEN}, "another job's was taken, or one of nobody was left"
    assert store.thumbnails.get(other_job.id, 0) == _SEEN
    store.jobs.remove_items(other_job.id, 0, 1)
    assert _kept(store) == {}


def test_a_job_that_is_removed_bit_by_bit_keeps_what_its_rest_has(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER, "http://h/c.jpg")
    store.results.save([_labelled(job, 0), _labelled(job, 1, _DOG), _labelled(job, 2)])
    store.jobs.remove_items(job.id, 0, 2)
    store.jobs.remove_items(job.id, 0, 2)
    assert _kept(store) == {_CAT: _SEEN}
    store.jobs.remove_items(job.id, 2, 4)
    assert _kept(store) == {}


def test_what_is_tried_again_takes_its_thumbnail_along(store: Store, job: Job, other_job: Job) -> None:
    """A failure has the bytes of a picture that was labelled elsewhere: it may be the last to have them."""
    _record(store, job, _URL)
    _record(store, other_job, _URL)
    failed = replace(_labelled(job, 0), state=ItemState.FAILED, code=Code.DECODER_TIMEOUT)
    store.results.save([failed, _labelled(other_job, 0)])
    store.jobs.remove_items(other_job.id, 0, 1)
    assert _kept(store) == {_CAT: _SEEN}
    assert store.results.forget_failed(job.id, [Code.DECODER_TIMEOUT], 0, 1) == 1
    assert _kept(store) == {}


def _remove(store: Store, job: Job) -> None:
    store.jobs.remove_items(job.id, 0, 1)


def _forget(store: Store, _job: Job) -> None:
    store.deny_list.forget_url(_URL)


@pytest.mark.parametrize("take_away", [_remove, _forget])
def test_two_who_take_away_the_last_results_together_leave_no_thumbnail(
    store: Store, job: Job, other_job: Job, take_away: Callable[[Store, Job], None]
) -> None:
    """Neither sees what the other has done but not committed."""
    _record(store, job, _OTHER)
    _record(store, other_job, _URL)
    store.results.save([_labelled(job, 0), _labelled(other_job, 0)])
    with ThreadPoolExecutor(1) as threads:
        with stopped_after(store.jobs._database, "DELETE FROM thumbnails") as first:
            first(lambda: _remove(store, job))
            second = threads.submit(take_away, store, other_job)
            wait_until(lambda: second.done() or somebody_waits(store.jobs._database), PATIENCE, "waiting")
        second.result(PATIENCE)
    assert _kept(store) == {}
