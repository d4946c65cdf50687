"""What `smartsight keys` can be asked for."""

import argparse

from commands.options import number
from results_api.access.caller import Scope

_SCOPES = (Scope.CLASSIFY, Scope.SUBMIT, Scope.READ)
_MOST = 10**12


def add_key_actions(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with keys."""
    parser.description = (
        "Make, list and revoke keys of the API. With the first one it asks everybody for a key."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_create(actions.add_parser("create", help="make a key, and print it this once"))
    actions.add_parser("list", help="show every key's number, last characters, limits and use")
    revoke = actions.add_parser("revoke", help="let keys be good for nothing from now on")
    revoke.add_argument("ids", nargs="+", type=number(int, 1, 2**31 - 1), metavar="ID", help="a key's number")


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a key and print it on standard output. It is not kept, and cannot be printed again."
    )
    parser.add_argument("name", help="whose it is, or what for")
    parser.add_argument(
        "--scope",
        nargs="+",
        default=list(_SCOPES),
        choices=[str(scope) for scope in Scope],
        help=f"what it allows: {', '.join(Scope)}, which is all, of everybody ({', '.join(_SCOPES)})",
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate", type=number(float, 0.001, 10_000), default=10.0, metavar="R", help="requests a second (10)"
    )
    parser.add_argument(
        "--burst",
        type=number(int, 1, 1_000_000),
        default=20,
        metavar="N",
        help="requests that may come at once (20)",
    )
    parser.add_argument(
        "--images-per-day",
        type=number(int, 0, _MOST),
        metavar="N",
        help="images that it may have classified and submit in a day, in UTC (any number)",
    )
    parser.add_argument(
        "--open-jobs",
        type=number(int, 0, 1_000_000),
        default=100,
        metavar="N",
        help="jobs that may be under way at a time (100)",
    )
    parser.add_argument(
        "--expires",
        type=number(float, 0.001, 36_500),
        metavar="DAYS",
        help="for how long it is good (for ever)",
    )
