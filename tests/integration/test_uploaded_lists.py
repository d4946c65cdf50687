"""Lists of strangers, which cost whoever reads them no more than their budget, whatever they unpack to."""

import bz2
import gzip
import io
import lzma
import os
import resource
import signal
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from producer.list_process import Check, no_check
from producer.references import Entry, ListColumns, MalformedEntry
from producer.uploaded_lists import uploaded
from shared.budgets import ListBudget
from shared.errors import Code, ResourceError, SmartSightError

_MB = 1 << 20
_AMPLE = ListBudget(1 << 30)
_PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
#: A gzip member that holds nothing.
_NOTHING = gzip.compress(b"")


def _read(name: str, content: bytes, budget: ListBudget = _AMPLE, check: Check = no_check) -> list[Entry]:
    with uploaded(name, [content], ListColumns(), budget, check) as found:
        return list(found.entries())


def _refused(name: str, content: bytes, budget: ListBudget) -> tuple[Code, str]:
    with pytest.raises(SmartSightError) as caught:
        _read(name, content, budget)
    return caught.value.code, caught.value.detail


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("list.txt", b"", b"%b\n"),
        ("list.csv", b"url\n", b"%b\n"),
        ("list.tsv", b"url\n", b"%b\n"),
        ("list.jsonl", b"", b'{"url": "%b"}\n'),
    ],
)
def test_a_list_is_the_same_packed_or_not_small_or_large(name: str, head: bytes, row: bytes) -> None:
    for rows in (10, 10_000):
        refs = [b"https://a.example/%d.jpg" % number for number in range(rows)] + [b"no url", b"\xff"]
        content = head + b"".join(row % ref for ref in refs)
        with uploaded(name, [content], ListColumns(), _AMPLE, no_check) as plain:
            read = list(plain.entries())
        assert plain.malformed == 2
        assert [getattr(entry, "ref", None) for entry in read[:-2]] == [ref.decode() for ref in refs[:-2]]
        bad = [entry for entry in read if isinstance(entry, MalformedEntry)]
        assert [entry.line for entry in bad] == [rows + 1 + bool(head), rows + 2 + bool(head)]
        for ending, pack in _PACK.items():
            packed = _read(name + ending, pack(content))
            assert list(map(_without_source, packed)) == list(map(_without_source, read))


def _without_source(entry: Entry) -> Entry:
    return replace(entry, source="") if isinstance(entry, MalformedEntry) else entry


def test_what_a_row_unpacks_to_takes_memory_of_its_own_process_only() -> None:
    content = gzip.compress(b"url\n" + b'"\n\n",' * 3_000_000, 1)
    assert len(content) < _MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, _ = _refused("list.csv.gz", content, ListBudget(1 << 30, memory=200 * _MB))
    assert code in (Code.SOURCE_UNREADABLE, Code.LIST_TOO_COSTLY)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_a_list_of_too_many_lines_is_given_up() -> None:
    limits = ListBudget(1 << 30, lines=200_000, malformed=1000)
    blank, bad = gzip.compress(b"\n" * 300_000), gzip.compress(b"x\n" * 150_000)
    assert _refused("l.txt.gz", blank, limits) == (Code.LIST_TOO_COSTLY, "l.txt.gz: more than 200000 lines")
    expected = Code.LIST_TOO_COSTLY, "l.txt.gz: more than 1000 malformed lines"
    assert _refused("l.txt.gz", bad, limits) == expected
    short = ListBudget(1 << 30, lines=9)
    assert _refused("l.txt", b"\n" * 10, short) == (Code.LIST_TOO_COSTLY, "l.txt: more than 9 lines")


@pytest.mark.parametrize("ending", _PACK)
def test_a_bomb_is_unpacked_as_far_as_is_allowed(ending: str) -> None:
    bomb = _PACK[ending](bytes(20 * _MB))
    assert len(bomb) < 50_000
    expected = Code.BODY_TOO_LARGE, f"l.txt{ending}: more than {_MB} bytes unpacked"
    assert _refused(f"l.txt{ending}", bomb, ListBudget(_MB)) == expected


def test_an_xz_file_that_wants_gigabytes_of_memory_gets_none() -> None:
    packed = bytearray(lzma.compress(b"https://a.example/1.jpg\n"))
    size = 4 * (packed[12] + 1)  # of the block header, which ends with its checksum (xz-file-format.txt, 3.1)
    packed[16] = 40  # of the dictionary: 4 GiB
    packed[12 + size - 4 : 12 + size] = zlib.crc32(packed[12 : 12 + size - 4]).to_bytes(4, "little")
    code, detail = _refused("l.txt.xz", bytes(packed), _AMPLE)
    assert (code, "Memory usage limit" in detail) == (Code.SOURCE_UNREADABLE, True)


def test_rows_of_a_parquet_file_are_counted() -> None:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table({"url": [None] * 5000}), stream)
    few = ListBudget(1 << 30, malformed=100)
    expected = Code.LIST_TOO_COSTLY, "l.parquet: more than 100 malformed lines"
    assert _refused("l.parquet", stream.getvalue(), few) == expected


def test_what_takes_the_processor_and_gives_nothing_is_given_up() -> None:
    hours = _NOTHING * 4_000_000
    code, detail = _refused("list.txt.gz", hours, ListBudget(1 << 30, seconds=1))
    assert (code, detail) == (Code.LIST_TOO_COSTLY, "list.txt.gz: more than 1 seconds of processor time")


class _Stopped(Exception):
    pass


def _stop_at(count: int) -> Iterator[None]:
    yield from [None] * count
    raise _Stopped


@pytest.mark.parametrize("content", [_NOTHING * 2_000_000, gzip.compress(b"\n" * 100_000_000, 1)])
def test_stopping_does_not_wait_for_the_next_entry(content: bytes) -> None:
    checks, began = _stop_at(2), time.monotonic()
    with pytest.raises(_Stopped):
        _read("list.txt.gz", content, check=lambda: next(checks))
    assert time.monotonic() - began < 30
    assert _children() == []


def test_a_reader_that_is_killed_from_outside_says_nothing_of_the_list() -> None:
    def kill() -> None:
        for child in _children():
            os.kill(child, signal.SIGKILL)

    with pytest.raises(ResourceError) as caught:
        _read("list.txt.gz", _NOTHING * 4_000_000, check=kill)
    assert caught.value.code is Code.RECORDER_CRASHED


def _children() -> list[int]:
    """The processes that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"producer.text_rows" in Path(f"/proc/{pid}/cmdline").read_bytes()]
