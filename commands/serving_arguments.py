"""What can be asked of the commands that answer over HTTP."""

import argparse

from commands.options import number


def add_api(parser: argparse.ArgumentParser) -> None:
    """Add the options of `smartsight api`."""
    parser.description = (
        "Answer over HTTP, until interrupted. SIGTERM ends it when what is in hand is answered. Without a "
        "key (`smartsight keys create`) it is open to all of this machine, and to nobody else."
    )
    add_address(parser)
    _add_threads(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="do not answer, but tell by the exit status whether a service on this machine is ready",
    )


def add_up(parser: argparse.ArgumentParser) -> None:
    """Add the options of `smartsight up`."""
    parser.description = (
        "Answer over HTTP and label what is submitted, in one process and without any server, until "
        "interrupted."
    )
    add_address(parser)
    _add_threads(parser)
    parser.add_argument(
        "--processes", type=number(int, 1, 1024), metavar="N", help="images labelled at a time (one a core)"
    )
    parser.add_argument(
        "--concurrency", type=number(int, 1, 1000), metavar="M", help="images fetched at a time (32)"
    )


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=number(int, 1, 1024), metavar="N", help="images classified at a time (one a core)"
    )


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add where to listen, and to whom."""
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1: this machine)"
    )
    parser.add_argument(
        "--port",
        type=number(int, 0, 65535),
        default=8000,
        metavar="N",
        help="the port; 0 takes a free one (8000)",
    )
    parser.add_argument("--no-auth", action="store_true", help="answer everybody, whoever can reach it")
