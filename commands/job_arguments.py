"""What can be asked for on the command line about jobs: here, and over the API."""

import argparse
from collections.abc import Callable
from typing import Any

from api_client.origin import checked_origin
from commands.options import number
from shared.errors import Code, UsageError

_MAX_ID = 2**63 - 1
#: What looks into the results themselves stays with the database.
_NOT_OVER_API = ("report",)


def add_job_commands(commands: Any) -> None:
    """Add the commands that make jobs, show them and steer them."""
    _add_submit(commands.add_parser("submit", help="record a job for the workers, and publish it"))
    _add_jobs(commands.add_parser("jobs", help="list the jobs, or describe one"))
    for name, what in (
        ("watch", "follow a job until it is over"),
        ("results", "write a job's results"),
        ("report", "tell what a job came to and why, as a page and as JSON"),
        ("cancel", "stop a job for good; what was done stays"),
        ("retry", "try again what failed"),
        ("resume", "go on with a paused job"),
    ):
        parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        parser.add_argument("job", type=number(int, 1, _MAX_ID), metavar="ID", help="a job's number")
        if name in _JOB_OPTIONS:
            _JOB_OPTIONS[name](parser)
        if name not in _NOT_OVER_API:
            add_over_api(parser)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?", type=number(int, 1, _MAX_ID), metavar="ID", help="a job's number")
    parser.add_argument(
        "--before", type=number(int, 1, _MAX_ID), metavar="ID", help="list older ones than this"
    )
    add_over_api(parser)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Record a job in the database and publish it to the workers. The job's number is printed at once, "
        "on standard output."
    )
    add_sources(parser, "an http(s) URL, a list of URLs")
    parser.add_argument("--name", help="what people call the job")
    parser.add_argument("--model", metavar="NAME", help="a name that `smartsight model list` shows (lite0)")
    _add_failure_rate(parser)
    parser.add_argument(
        "--priority",
        choices=("low", "normal", "high"),
        default="normal",
        help="jobs with a higher one go first (normal)",
    )
    parser.add_argument(
        "--webhook",
        metavar="URL",
        help="with --api: tell this https URL when the job is over; the secret that signs it is printed",
    )
    parser.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="names this submission: the same command with the same key goes on where it was stopped",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="record nothing; fetch and label a sample, and tell what to expect of the whole",
    )
    parser.add_argument(
        "--sample", type=number(int, 1, 10_000), default=200, metavar="N", help="images of a dry run (200)"
    )
    add_over_api(parser)


def add_sources(parser: argparse.ArgumentParser, what: str) -> None:
    """Let a command take lists, and ``what`` else."""
    lists = "(.txt, .csv, .tsv, .jsonl, each also .gz; .parquet), or - for a list on standard input"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=f"{what} {lists}")
    parser.add_argument("--column", default="url", help="column of a list that holds the reference (url)")
    parser.add_argument("--id-column", help="column that comes back as custom_id")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Let a command write results to a file."""
    parser.add_argument(
        "--output", metavar="FILE", help="write .jsonl, .csv or .parquet; - for JSONL on stdout"
    )


def add_over_api(parser: argparse.ArgumentParser) -> None:
    """Let a command ask the API instead of the database of this machine's settings."""
    parser.add_argument(
        "--api",
        nargs="?",
        const="",
        type=_api_url,
        metavar="URL",
        help="ask the API there (SMARTSIGHT_API_URL), showing it the key in SMARTSIGHT_API_KEY",
    )


def _add_failure_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-failure-rate",
        type=number(float, 0, 1),
        metavar="RATE",
        help="pause the job when more than this part of its images fails, such as 0.2",
    )


def _add_report_output(parser: argparse.ArgumentParser) -> None:
    files = "write this .html or .json alone; - for JSON on stdout (report-ID.html and report-ID.json here)"
    parser.add_argument("--output", metavar="FILE", help=files)


def _add_codes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--code",
        nargs="+",
        default=[],
        type=_code,
        metavar="CODE",
        help="only failures with these codes; without it, all whose cause may have passed",
    )


def _code(text: str) -> Code:
    try:
        return Code(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no code; docs/errors.md has them all") from None


def _api_url(text: str) -> str:
    """Read the URL of an API; without one, that of the settings is meant."""
    try:
        return checked_origin(text) if text else ""
    except UsageError:
        detail = f"{text!r} is not http(s)://HOST:PORT; without a URL, --api comes last"
        raise argparse.ArgumentTypeError(detail) from None


_JOB_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "results": add_output,
    "report": _add_report_output,
    "retry": _add_codes,
    "resume": _add_failure_rate,
}
