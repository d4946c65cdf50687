"""Write the results of a job: to a file whose ending names the format, or as a stream of bytes.

A file appears under its name only when it is complete.
"""

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, TypeVar

from results_api.encoders import ROW_GROUP, Csv, Encoder, JsonLines, Parquet
from results_api.rows import Row
from shared.errors import Code, RequestError, ResourceError, UsageError
from shared.store.result_frames import Columns, frame_of, present
from shared.store.search import BEGINNING
from shared.store.store import Filter, Job, Store

T = TypeVar("T")

#: Standard output, as JSON Lines.
STDOUT = "-"
_END = object()
_ENDINGS: dict[str, type[JsonLines | Csv | Parquet]] = {
    ".jsonl": JsonLines,
    ".csv": Csv,
    ".parquet": Parquet,
}


class RowWriter(Protocol):
    """Takes the rows of a job as they come."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, or keep them for later."""
        ...


class _FileWriter:
    def __init__(self, stream: IO[bytes], encoder: Encoder) -> None:
        self._stream = stream
        self._encoder = encoder
        stream.write(encoder.begin())

    def write(self, rows: Sequence[Row]) -> None:
        self._stream.write(self._encoder.encode(frame_of(rows)))
        self._stream.flush()

    def finish(self) -> None:
        self._stream.write(self._encoder.end())


def write_results(
    store: Store,
    job: Job,
    wanted: Filter,
    target: str,
    after: int = BEGINNING,
) -> None:
    """Write the results of a job that are wanted to a file, or to ``-``: the way for commands.

    Those up to the index ``after`` are left out. Raises what ``open_output`` and ``stream`` raise.
    """
    encoder = _encoder_for(target)
    with open_stream(target) as output:
        for piece in stream(store, job, wanted, after, encoder):
            output.write(piece)


def stream(store: Store, job: Job, wanted: Filter, after: int, encoder: Encoder) -> Iterator[bytes]:
    """Yield the results that follow an index as bytes, page by page.

    Memory stays the same however many there are, and no connection is held while nobody reads on: only two
    pages are prepared meanwhile. A page without results yields nothing, empty as it is: whoever reads can
    leave at each. Raises before the end, which would make a whole of it, if the job has lost results
    meanwhile: ``UsageError(job_unknown)`` if it was deleted, ``RequestError(job_changed)`` if it was over and
    is not over as it was.
    """
    model = store.models.get(job.model_id)
    yield encoder.begin()
    columns = _ahead(_pages(store, job, wanted, after))
    for page in _ahead(present(read.frame(), model) if len(read) else None for read in columns):
        yield b"" if page is None else encoder.encode(page)
    _check_unchanged(store, job)
    yield encoder.end()


def _pages(store: Store, job: Job, wanted: Filter, after: int) -> Iterator[Columns]:
    place: int | None = after
    while place is not None:
        columns, place = store.search.columns(job.id, wanted, place, ROW_GROUP)
        yield columns


def _ahead(pages: Iterator[T]) -> Iterator[T]:
    """Yield pages, and make the next one in a thread meanwhile: SQL and polars release Python's lock."""
    threads = ThreadPoolExecutor(1, "export")
    try:
        making = threads.submit(next, pages, _END)
        while (page := making.result()) is not _END:
            making = threads.submit(next, pages, _END)
            yield page  # type: ignore[misc]
    finally:
        # Whoever leaves does not wait for the page that nobody will read.
        threads.shutdown(wait=False, cancel_futures=True)


def _check_unchanged(store: Store, job: Job) -> None:
    """Look at a job again: its state changes before its results do."""
    found = store.jobs.get(job.id)
    if job.state.is_over and (found.state, found.finished_at) != (job.state, job.finished_at):
        raise RequestError(Code.JOB_CHANGED, f"job {job.id}")


@contextmanager
def open_output(target: str) -> Iterator[RowWriter]:
    """Give a writer for a file name, or for ``-``.

    Raises ``UsageError(output_unsupported)`` for an unknown ending, and
    ``ResourceError(output_unwritable)`` as soon as the file cannot be written.
    """
    encoder = _encoder_for(target)
    with open_stream(target) as output:
        writer = _FileWriter(output, encoder)
        yield writer
        writer.finish()


@contextmanager
def open_stream(target: str) -> Iterator[IO[bytes]]:
    """Give a stream of bytes into a file name, whatever its ending, or ``-``.

    Raises ``ResourceError(output_unwritable)`` as soon as the file cannot be written.
    """
    with _translated(target), _open(target) as stream:
        yield stream
        stream.flush()


def check_output(target: str) -> None:
    """Raise ``UsageError(output_unsupported)`` if the ending names no format."""
    _encoder_type(target)


def _encoder_for(target: str) -> Encoder:
    return _encoder_type(target)()


def _encoder_type(target: str) -> type[JsonLines | Csv | Parquet]:
    ending = ".jsonl" if target == STDOUT else os.path.splitext(target)[1].lower()
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise UsageError(Code.OUTPUT_UNSUPPORTED, f"{target}: its ending is none of {known}")
    return _ENDINGS[ending]


@contextmanager
def _translated(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads our output has seen enough: no failure
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(Code.OUTPUT_UNWRITABLE, f"{target}: {reason}") from error


@contextmanager
def _open(target: str) -> Iterator[IO[bytes]]:
    if target == STDOUT:
        with _standard_output() as stream:
            yield stream
    elif _is_special(Path(target)):
        with Path(target).open("wb") as stream:
            yield stream
    else:
        with _replacing(Path(target)) as stream:
            yield stream


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
    except BrokenPipeError:
        raise
    except OSError:
        # What is still buffered would be tried once more, and complained about, when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _is_special(path: Path) -> bool:
    """Tell whether there is a pipe or a device: a file must not take its place."""
    return path.exists() and not path.is_file()


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    target = Path(os.path.realpath(target))  # a link stays, and what it points to is replaced
    _remove_left_over(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _remove_left_over(target: Path) -> None:
    """Remove what processes that were killed had written for this target."""
    for part in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        process = part.name.split(".")[-2]
        if process.isdigit() and not Path("/proc", process).exists():
            part.unlink(missing_ok=True)
