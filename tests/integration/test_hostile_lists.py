"""Parquet files that are damaged, or that stand for far more than they hold."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from producer.binary_lists import read_parquet
from producer.references import ListColumns, MalformedEntry
from producer.sources import read_list
from shared.budgets import ListBudget
from shared.errors import Code, ResourceError, UsageError

#: Reads a list, and says what came of it, and how many kilobytes we and whoever unpacks it took at most.
_MEASURED = """
import json, resource, sys
from producer.binary_lists import read_parquet
from producer.references import ListColumns
from producer.sources import read_list
from shared.errors import SmartSightError
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
count, last = 0, None
try:
    for last in read_list(sys.argv[1], ListColumns()):
        count += 1
except SmartSightError as error:
    last = error
(own,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([count, str(last), int(own), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""
_ROOT = Path(__file__).parents[2]
_TOO_MUCH = "unpacking it needs more memory than allowed"
_TOO_LONG = "the reference is longer than 4096 characters"


def _write(path: Path, refs: Any, **options: Any) -> None:
    table = pyarrow.table({"url": refs})
    parquet.write_table(
        table, path, compression="zstd", store_schema=False, write_statistics=False, **options
    )


def _one_for_all(size: int) -> Callable[[Path], None]:
    """Have many rows share one long text."""

    def write(path: Path) -> None:
        refs = pyarrow.DictionaryArray.from_arrays(np.zeros(4096, np.int32), ["x" * size])
        _write(path, refs, dictionary_pagesize_limit=1 << 30)

    return write


def _long_one(path: Path) -> None:
    """Have a text that is long itself."""
    _write(path, ["x" * 100_000_000], use_dictionary=False)


def _nested(path: Path) -> None:
    """Have one row that is a long list of nothing."""
    size = 40_000_000
    _write(path, pyarrow.ListArray.from_arrays([0, size], np.zeros(size)))


@pytest.mark.parametrize(
    ("write", "count", "last"),
    [
        (_one_for_all(200_000), 4096, _TOO_LONG),
        (_one_for_all(20_000_000), 0, _TOO_MUCH),
        (_long_one, 1, _TOO_LONG),
        (_nested, 0, _TOO_MUCH),
    ],
)
def test_a_bomb_takes_no_more_memory_than_is_allowed(
    write: Callable[[Path], None], count: int, last: str, tmp_path: Path
) -> None:
    path = tmp_path / "l.parquet"
    write(path)
    assert path.stat().st_size < 50_000
    command = [sys.executable, "-c", _MEASURED, str(path)]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    read, said, we, unpacking = json.loads(run.stdout)
    assert (read, last in said) == (count, True), said
    assert we < 150_000
    assert unpacking < 768 << 10


def test_what_a_file_unpacks_to_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    _write(path, ["https://a.example/" + "x" * 1000] * 100_000)
    assert path.stat().st_size < 20_000
    with path.open("rb") as file, pytest.raises(UsageError) as caught:
        list(read_parquet("list.parquet", file, ListColumns(), ListBudget(1_000_000)))
    assert caught.value.code is Code.BODY_TOO_LARGE
    assert "list.parquet: more than 1000000 bytes" in str(caught.value)


def test_long_texts_are_malformed_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    _write(path, ["a.jpg", "ü" * 1_000_000, "b.jpg", "\U0001f600" * 4097, "\U0001f600" * 4096])
    entries = list(read_list(str(path), ListColumns()))
    bad = [(entry.line, entry.reason) for entry in entries if isinstance(entry, MalformedEntry)]
    assert (len(entries), bad) == (5, [(2, _TOO_LONG), (4, _TOO_LONG)])


def test_a_list_of_many_rows_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    refs = [f"https://a.example/{i}.jpg" for i in range(10_000)]
    for column in (pyarrow.array(refs), pyarrow.array(refs).dictionary_encode()):
        parquet.write_table(pyarrow.table({"url": column}), path, row_group_size=3000)
        entries = list(read_list(str(path), ListColumns("url", "url")))
        assert [(one.ref, one.custom_id, one.line) for one in entries] == [
            (ref, ref, line) for line, ref in enumerate(refs, 1)
        ]


def _damaged(tmp_path: Path, change: Callable[[bytes], bytes]) -> ResourceError:
    path = tmp_path / "l.parquet"
    parquet.write_table(pyarrow.table({"url": ["a.jpg"], "zzzz": ["x"]}), path, store_schema=False)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ResourceError) as caught:
        list(read_list(str(path), ListColumns()))
    return caught.value


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.replace(b"zzzz", b"\xff\xfe\xfd\xfc"),
        lambda whole: whole[:-30] + whole[-20:],
        lambda whole: whole[:4] + bytes(40) + whole[44:],
        lambda whole: whole[: len(whole) // 2],
    ],
    ids=["a column's name is not UTF-8", "the footer has a hole", "a page is gone", "the end is missing"],
)
def test_whatever_is_damaged_is_unreadable(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    error = _damaged(tmp_path, change)
    assert error.code is Code.SOURCE_UNREADABLE
    assert "l.parquet: " in error.detail
