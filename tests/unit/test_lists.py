import bz2
import gzip
import io
import json
import lzma
import tempfile
import uuid
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
        ("urls.PQ", True),
        ("urls.ndjson.xz", True),
        ("urls.jsonlines", True),
        ("urls.json", True),
        ("urls.tab.bz2", True),
        ("urls.lst", True),
        ("urls.xlsx", False),
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
        ("l.tab", "id\turl\n7\ta.jpg\n8\tb,c.jpg\n\td.jpg\n"),
        ("l.jsonl", '{"id": 7, "url": "a.jpg"}\n{"id": "8", "url": "b,c.jpg"}\n\n{"url": "d.jpg"}\n'),
        ("l.ndjson", '{"id": 7, "url": "a.jpg"}\n{"id": "8", "url": "b,c.jpg"}\n\n{"url": "d.jpg"}\n'),
        ("l.json", '{"id": 7, "url": "a.jpg"}\n{"id": "8", "url": "b,c.jpg"}\n\n{"url": "d.jpg"}\n'),
        ("l.json", '[{"id": 7, "url": "a.jpg"},\n {"id": "8", "url": "b,c.jpg"}, {"url": "d.jpg"}]\n'),
        (
            "l.jsonlines.gz",
            '[\n  {"id": 7, "url": "a.jpg"}, {"id": "8", "url": "b,c.jpg"}, {"url": "d.jpg"}]',
        ),
        ("l.json", '{\n"id": 7, "url": "a.jpg"\n}\n{"id": "8", "url": "b,c.jpg"}\n{\n"url": "d.jpg"}'),
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


def test_a_malformed_row_of_several_lines_names_all_of_them(write: Write) -> None:
    entries = _read(write("l.csv", b'size,url\n1,a.jpg\n2,"b\nb.jpg"\n3,c.jpg\n'))
    assert _refs(entries) == ["a.jpg", "c.jpg"]
    (malformed,) = (entry for entry in entries if isinstance(entry, MalformedEntry))
    assert malformed.lines == 2
    assert "lines 3 to 4: " in str(malformed)
    assert "is the closing quote of line 3 missing?" in str(malformed)


def test_a_lone_quote_takes_no_other_line_with_it(write: Write) -> None:
    lines = ['"best day ever\ta.jpg', "plain\tb.jpg", 'a "c" in it\tc.jpg', '15"\td.jpg', "\te.jpg"]
    for end in ("\n", "\r\n"):
        table = write("l.tsv", end.join(["caption\turl", *lines]).encode())
        assert _refs(_read(table)) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]


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
    (tmp_path / "sheet.csv").write_bytes(b"PK\x03\x04 and so on")
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(b'{"url": "a.jpg"}'))
    (tmp_path / "cut.txt.bz2").write_bytes(bz2.compress(b"a.jpg\n")[:-4])
    (tmp_path / "no.txt.xz").write_bytes(b"not xz at all")
    names = ["cut.txt.gz", "no.txt.gz", "no.parquet", "wide.txt", "mac.csv", "folder.txt", "sheet.csv"]
    for name in (*names, "packed.jsonl", "cut.txt.bz2", "no.txt.xz"):
        error = _failure(str(tmp_path / name))
        assert (type(error), error.code) == (ResourceError, Code.SOURCE_UNREADABLE), name
        assert name in str(error)


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_packed_list_may_have_several_streams(
    ending: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    refs = [f"{number}.jpg" for number in range(50_000)]
    parts = ["\n".join(refs[:20_000]), "", "\n", "\n".join(refs[20_000:])]
    (tmp_path / f"l.txt{ending}").write_bytes(b"".join(pack(part.encode()) for part in parts))
    assert _refs(_read(str(tmp_path / f"l.txt{ending}"))) == refs


def test_what_nobody_sees_at_the_ends_of_a_text_is_not_part_of_it(write: Write) -> None:
    marks = "\ufeff\u200b\u200e\u2060 "
    lines = f"{marks}a.jpg{marks}\n{marks}\nb\u200dc.jpg\n"
    assert _refs(_read(write("l.txt", lines.encode()))) == ["a.jpg", "b\u200dc.jpg"]
    table = f"{marks}url{marks},id\n{marks}a.jpg{marks},{marks}7{marks}\n"
    assert _read(write("l.csv", table.encode()), ListColumns("url", "id")) == [Reference("a.jpg", "7")]


@pytest.mark.parametrize(
    "cell",
    [
        "['https://host/a.jpg', 'https://host/b.jpg']",
        "https://host/a.jpg|https://host/b.jpg",
        "https://host/a.jpg https://host/b.jpg",
        "https://host/a.jpg, https://host/b.jpg",
        "https://host/a.jpg;https://host/b.jpg",
    ],
)
def test_a_list_in_a_cell_is_called_so(cell: str, write: Write) -> None:
    reason = "it is a list: give each reference a row of its own"
    assert _malformed(_read(write("l.tsv", f"url\n{cell}\n".encode()))) == [(2, reason)]
    assert _malformed(_read(write("l.jsonl", b'{"url": ["https://host/a.jpg"]}\n'))) == [(1, reason)]


@pytest.mark.parametrize(
    "ref",
    [
        "https://host/join?of=https://a/1.jpg,https://b/2.jpg",
        "https://host/w_3,h_2/https://a/1.jpg",
        "[1] a.jpg",
    ],
)
def test_a_url_with_another_in_it_is_one(ref: str, write: Write) -> None:
    assert _refs(_read(write("l.txt", ref.encode()))) == [ref]


@pytest.mark.parametrize(
    ("name", "head", "hint"),
    [
        ("l.csv", "id;url\n", "separated by ';'"),
        ("l.csv", "sep=;\nid;url\n", "separated by ';'"),
        ("l.csv", '"id";"url"\n', "separated by ';'"),
        ("l.csv", "id\turl\n", "name it .tsv"),
        ("l.tsv", "id,url\n", "name it .csv"),
        ("l.csv", "id|link\n", "separated by '|'"),
        ("l.tsv", "a cat\thttps://host/a.jpg\n", "add a header"),
        ("l.csv", "https://host/a;b.jpg\n", "name it .txt"),
    ],
)
def test_another_separator_is_named(name: str, head: str, hint: str, write: Write) -> None:
    error = _failure(write(name, f"{head}7;a.jpg\n".encode()))
    assert (type(error), error.code) == (UsageError, Code.COLUMN_UNKNOWN)
    assert hint in str(error)


def test_a_line_that_names_the_right_separator_is_passed_over(write: Write) -> None:
    for line in ("sep=,", '"sep=,"'):
        assert _refs(_read(write("l.csv", f"{line}\r\nid,url\r\n7,a.jpg\r\n".encode()))) == ["a.jpg"]


def test_a_document_that_breaks_off_counts_its_other_lines(write: Write) -> None:
    entries = _read(
        write("l.json", b'[\n"a.jpg",\n{"url": "b.jpg"},\n{"url": oops},\n"c.jpg",\n"d.jpg"\n]\n')
    )
    assert _refs(entries) == ["a.jpg", "b.jpg"]
    (malformed,) = (entry for entry in entries if isinstance(entry, MalformedEntry))
    assert (malformed.line, malformed.lines) == (4, 4)
    (cut,) = (
        entry for entry in _read(write("l.json", b'["a.jpg",\n"b')) if isinstance(entry, MalformedEntry)
    )
    assert (cut.line, cut.lines) == (2, 1)


def test_a_document_may_be_long_and_without_line_ends(write: Write) -> None:
    refs = [f"{number}-\u00fc.jpg" for number in range(30_000)]
    content = json.dumps([{"url": ref, "id": number} for number, ref in enumerate(refs)], ensure_ascii=False)
    entries = _read(write("l.json", content.encode()), ListColumns("url", "id"))
    assert entries == [Reference(ref, str(number)) for number, ref in enumerate(refs)]


def _ids(column: pyarrow.Array, tmp_path: Path) -> list[str | None]:
    refs = [f"{number}.jpg" for number in range(len(column))]
    parquet.write_table(pyarrow.table({"url": refs, "id": column}), tmp_path / "l.parquet")
    entries = _read(str(tmp_path / "l.parquet"), ListColumns("url", "id"))
    assert _refs(entries) == refs
    return [entry.custom_id for entry in entries if isinstance(entry, Reference)]


def test_no_type_of_ids_costs_a_row(tmp_path: Path) -> None:
    one = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    array = pyarrow.array
    ids = {
        "00ff": array([b"\x00\xff"]),
        "00ff01": array([b"\x00\xff\x01"], pyarrow.binary(3)),
        "abc": array([b"abc"], pyarrow.binary(3)),
        '{"a": [1, null]}': array([{"a": [1, None]}]),
        "1970-01-01 00:00:00.000Z": array([0], pyarrow.timestamp("s", "Nowhere/City")),
        "3600": array([3600], pyarrow.duration("s")),
    }
    for text, column in ids.items():
        assert _ids(column, tmp_path) == [text]
    assert _ids(array([one.bytes, None], pyarrow.uuid()), tmp_path) == [str(one), None]


def test_a_column_of_images_is_called_so(tmp_path: Path) -> None:
    jpeg = b"\xff\xd8\xff\xe0 and so on"
    for column in (pyarrow.array([{"bytes": jpeg, "path": None}]), pyarrow.array([jpeg])):
        parquet.write_table(pyarrow.table({"image": column}), tmp_path / "l.parquet")
        ((line, reason),) = _malformed(_read(str(tmp_path / "l.parquet"), ListColumns("image")))
        assert (line, "it holds an image, not a reference" in reason) == (1, True)


def test_text_without_a_telling_name_may_be_json(write: Write) -> None:
    for content in ('{"url": "a.jpg"}\n{"url": "b.jpg"}\n', '["a.jpg", {"url": "b.jpg"}]'):
        assert _refs(_read(write("l.lst", content.encode()))) == ["a.jpg", "b.jpg"]
        with tempfile.TemporaryFile() as stdin:
            stdin.write(content.encode())
            assert _refs(list(read_list("-", ListColumns(), stdin))) == ["a.jpg", "b.jpg"]
    assert _refs(_read(write("l.txt", b"[a] 1.jpg\n{b}.jpg\n"))) == ["[a] 1.jpg", "{b}.jpg"]


def test_a_line_that_may_be_more_than_one_reference_says_so(write: Write) -> None:
    (table, mac) = _malformed(_read(write("l.lst", b"0\t1\ta.jpg\nb.jpg\rc.jpg\r\n")))
    assert (table[0], "a table is named .tsv" in table[1]) == (1, True)
    assert (mac[0], "line ends LF or CRLF?" in mac[1]) == (2, True)
