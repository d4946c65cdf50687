import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from producer.references import Entry, ListColumns, MalformedEntry, Reference
from producer.sources import is_list, read_list
from shared.errors import Code, ResourceError, SmartSightError, UsageError

Write = Callable[[str, bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write


def _read(source: str, columns: ListColumns | None = None) -> list[Entry]:
    return list(read_list(source, columns or ListColumns()))


def _refs(entries: list[Entry]) -> list[str]:
    return [entry.ref for entry in entries if isinstance(entry, Reference)]


def _malformed(entries: list[Entry]) -> list[tuple[int | None, str]]:
    return [(entry.line, entry.reason) for entry in entries if isinstance(entry, MalformedEntry)]


def _failure(source: str, columns: ListColumns | None = None) -> SmartSightError:
    with pytest.raises(SmartSightError) as caught:
        _read(source, columns)
    return caught.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("-", True),
        ("urls.TXT", True),
        ("urls.csv.gz", True),
        ("urls.parquet", True),
        ("urls.parquet.gz", False),
        ("photo.jpg", False),
        ("photos.gz", False),
        ("http://host/list.csv", False),
    ],
)
def test_a_list_is_known_by_its_name(source: str, expected: bool) -> None:
    assert is_list(source) is expected


@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_txt_has_a_reference_a_line(ending: str, write: Write) -> None:
    source = write("list" + ending, "\ufeffa.jpg\r\n\n  http://host/ü.jpg  \nlast.png".encode())
    assert _read(source) == [Reference("a.jpg"), Reference("http://host/ü.jpg"), Reference("last.png")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", 'id,url\n7,a.jpg\n8,"b,c.jpg"\n,d.jpg\n'),
        ("l.csv.gz", 'id,url\n7,a.jpg\n8,"b,c.jpg"\n,d.jpg\n'),
        ("l.tsv", "id\turl\n7\ta.jpg\n8\tb,c.jpg\n\td.jpg\n"),
        ("l.jsonl", '{"id": 7, "url": "a.jpg"}\n{"id": "8", "url": "b,c.jpg"}\n\n{"url": "d.jpg"}\n'),
    ],
)
def test_columns_give_reference_and_custom_id(name: str, content: str, write: Write) -> None:
    entries = _read(write(name, content.encode()), ListColumns("url", "id"))
    assert entries == [Reference("a.jpg", "7"), Reference("b,c.jpg", "8"), Reference("d.jpg")]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    table = pyarrow.table({"id": [7, 8, None], "url": ["a.jpg", None, "c.jpg"], "other": [1, 2, 3]})
    parquet.write_table(table, path)
    entries = _read(str(path), ListColumns("url", "id"))
    assert _refs(entries) == ["a.jpg", "c.jpg"]
    assert entries[0] == Reference("a.jpg", "7")
    assert _malformed(entries) == [(2, "the reference is not text")]


def test_malformed_lines_are_named_and_the_rest_goes_on(write: Write) -> None:
    text = _read(write("l.txt", b"a.jpg\nbad\xff.jpg\nb\x1b[31m.jpg\n" + b"x" * 5000 + b"\nlast.jpg\n"))
    assert _refs(text) == ["a.jpg", "last.jpg"]
    assert [line for line, _ in _malformed(text)] == [2, 3, 4]


def test_malformed_rows_of_a_table(write: Write) -> None:
    entries = _read(
        write("l.csv", b'url,size\na.jpg,1\nhttp://h/a,b.jpg,2\n,3\nb.jpg,4\nc.jpg\n"d\n.jpg",5\n')
    )
    assert _refs(entries) == ["a.jpg", "b.jpg"]
    assert _malformed(entries) == [
        (3, "3 columns where the header has 2"),
        (4, "the reference is empty"),
        (6, "1 columns where the header has 2"),
        (
            7,
            "the reference has control characters or is not UTF-8; is the closing quote of line 7 missing?",
        ),
    ]


def test_an_unclosed_quote_says_where_it_began(write: Write) -> None:
    entries = _read(write("l.csv", b'size,url\n1,a.jpg\n2,"b.jpg\n3,c.jpg\n'))
    assert _refs(entries) == ["a.jpg"]
    (malformed,) = (entry for entry in entries if isinstance(entry, MalformedEntry))
    assert malformed.lines == 2
    assert "lines 3 to 4: " in str(malformed)
    assert "is the closing quote of line 3 missing?" in str(malformed)


def test_an_unclosed_quote_before_many_lines_counts_them_all(write: Write) -> None:
    rows = "".join(f"{number},{number:06}.jpg\n" for number in range(20_000))
    entries = _read(write("l.csv", f'size,url\n1,"a.jpg\n{rows}'.encode()))
    lost = sum(entry.lines for entry in entries if isinstance(entry, MalformedEntry))
    assert lost + len(_refs(entries)) == 20_001


def test_a_custom_id_that_cannot_be_used_is_named(write: Write) -> None:
    entries = _read(write("l.csv", b"id,url\nx\x01y,a.jpg\n"), ListColumns("url", "id"))
    assert _malformed(entries) == [(2, "the custom id has control characters or is not UTF-8")]


def test_a_column_that_is_there_twice_is_a_usage_error(write: Write, tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], ["url", "url"])
    parquet.write_table(table, tmp_path / "l.parquet")
    for source in (write("l.csv", b"url,url\na,b\n"), str(tmp_path / "l.parquet")):
        error = _failure(source)
        assert (type(error), error.code) == (UsageError, Code.COLUMN_UNKNOWN)


def test_parquet_columns_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    times = pyarrow.array([0, 1], pyarrow.timestamp("ns"))
    refs = {
        "text": pyarrow.array(["a.jpg", "b.jpg"]),
        "dictionary": pyarrow.array(["a.jpg", "b.jpg"]).dictionary_encode(),
        "binary": pyarrow.array([b"a.jpg", b"b\xff.jpg"]),
        "list": pyarrow.array([["a.jpg"], ["b.jpg"]]),
    }
    good = {"text": 2, "dictionary": 2, "binary": 1, "list": 0}
    for name, column in refs.items():
        parquet.write_table(pyarrow.table({"url": column, "id": times}), path)
        entries = _read(str(path), ListColumns("url", "id"))
        assert len(_refs(entries)) == good[name], name
        assert len(entries) == 2


def test_malformed_json_lines(write: Write) -> None:
    content = b'{"url": "a.jpg"}\n{"url": \n[1]\n{"url": 5}\n{"uri": "x"}\n' + b"[" * 100_000 + b"\n"
    entries = _read(write("l.jsonl", content))
    assert _refs(entries) == ["a.jpg"]
    assert [line for line, _ in _malformed(entries)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["l.txt", "l.csv", "l.jsonl"])
def test_a_line_of_megabytes_is_malformed_and_not_kept(name: str, write: Write) -> None:
    head = b"url\n" if name.endswith("csv") else b""
    last = b'{"url": "z.jpg"}' if name.endswith("jsonl") else b"z.jpg"
    entries = _read(write(name, head + b"x" * 3_000_000 + b"\n" + last + b"\n"))
    assert _refs(entries) == ["z.jpg"]
    ((_, reason),) = _malformed(entries)
    assert reason == "the line is longer than 1048576 bytes"


def test_a_column_of_html_costs_no_row(write: Write) -> None:
    page = '"' + "<p>\n" * 40_000 + '"'
    assert _refs(_read(write("l.csv", f"html,url\n{page},a.jpg\n".encode()))) == ["a.jpg"]


def test_a_custom_id_of_json_stays_json(write: Write) -> None:
    content = b'{"url": "a.jpg", "id": {"a": [1, null, true]}}\n{"url": "b.jpg", "id": 7}\n'
    assert _read(write("l.jsonl", content), ListColumns("url", "id")) == [
        Reference("a.jpg", '{"a": [1, null, true]}'),
        Reference("b.jpg", "7"),
    ]


def test_standard_input_is_read_from_its_start_each_time() -> None:
    stdin = io.BytesIO(b"a.jpg\nb.jpg\n")
    for _ in range(2):
        assert _refs(list(read_list("-", ListColumns(), stdin))) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["l.csv", "l.tsv.gz", "l.parquet"])
def test_an_unknown_column_is_a_usage_error_that_names_the_others(name: str, write: Write) -> None:
    source = write(name, b"link\tsize\n" if "tsv" in name else b"link,size\n")
    if name.endswith("parquet"):
        parquet.write_table(pyarrow.table({"link": ["a"], "size": [1]}), source)
    for columns in (ListColumns("url"), ListColumns("link", "id")):
        error = _failure(source, columns)
        assert (type(error), error.code) == (UsageError, Code.COLUMN_UNKNOWN)
        assert "'link', 'size'" in str(error)


def test_a_missing_list_is_a_usage_error() -> None:
    error = _failure("nowhere.csv")
    assert (type(error), error.code) == (UsageError, Code.SOURCE_NOT_FOUND)
    assert "nowhere.csv" in str(error)


def test_a_damaged_list_is_named(write: Write, tmp_path: Path) -> None:
    whole = Path(write("l.txt.gz", b"a.jpg\n" * 10_000)).read_bytes()
    (tmp_path / "cut.txt.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "no.txt.gz").write_bytes(b"not gzip")
    (tmp_path / "no.parquet").write_bytes(b"not parquet")
    (tmp_path / "mac.csv").write_bytes(b"url\ra.jpg\r")
    (tmp_path / "wide.txt").write_bytes("a.jpg\n".encode("utf-16"))
    (tmp_path / "folder.txt").mkdir()
    for name in ("cut.txt.gz", "no.txt.gz", "no.parquet", "wide.txt", "mac.csv", "folder.txt"):
        error = _failure(str(tmp_path / name))
        assert (type(error), error.code) == (ResourceError, Code.SOURCE_UNREADABLE), name
        assert name in str(error)
