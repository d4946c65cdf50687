"""The pipeline when nothing goes wrong but the images."""

from tests.servers.fleet import Fleet, stop
from tests.servers.pictures import PictureServer


def test_a_crawl_is_labelled_and_every_image_without_a_label_has_its_reason(
    fleet: Fleet, pictures: PictureServer
) -> None:
    urls = [
        *pictures.urls("pictures", 30),
        *pictures.urls("flaky", 2),
        *pictures.urls("missing", 2),
        *pictures.urls("broken", 2),
        *pictures.urls("error", 1),
        *pictures.urls("pictures", 5),
        *pictures.urls("same", 12),
        pictures.url("busy", 1),
    ]
    job = fleet.submit(urls, "--name", "crawl")
    worker = fleet.start_worker(processes=2)
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert stop(worker) == 0
    rows = fleet.rows(job)
    assert [row["ref"] for row in rows] == urls
    codes = [row["code"] for row in rows]
    assert codes == [None] * 32 + ["http_404"] * 2 + ["not_an_image"] * 2 + ["http_5xx"] + [None] * 18
    assert [row["reused"] for row in rows[37:42]] == [True] * 5
    assert sum(not row["reused"] for row in rows[42:54]) in (6, 7, 8)
    assert pictures.asked["/error/0"] == 4
    assert all(pictures.asked[f"/pictures/{number}"] == 1 for number in range(30))
    for number, row in enumerate(rows[:30]):
        assert row["predictions"] == rows[number % 6]["predictions"]
