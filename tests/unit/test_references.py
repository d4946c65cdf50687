import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from producer.references import MalformedEntry, Reference, UrlEntries
from producer.sources import InputSources, read_folder, read_sources
from shared.errors import Code, UsageError


def _touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def test_a_folder_gives_its_images_in_a_fixed_order() -> None:
    _touch("p/b.jpg", "p/a.PNG", "p/sub/c.webp", "p/a/z.avif", "p/notes.txt", "p/.hidden.jpg", "p/.git/d.jpg")
    entries = [entry.ref for entry in read_folder("p") if isinstance(entry, Reference)]
    assert entries == ["p/a.PNG", "p/b.jpg", "p/a/z.avif", "p/sub/c.webp"]


def test_links_to_folders_are_not_followed() -> None:
    _touch("p/a.jpg")
    Path("p/loop").symlink_to(".", target_is_directory=True)
    link, image = read_folder("p")
    assert str(link) == "p/loop: a link to a folder, which is not followed"
    assert image == Reference("p/a.jpg")


def test_a_file_name_that_could_hurt_a_terminal_is_malformed() -> None:
    _touch("p/\x1b[31mred.jpg")
    os.close(os.open(b"p/caf\xe9.jpg", os.O_CREAT))
    entries = list(read_folder("p"))
    assert len(entries) == 2
    for entry in entries:
        assert isinstance(entry, MalformedEntry)
        assert str(entry).isprintable()


def test_sources_follow_one_another() -> None:
    _touch("p/a.jpg")
    Path("l.txt").write_text("b.jpg\n")
    entries = list(read_sources(InputSources(["c.jpg", "p", "l.txt", "http://host/list.csv", "missing"])))
    expected = ["c.jpg", "p/a.jpg", "b.jpg", "http://host/list.csv", "missing"]
    assert [entry.ref for entry in entries if isinstance(entry, Reference)] == expected


def test_a_folder_of_parquet_parts_is_a_list() -> None:
    for number, name in enumerate(("b=1/part-0.parquet", "b=2/part-0.parquet", "_log/part-9.parquet")):
        _touch(f"urls.parquet/{name}")
        parquet.write_table(pyarrow.table({"url": [f"{number}.jpg"]}), f"urls.parquet/{name}")
    _touch("urls.parquet/_SUCCESS", "urls.parquet/.part-0.parquet.crc")
    Path("urls.parquet").rename("urls")
    Path("other.parquet").symlink_to("urls", target_is_directory=True)
    for name in ("urls", "other.parquet"):
        entries = list(read_sources(InputSources([name])))
        assert entries == [Reference("0.jpg"), Reference("1.jpg")]


def test_a_folder_of_images_with_a_table_beside_them_gives_its_images() -> None:
    _touch("p/z.jpg", "p/about.parquet")
    assert list(read_sources(InputSources(["p"]))) == [Reference("p/z.jpg")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("l.xlsx", "spreadsheet"),
        ("l.XLS", "spreadsheet"),
        ("l.ods", "spreadsheet"),
        ("l.zip", "archive"),
        ("l.tar.gz", "archive"),
        ("l.csv.zst", "unpack it"),
        ("l.parquet.gz", "unpack it"),
        ("crawl.warc.zst", "unpack it"),
        ("l.gz", "unpack it"),
        ("l.feather", "save it as .parquet"),
        ("crawl.wacz", "WARC files"),
    ],
)
def test_a_list_that_is_not_read_is_a_usage_error_that_names_those_that_are(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(read_sources(InputSources([name])))
    assert caught.value.code is Code.SOURCE_UNREADABLE
    for word in (name, words, ".ndjson", ".tab", ".xz", ".parquet"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "ref", ["//host/a.jpg", "data:image/png;base64,AAAA", "ftp://host/a.jpg", "file:///a.jpg"]
)
def test_a_url_that_is_never_fetched_is_named_so(ref: str) -> None:
    urls = UrlEntries([Reference(ref, None, 3)])
    (entry,) = urls
    assert isinstance(entry, MalformedEntry)
    assert entry.reason.startswith("url_not_allowed: ")
    assert urls.malformed == 1


@pytest.mark.parametrize(("line", "text"), [(3, "l.txt, line 3: why"), (None, "l.txt: why")])
def test_a_malformed_place_says_where_it_is(line: int | None, text: str) -> None:
    assert str(MalformedEntry("l.txt", line, "why")) == text
