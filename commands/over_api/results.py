"""`smartsight results ID --api`: the results that a job of the API has so far."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

from commands.over_api.asking import described, open_client
from commands.results import tell_missing
from commands.terminal import ResultLines
from results_api.exports import check_output, open_output
from results_api.rows import Row
from shared.settings import Settings

#: Rows written at a time.
_AT_ONCE = 500


def run(options: Namespace, settings: Settings) -> int:
    """Write the results in the order of the references; those that are missing yet are left out."""
    if options.output:
        check_output(options.output)
    with open_client(options, settings) as client:
        client.job(options.job)  # before a file takes the place of another
        with open_output(options.output) if options.output else nullcontext(ResultLines()) as writer:
            for rows in _in_pieces(client.results(options.job)):
                writer.write(rows)
        job = client.job(options.job)
        tell_missing(described(job, options))
    return 0


def _in_pieces(rows: Iterable[dict[str, Any]]) -> Iterator[list[Row]]:
    known = iter(rows)
    while piece := list(islice(known, _AT_ONCE)):
        yield piece
