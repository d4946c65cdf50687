"""The command line `smartsight`: what can be asked for. What each command does is in `commands/`."""

import argparse
import gc
import importlib
import io
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from commands.messages import say
from shared.errors import SmartSightError, UsageError
from shared.settings import read_settings

#: Exit statuses: see the help text.
_FAILED, _USAGE, _INTERRUPTED, _TERMINATED = 1, 2, 130, 143

_ENGINES = ("auto", "litert", "tensorflow")
_EPILOG = "Exit status: 0 all labelled, 1 some not or a failure, 2 wrong usage."


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _repair_streams()
    options = build_parser().parse_args(arguments)
    # Nothing here is linear algebra: without this, NumPy starts a thread a core, and each costs time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("smartsight").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status: int = _load(options.command).run(options, read_settings(os.environ))
        return status
    except SmartSightError as error:
        say(f"smartsight: {error.code}: {error}")
        return _USAGE if isinstance(error, UsageError) else _FAILED
    except KeyboardInterrupt as interrupt:
        return _TERMINATED if isinstance(interrupt, Terminated) else _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _repair_streams() -> None:
    """Make standard streams safe: one that is closed would be taken by the next file that is opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show


def _load(command: str) -> Any:
    """Import the module of a command, and only now: `smartsight classify` needs no database.

    What an import makes stays, so that looking through it for garbage is lost time, an eighth of it.
    """
    gc.disable()
    module = importlib.import_module(f"commands.{command}")
    gc.freeze()
    gc.enable()
    return module


def _interrupt(number: int, _frame: object) -> NoReturn:
    """Let the command finish what is in hand; the second time, leave at once: the store is safe."""
    signal.signal(number, lambda *_: os._exit(128 + number))
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser("smartsight", description="Label images in bulk.", epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands.add_parser("classify", help="print the best classes of a few images as JSON"))
    _add_label(commands.add_parser("label", help="label files, folders and lists on this machine"))
    _add_model(commands.add_parser("model", help="list, build and import models"))
    return parser


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the best classes of each image on standard output, as JSON."
    parser.epilog = _EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file")
    _add_model_options(parser)


def _add_label(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Label images and store the results. Stopped half way, the same command goes on where it was."
    )
    parser.epilog = _EPILOG
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="an image file, an http(s) URL, a folder (images below it, by their endings), a list of paths "
        "and URLs (.txt, .csv, .tsv, .jsonl, each also .gz; .parquet), or - for a list on standard input",
    )
    parser.add_argument("--column", default="url", help="column of a list that holds the reference (url)")
    parser.add_argument("--id-column", help="column that comes back as custom_id")
    parser.add_argument(
        "--output", metavar="FILE", help="write .jsonl, .csv or .parquet; - for JSONL on stdout"
    )
    parser.add_argument("--db", metavar="URL", help="where results are kept, such as sqlite:///labels.db")
    _add_model_options(parser)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top", type=_number(int, 1, 1000), default=5, metavar="N", help="classes an image (5)"
    )
    parser.add_argument("--model", metavar="NAME", help="a name that `smartsight model list` shows (lite0)")
    parser.add_argument("--engine", choices=_ENGINES, default="auto", help="what runs the model (auto)")


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number above or at ``low``, up to ``high``."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low} to {high}")
        return number

    return read


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.description = "List, build, import and describe models."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show every model")
    build = actions.add_parser("build", help="build a built-in model anew")
    build.add_argument("name", help="lite0, lite1 or lite2")
    info = actions.add_parser("info", help="describe a model, building it if need be")
    info.add_argument("name", help="a name that `smartsight model list` shows")
    _add_import(actions.add_parser("import", help="make a model of a network of your own"))


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Import an image classifier. A SavedModel can run any operation when it is loaded: import only "
        "what you trust."
    )
    parser.add_argument("path", help="a .keras file, a SavedModel folder or a .tflite file")
    parser.add_argument("--name", required=True, help="what to call it")
    parser.add_argument(
        "--labels", required=True, help="a text file, a class a line: its name, or WordNet id, tab, name"
    )
    parser.add_argument(
        "--range",
        choices=("signed", "unit", "bytes"),
        default="signed",
        help="what the network takes a pixel as: -1 to 1 (signed), 0 to 1 (unit), 0 to 255 (bytes)",
    )
    parser.add_argument(
        "--crop",
        type=_number(float, 0.01, 1),
        default=0.875,
        help="centre part of the short side to look at (0.875)",
    )
    parser.add_argument(
        "--side",
        type=_number(int, 1, 4096),
        default=224,
        help="input side, for a network that takes any size (224)",
    )


if __name__ == "__main__":
    sys.exit(main())
