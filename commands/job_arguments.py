"""Options of the commands on jobs and hosts, which work on the database here or on an API."""

import argparse
from typing import Any

from commands.options import (
    MAX_ID,
    add_json,
    add_model,
    add_output,
    add_remote,
    add_several,
    add_sources,
    error_code,
    number,
    short_name,
)

_STATES = ("succeeded", "failed", "skipped", "cancelled")


def add_job_commands(commands: Any) -> None:
    """Add the commands that submit jobs, show them and control them, and those on hosts."""
    _add_submit(commands.add_parser("submit", help="record a job and publish it to the workers"))
    _add_jobs(commands.add_parser("jobs", help="list the jobs, or describe one"))
    _add_job_command(commands, "watch", "show the progress of a job until it is over")
    _add_filters(_add_job_command(commands, "results", "write the results of a job", "commands.results:run"))
    report = "write a report of a job and its failures, as a page and as JSON"
    _add_report_output(_add_job_command(commands, "report", report, "commands.report:run"))
    _add_job_command(commands, "cancel", "stop a job for good; its results are kept")
    _add_codes(_add_job_command(commands, "retry", "try the failed images of a job again"))
    _add_job_command(commands, "give-up", "end the images that wait for another try, with their last error")
    _add_failure_rate(_add_job_command(commands, "resume", "resume a paused job"))
    _add_job_command(commands, "delete", "delete a job that is over, with its results")
    _add_hosts(commands.add_parser("hosts", help="list hosts and their state; block or release one"))


def _add_job_command(commands: Any, name: str, what: str, handler: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(handler=handler or f"commands.jobs:{name.replace('-', '_')}")
    parser.add_argument("job", type=number(int, 1, MAX_ID), metavar="ID", help="a job's number")
    add_remote(parser)
    return parser


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.jobs:show_jobs")
    parser.description = "List the newest jobs, or describe one."
    parser.add_argument("job", nargs="?", type=number(int, 1, MAX_ID), metavar="ID", help="a job's number")
    parser.add_argument(
        "--before", type=number(int, 1, MAX_ID), metavar="ID", help="list jobs older than this one"
    )
    add_json(parser)
    add_remote(parser)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.submit:run")
    parser.description = (
        "Record a job and publish it to the workers. Its number is printed at once, on standard output."
    )
    add_sources(parser, "an http(s) URL, a list of URLs")
    parser.add_argument("--name", type=short_name, help="a name for the job")
    add_model(parser)
    _add_failure_rate(parser)
    parser.add_argument(
        "--priority",
        choices=("low", "normal", "high"),
        default="normal",
        help="workers take jobs with a higher priority first (default: normal)",
    )
    parser.add_argument(
        "--webhook",
        metavar="URL",
        help="with --api: call this https URL when the job is over; prints the secret that signs the call",
    )
    parser.add_argument(
        "--idempotency-key",
        type=short_name,
        metavar="KEY",
        help="a name for this submission; with the same key the command resumes where it stopped",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="record nothing; fetch and label a sample, and estimate the whole list",
    )
    parser.add_argument(
        "--sample",
        type=number(int, 1, 10_000),
        default=200,
        metavar="N",
        help="images in the sample of a dry run (default: 200)",
    )
    add_remote(parser)


def _add_failure_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-failure-rate",
        type=number(float, 0, 1),
        metavar="RATE",
        help="pause the job when more than this part of its images fails, such as 0.2",
    )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    parser.add_argument("--state", choices=_STATES, help="only images that ended in this state")
    parser.add_argument("--code", type=error_code, metavar="CODE", help="only failures with this error code")
    parser.add_argument(
        "--class",
        dest="class_",
        metavar="CLASS",
        help="only images whose best class is this: a WordNet id, a number, or words of its name",
    )
    parser.add_argument(
        "--min-score",
        type=number(float, 0, 1),
        metavar="SCORE",
        help="only images whose best class has at least this score",
    )
    parser.add_argument("--host", metavar="HOST", help="only images of this host")


def _add_report_output(parser: argparse.ArgumentParser) -> None:
    files = "write only this .html or .json file; - for JSON on stdout (default: report-ID.html and .json)"
    parser.add_argument("-o", "--output", metavar="FILE", help=files)


def _add_codes(parser: argparse.ArgumentParser) -> None:
    help_text = "only failures with this error code (default: all transient ones)"
    add_several(parser, "--code", error_code, help_text, metavar="CODE", default=[])


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.hosts:run")
    parser.description = (
        "List the hosts that images are fetched from, and their state. Blocked hosts are not requested; "
        "releasing a host resets its state."
    )
    parser.add_argument("action", nargs="?", choices=("block", "release"), help="what to do with the hosts")
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="a host name, such as images.example.com")
    parser.add_argument("--after", metavar="HOST", help="list the hosts after this one")
    add_json(parser)
    add_remote(parser)
