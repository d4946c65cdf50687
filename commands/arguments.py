"""What can be asked for on the command line."""

import argparse

from commands.job_arguments import add_job_commands, add_output, add_over_api, add_sources
from commands.key_arguments import add_key_actions
from commands.options import number
from commands.serving_arguments import add_api, add_up

_ENGINES = ("auto", "litert", "tensorflow")
_EPILOG = "Exit status: 0 all labelled, 1 some not or a failure, 2 wrong usage."


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser("smartsight", description="Label images in bulk.", epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands.add_parser("classify", help="print the best classes of a few images as JSON"))
    _add_label(commands.add_parser("label", help="label files, folders and lists on this machine"))
    _add_worker(commands.add_parser("worker", help="label what is submitted"))
    add_api(commands.add_parser("api", help="answer over HTTP"))
    add_up(commands.add_parser("up", help="answer over HTTP and label, in one process"))
    add_job_commands(commands)
    _add_hosts(commands.add_parser("hosts", help="show how hosts stand; block or release one"))
    add_key_actions(commands.add_parser("keys", help="make, list and revoke keys of the API"))
    commands.add_parser("migrate", help="bring the database's tables up to date")
    _add_model(commands.add_parser("model", help="list, build and import models"))
    return parser


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the best classes of each image on standard output, as JSON."
    parser.epilog = _EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file")
    _add_model_options(parser)
    add_over_api(parser)


def _add_label(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Label images and store the results. Stopped half way, the same command goes on where it was."
    )
    parser.epilog = _EPILOG
    add_sources(
        parser,
        "an image file, an http(s) URL, a folder (images below it, by their endings), a WARC file (.warc, "
        ".warc.gz: the images in it), a list of images",
    )
    add_output(parser)
    parser.add_argument("--db", metavar="URL", help="where results are kept, such as sqlite:///labels.db")
    _add_model_options(parser)


def _add_worker(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Label what is submitted, until interrupted. SIGTERM ends it when what is in hand is stored."
    )
    parser.add_argument(
        "--processes", type=number(int, 1, 1024), metavar="N", help="processes that label (one a core)"
    )
    parser.add_argument(
        "--concurrency",
        type=number(int, 1, 1000),
        metavar="M",
        help="images that a process fetches at the same time (32)",
    )
    parser.add_argument(
        "--check",
        nargs="?",
        const="live",
        choices=("live", "ready"),
        help="do not work, but tell by the exit status whether a worker on this machine is well",
    )
    parser.add_argument("--as-child", action="store_true", help=argparse.SUPPRESS)


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show how the fleet stands with the hosts that it calls. A blocked host is not called any more; a "
        "released one is called again, and what it did before is forgotten."
    )
    parser.add_argument("action", nargs="?", choices=("block", "release"), help="what to do with hosts")
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="a host name, such as images.example.com")
    parser.add_argument("--after", metavar="HOST", help="list those that come after this one")


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top", type=number(int, 1, 1000), default=5, metavar="N", help="classes an image (5)"
    )
    parser.add_argument("--model", metavar="NAME", help="a name that `smartsight model list` shows (lite0)")
    parser.add_argument("--engine", choices=_ENGINES, default="auto", help="what runs the model (auto)")


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
        type=number(float, 0.01, 1),
        default=0.875,
        help="centre part of the short side to look at (0.875)",
    )
    parser.add_argument(
        "--side",
        type=number(int, 1, 4096),
        default=224,
        help="input side, for a network that takes any size (224)",
    )
