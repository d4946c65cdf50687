"""What can be asked for on the command line about jobs: here, and over the API."""

import argparse
from collections.abc import Callable
from typing import Any

from commands.options import (
    MAX_ID,
    add_model,
    add_output,
    add_over_api,
    add_sources,
    error_code,
    number,
)

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
        parser.add_argument("job", type=number(int, 1, MAX_ID), metavar="ID", help="a job's number")
        if name in _JOB_OPTIONS:
            _JOB_OPTIONS[name](parser)
        if name not in _NOT_OVER_API:
            add_over_api(parser)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?", type=number(int, 1, MAX_ID), metavar="ID", help="a job's number")
    parser.add_argument(
        "--before", type=number(int, 1, MAX_ID), metavar="ID", help="list older ones than this"
    )
    add_over_api(parser)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Record a job in the database and publish it to the workers. The job's number is printed at once, "
        "on standard output."
    )
    add_sources(parser, "an http(s) URL, a list of URLs")
    parser.add_argument("--name", help="what people call the job")
    add_model(parser)
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


def _add_failure_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-failure-rate",
        type=number(float, 0, 1),
        metavar="RATE",
        help="pause the job when more than this part of its images fails, such as 0.2",
    )


def _add_report_output(parser: argparse.ArgumentParser) -> None:
    files = "write this .html or .json alone; - for JSON on stdout (report-ID.html and report-ID.json here)"
    parser.add_argument("-o", "--output", metavar="FILE", help=files)


def _add_codes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--code",
        nargs="+",
        default=[],
        type=error_code,
        metavar="CODE",
        help="only failures with these codes; without it, all whose cause may have passed",
    )


_JOB_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "results": add_output,
    "report": _add_report_output,
    "retry": _add_codes,
    "resume": _add_failure_rate,
}
