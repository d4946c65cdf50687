"""The one list that the API is handed, whatever a command is given."""

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from api_client.submissions import Options
from commands.sources import open_sources, reporting, what_was_looked_for
from producer.references import Reference, UrlEntries
from producer.sources import STDIN, is_list, read_sources
from shared.errors import Code, ResourceError


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A list file, the columns that count in it, and how many lines were left out of it here."""

    path: Path
    columns: Options
    left_out: int = 0


@contextmanager
def list_of(options: Namespace) -> Iterator[HandedIn]:
    """Give the list file that a command names, as it is; of all other sources make one."""
    if len(options.sources) == 1 and options.sources[0] != STDIN and is_list(options.sources[0]):
        columns: Options = {"column": options.column}
        if options.id_column:
            columns["id_column"] = options.id_column
        yield HandedIn(Path(options.sources[0]), columns)
    else:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
            left_out = _write(file, options)
            yield HandedIn(Path(file.name), {"column": "url", "id_column": "id"}, left_out)


def _write(file: IO[str], options: Namespace) -> int:
    """Write the URLs of all sources, and return how many lines hold none."""
    try:
        with open_sources(options) as sources:
            filtered = UrlEntries(read_sources(sources))
            listed = (entry for entry in reporting(filtered) if isinstance(entry, Reference))
            file.writelines(json.dumps({"url": entry.ref, "id": entry.custom_id}) + "\n" for entry in listed)
        file.flush()
    except OSError as error:
        detail = f"the list for the API, kept in {tempfile.gettempdir()}: {error.strerror}"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    if not file.tell():
        raise ResourceError(Code.NOTHING_TO_LABEL, what_was_looked_for(options.sources))
    return filtered.malformed
