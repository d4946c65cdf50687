"""`smartsight report` on a job that `smartsight label` has done."""

import json
import shutil
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def labelled(run: Run, samples: Path) -> None:
    """Job 1: the samples, a copy of one of them, and two files that cannot be labelled."""
    Path("photos").mkdir()
    for picture in samples.glob("*.??g"):
        shutil.copy(picture, "photos")
    shutil.copy(samples / "coffee.png", "photos/coffee-again.png")
    Path("photos/<b>text.jpg").write_text("no image")
    Path("photos/empty.jpg").touch()
    assert run("label", "photos").status == 1


class _Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.usefixtures("labelled")
def test_a_page_and_its_json_are_written(run: Run) -> None:
    finished = run("report", "1")
    assert finished.status == 0
    first, *why = finished.out.splitlines()
    assert first == ("Job 1 is completed. 9 of 9 images are done: 7 succeeded (77.8 %), 2 failed (22.2 %).")
    assert "1 of 9 failed: The file is empty." in why
    assert "1 of 9 failed: The content is not an image, whatever its name says." in why
    assert "Of 7 labelled images, 6 are different and 1 is a copy." in why
    assert finished.err == "Written: report-1.html, report-1.json\n"
    report = json.loads(Path("report-1.json").read_text())
    assert report["sentences"] == [first, *why]
    assert report["states"] == {"succeeded": 7, "failed": 2}
    assert report["duplicates"] == {"labelled": 7, "contents": 6, "reused": 1}
    assert report["classes"][0] | {"wordnet_id": ""} == {
        "name": "espresso",
        "wordnet_id": "",
        "count": 2,
        "contents": 1,
    }
    assert report["fetching"]["bytes"] > sum(file.stat().st_size for file in Path("photos").glob("*.png"))
    assert report["time_left"] is None
    page = _Text(Path("report-1.html").read_text())
    assert {"svg", "table", "h1"} <= page.tags
    assert not page.tags & {"script", "b", "img", "link"}
    assert "photos/<b>text.jpg" in page.text
    assert "espresso" in page.text


@pytest.mark.usefixtures("labelled")
def test_one_file_alone(run: Run) -> None:
    for name in ("x.html", "x.JSON"):
        finished = run("report", "1", "--output", name)
        assert (finished.status, finished.err) == (0, f"Written: {name}\n")
    assert {path.name for path in Path().iterdir()} == {"photos", "data", "x.html", "x.JSON"}
    assert json.loads(Path("x.JSON").read_text())["job"]["id"] == 1


@pytest.mark.usefixtures("labelled")
def test_json_on_standard_output_and_words_beside_it(run: Run) -> None:
    finished = run("report", "1", "--output", "-")
    assert finished.json()["job"]["done"] == 9
    assert finished.err.startswith("Job 1 is completed. 9 of 9 images are done")
    assert not list(Path().glob("report*"))


@pytest.mark.usefixtures("labelled")
def test_what_cannot_be_written_is_a_failure(run: Run) -> None:
    finished = run("report", "1", "--output", "no/such/folder/x.html")
    assert finished.status == 1
    assert "output_unwritable" in finished.err
    finished = run("report", "1", "--output", "/dev/full/x.html")
    assert "output_unwritable" in finished.err
    Path("full.json").symlink_to("/dev/full")
    finished = run("report", "1", "--output", "full.json")
    assert (finished.status, finished.out) == (1, "")
    assert "full.json: No space left on device" in finished.err


@pytest.mark.usefixtures("labelled")
def test_an_older_report_is_replaced_and_keeps_its_mode(run: Run) -> None:
    Path("x.html").write_text("older")
    Path("x.html").chmod(0o640)
    assert run("report", "1", "--output", "x.html").status == 0
    assert Path("x.html").read_text().startswith("<!doctype html>")
    assert stat.S_IMODE(Path("x.html").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["x.txt", "x", "html"])
def test_another_ending_is_wrong_usage(name: str, run: Run) -> None:
    finished = run("report", "1", "--output", name)
    assert finished.status == 2
    assert "output_unsupported" in finished.err
    assert ".html, .json" in finished.err


def test_an_unknown_job_is_wrong_usage(run: Run) -> None:
    finished = run("report", "404")
    assert finished.status == 2
    assert "job_unknown" in finished.err
    assert not list(Path().glob("report*"))
