"""What every output format must do."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from results_api.exports import check_output, open_output
from results_api.rows import Row
from shared.errors import Code, ResourceError, UsageError
from shared.store.result_columns import COLUMNS, NAMES
from shared.times import time_text

_ROWS: list[Row] = [
    {
        **dict.fromkeys(NAMES),
        "index": 0,
        "ref": 'photos/café, "one".jpg',
        "custom_id": "7",
        "state": "succeeded",
        "code": None,
        "message": None,
        "predictions": [{"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.884148}],
        "model": "lite0@1",
        "width": 640,
        "height": 480,
        "bytes": 12345,
        "sha256": "ab" * 32,
        "reused": True,
        "host": "example.com",
        "final_url": "https://example.com/a.jpg",
        "http_status": 200,
        "attempts": 2,
        "fetch_ms": 12.345,
        "label_ms": 9.5,
        "finished_at": "2026-03-01T12:00:00Z",
    },
    {
        **dict.fromkeys(NAMES),
        "index": 1,
        "ref": "missing.jpg",
        "state": "failed",
        "code": "file_not_found",
        "message": "There is no file at this path.",
        "predictions": [],
        "model": "lite0@1",
        "reused": False,
    },
]


def _read_jsonl(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _read_csv(path: Path) -> list[Row]:
    rows: list[Row] = []
    for row in csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")):
        values: dict[str, Any] = {name: text or None for name, text in row.items()}
        numbers = [column for column in COLUMNS if column.type in (int, float) and row[column.name]]
        values |= {column.name: column.type(row[column.name]) for column in numbers}
        values |= {name: json.loads(row[name]) for name in ("predictions", "reused")}
        rows.append(values)
    return rows


def _read_parquet(path: Path) -> list[Row]:
    rows: list[Row] = parquet.read_table(path).to_pylist()
    times = [row["finished_at"] for row in rows]
    return [row | {"finished_at": time and time_text(time)} for row, time in zip(rows, times, strict=True)]


_READERS = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}


@pytest.fixture(params=list(_READERS))
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_rows_are_read_back_as_they_were_written(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{format}"
    with open_output(str(path)) as writer:
        writer.write(_ROWS[:1])
        writer.write(_ROWS[1:])
    rows = _READERS[format](path)
    assert rows == _ROWS
    assert list(rows[0]) == list(NAMES)


def test_many_rows(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{format}"
    with open_output(str(path)) as writer:
        for start in range(0, 12_000, 500):
            writer.write([{**_ROWS[1], "index": index} for index in range(start, start + 500)])
    assert [row["index"] for row in _READERS[format](path)] == list(range(12_000))


def test_without_rows_the_file_is_valid_and_empty(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{format}"
    with open_output(str(path)):
        pass
    assert _READERS[format](path) == []


def test_an_interrupted_output_leaves_the_older_file(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{format}"
    path.write_text("older")
    with pytest.raises(KeyboardInterrupt), open_output(str(path)) as writer:
        writer.write(_ROWS)
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "older"


def test_a_full_disk_is_named(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{format}"
    path.symlink_to("/dev/full")
    with pytest.raises(ResourceError) as caught, open_output(str(path)) as writer:
        for _ in range(2000):
            writer.write(_ROWS * 10)
    assert caught.value.code is Code.OUTPUT_UNWRITABLE
    assert f"{path}: No space left on device" in str(caught.value)
    assert path.is_symlink()


def test_a_missing_folder_is_named(format: str) -> None:
    with pytest.raises(ResourceError) as caught, open_output(f"no/such/folder/out.{format}"):
        pass
    assert caught.value.code is Code.OUTPUT_UNWRITABLE


@pytest.mark.parametrize("target", ["out.xlsx", "out", "out.json"])
def test_an_unknown_ending_is_a_usage_error(target: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_output(target)
    assert caught.value.code is Code.OUTPUT_UNSUPPORTED
    assert ".jsonl, .csv, .parquet" in str(caught.value)
