"""The parser of all commands, the types of its values, and the options that several commands share."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from shared.errors import UNPRINTABLE, Code, UsageError, printable
from shared.list_formats import KNOWN
from shared.server_urls import without_password
from shared.settings import parse_setting

#: Largest id of a job.
MAX_ID = 2**63 - 1
_ENGINES = ("auto", "litert", "tensorflow")
#: Longest name of a job, in characters.
_LONGEST_NAME = 200
#: What follows ``--api`` and is meant as its URL, well-formed or not.
_LIKE_URL = re.compile(r".*://|[\w.-]+:[0-9]+|\[|localhost")
#: What exit status 0 and 1 of a command mean, where that is more than success and failure.
_STATUSES = {
    "classify": ("every image was classified", "some were not"),
    "label": ("every image has a label", "some have none, or lines were left out"),
    "submit": ("everything was recorded, or estimated", "lines were left out"),
    "watch": ("every image has a label", "some have none, or the job did not complete"),
    "worker": ("stopped as told, or healthy with --check", "not healthy"),
    "api": ("stopped as told, or ready with --check", "not ready"),
    "up": ("stopped as told", "failure"),
}
#: What the other exit statuses of every command mean.
OTHER_STATUSES = "2 wrong usage or setting, 130 interrupted, 143 terminated"


def exit_statuses(command: str) -> tuple[str, str]:
    """Return what exit status 0 and 1 of a command mean; 1 is also any failure, such as of the database."""
    return _STATUSES.get(command, ("success", "failure"))


class CommandParser(argparse.ArgumentParser):
    """Takes --verbose and --quiet before and after a command, and names what a mistyped word may mean."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        zero, one = exit_statuses("".join(self.prog.split()[1:2]))
        also = "" if one == "failure" else " or failure"
        self.epilog = f"Exit status: 0 {zero}, 1 {one}{also}, {OTHER_STATUSES}."
        for flags, help_text in (
            (("-v", "--verbose"), "log more, also what libraries do"),
            (("-q", "--quiet"), "print errors only on standard error"),
        ):
            self.add_argument(
                *flags,
                dest="verbosity",
                action="store_const",
                const=flags[1].removeprefix("--"),
                default=argparse.SUPPRESS,  # or a subcommand's default would replace what came before it
                help=help_text,
            )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as ``argparse`` does, but refuse an unknown option here, where the known ones are at hand.

        ``--api`` takes the next word only if that is like a URL: a job's number or a file is not.
        """
        words = sys.argv[1:] if args is None else list(args)
        for place, word in enumerate(words):
            if word == "--api" and not _LIKE_URL.match("".join(words[place + 1 : place + 2])):
                words[place] = "--api="
        parsed, unknown = super().parse_known_args(words, namespace)
        for word in unknown:
            if word.startswith("-"):
                name = word.partition("=")[0]
                self.error(f"unrecognized arguments: {word}{did_you_mean(name, self._option_string_actions)}")
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            if action.choices is not None and one not in action.choices:
                names = [str(choice) for choice in action.choices]
                hint = did_you_mean(str(one), names)
                detail = f"invalid choice: {one!r}{hint} (choose from {', '.join(names)})"
                raise argparse.ArgumentError(action, detail)


def did_you_mean(word: str, known: Collection[str], prefix: str = "") -> str:
    """Return `; did you mean ...?` with the nearest of the known words, or nothing if none is near.

    What all of them begin with does not make them near.
    """
    import difflib

    rests = [one.removeprefix(prefix) for one in known]
    near = difflib.get_close_matches(word.removeprefix(prefix), rests, n=1)
    return f"; did you mean '{prefix}{near[0]}'?" if near else ""


class ShowVersion(argparse.Action):
    """Prints the version and exits, looking it up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print on standard output."""
        from importlib.metadata import version

        print(f"{parser.prog} {version('smartsight')}")
        parser.exit()


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return a type for a number from ``low`` to ``high``, both included."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return number

    return read


def like_setting(name: str) -> Callable[[str], Any]:
    """Return a type for what a setting may be, too."""

    def read(text: str) -> Any:
        try:
            return parse_setting(name, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return read


def add_several(
    parser: argparse.ArgumentParser, flag: str, kind: Callable[[str], Any], help_text: str, **options: Any
) -> None:
    """Add an option that may be given several times, or several values between commas.

    Like every option it takes one word: with ``nargs`` it would swallow the arguments that follow.
    """
    parser.add_argument(
        flag,
        action="extend",
        type=lambda text: [kind(word.strip()) for word in text.split(",")],
        help=f"{help_text}; several: with commas, or again",
        **options,
    )


def short_name(text: str) -> str:
    """Read a name of a job or a submission, as the API takes it: a line of 200 characters at most."""
    if not text or len(text) > _LONGEST_NAME or UNPRINTABLE.search(text):
        detail = f"{printable(text)!r} is not one line of 1 to {_LONGEST_NAME} characters"
        raise argparse.ArgumentTypeError(detail)
    return text


def error_code(text: str) -> Code:
    """Read one of our error codes."""
    try:
        return Code(text)
    except ValueError:
        hint = did_you_mean(text, list(Code))
        raise argparse.ArgumentTypeError(f"{text!r} is not an error code{hint} (docs/errors.md)") from None


def api_url(text: str) -> str:
    """Read the URL of an API; empty means that of the settings."""
    from api_client.connection import checked_base_url

    try:
        return checked_base_url(text) if text else ""
    except UsageError:
        detail = f"{without_password(text)!r} is not http(s)://HOST:PORT; without a URL, --api comes last"
        raise argparse.ArgumentTypeError(detail) from None


def add_sources(parser: argparse.ArgumentParser, what: str) -> None:
    """Add lists of references, and ``what`` else the command takes."""
    lists = f"({KNOWN}), or - for a list on standard input"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=f"{what} {lists}")
    parser.add_argument(
        "-c", "--column", default="url", help="column of a list that holds the reference (default: url)"
    )
    parser.add_argument("--id-column", help="column of a list that is returned as custom_id")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the file that results are written to."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write .jsonl, .csv or .parquet; - for JSON Lines on stdout"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add output as one JSON document, for programs."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add the API to use instead of the database of this machine's settings."""
    parser.add_argument(
        "--api",
        nargs="?",
        const="",
        type=api_url,
        metavar="URL",
        help="use this API, or that of SMARTSIGHT_API_URL, with the key in SMARTSIGHT_API_KEY",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model that labels."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="NAME",
        help="a name that `smartsight model list` shows (default: SMARTSIGHT_MODEL, else lite0)",
    )


def add_classifier(parser: argparse.ArgumentParser) -> None:
    """Add the model, its engine, and how many classes are wanted of it."""
    add_model(parser)
    parser.add_argument(
        "--engine", choices=_ENGINES, default="auto", help="what runs the model (default: auto)"
    )
    parser.add_argument(
        "-n",
        "--top",
        type=number(int, 1, 1000),
        default=5,
        metavar="N",
        help="classes for each image (default: 5)",
    )


def add_workload(parser: argparse.ArgumentParser) -> None:
    """Add how much a worker does at the same time."""
    parser.add_argument(
        "--processes",
        type=number(int, 1, 1024),
        metavar="N",
        help="processes that label (default: one for each core)",
    )
    parser.add_argument(
        "--concurrency",
        type=like_setting("concurrency"),
        metavar="N",
        help="images that a process fetches at the same time (default: SMARTSIGHT_CONCURRENCY, else 32)",
    )
