"""How lines become rows: what is quoted as a whole, and quotes that are text."""

import csv
import io
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.references import ListColumns, MalformedEntry, Reference, is_like_a_reference
from producer.tables import Table
from producer.text_lists import read_csv, read_tsv


def _rows(text: str, delimiter: str = ",") -> list[list[str] | str]:
    lines: Iterator[str | None] = iter(io.StringIO(text, newline="\n"))
    return [row for _, _, row in Table(lines, delimiter).rows(2, is_like_a_reference, "too long")]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""hi""",c', ['say "hi"', "c"]),
        ('"",""', ["", ""]),
        ('"a" , "b"', ["a", "b"]),
        ('"best day ever,c', ['"best day ever', "c"]),
        ('the word "end" of it,c', ['the word "end" of it', "c"]),
        ('5",c', ['5"', "c"]),
        ('"a" of it,c', ['"a" of it', "c"]),
        ('",c', ['"', "c"]),
        ('""a,c', ['""a', "c"]),
        ('"""a,c', ['"""a', "c"]),
        ('a,"', ["a", '"']),
        ('a,"b"c', ["a", '"b"c']),
        ("a,", ["a", ""]),
    ],
)
def test_a_field_is_quoted_as_a_whole_or_its_quotes_are_text(line: str, fields: list[str]) -> None:
    for end in ("", "\n", "\r\n"):
        assert _rows(line + end) == [fields]


def test_a_quoted_field_may_have_line_ends() -> None:
    text = 'a,"one\ntwo, three\n\n""four"""\r\n"x\r\ny",b.jpg\n'
    assert _rows(text) == [["a", 'one\ntwo, three\n\n"four"'], ["x\r\ny", "b.jpg"]]


def test_a_quote_that_closes_in_another_row_is_text_in_both() -> None:
    text = '"best day,a.jpg\nplain,b.jpg\n15",c.jpg\n'
    assert _rows(text) == [['"best day', "a.jpg"], ["plain", "b.jpg"], ['15"', "c.jpg"]]
    broken = '"best day\nplain,b.jpg\n15",c.jpg\n'
    assert _rows(broken) == [['"best day'], ["plain", "b.jpg"], ['15"', "c.jpg"]]


def test_a_text_with_an_url_in_one_of_its_lines_is_still_one_field() -> None:
    text = '"Our shop\nat home, https://shop.example/\nand here",a.jpg\n'
    assert _rows(text) == [["Our shop\nat home, https://shop.example/\nand here", "a.jpg"]]


_TEXT = st.text("ab\",\t\n\r 'é", max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=8), st.sampled_from(",\t"))
def test_what_csv_writers_write_is_read_as_it_was(texts: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    rows = [[one, f"https://host/{number}.jpg", two] for number, (one, two) in enumerate(texts)]
    writer.writerows([["caption", "url", "more"], *rows])
    read = read_csv if delimiter == "," else read_tsv
    entries = list(read("l", io.BytesIO(file.getvalue().encode()), ListColumns()))
    assert entries == [Reference(row[1]) for row in rows]


_LINE = st.text('ab"x/ ', max_size=12)


@settings(deadline=None)
@given(st.lists(_LINE, max_size=12))
def test_every_line_is_read_or_counted(texts: list[str]) -> None:
    lines = [f"{text},https://host/{number}.jpg" for number, text in enumerate(texts)]
    content = "\n".join(["caption,url", *lines]).encode()
    entries = list(read_csv("l", io.BytesIO(content), ListColumns()))
    counted = sum(entry.lines if isinstance(entry, MalformedEntry) else 1 for entry in entries)
    assert counted == len(lines)


@pytest.mark.parametrize(
    "content",
    [
        '"x\n' * 50_000,
        '"a\n","b\n",' * 20_000,
        '"""\n' * 50_000,
        "\n".join(["a"] * 50_000) + '\n"',
        '"' + "\n" * 1_000_000,
        '"a,' * 100_000,
        '""' * 100_000,
        ' "' * 100_000,
    ],
    ids=range(8),
)
def test_quotes_cost_no_more_than_their_lines(content: str) -> None:
    began = time.process_time()
    for _ in read_csv("l", io.BytesIO(b"a,url\n" + content.encode()), ListColumns()):
        pass
    assert time.process_time() - began < 10  # quadratic time would be minutes at least
