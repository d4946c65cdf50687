"""The command line: every command, its options, and what the help says of them."""

import argparse

from commands.job_arguments import add_job_commands
from commands.options import (
    CommandParser,
    ShowVersion,
    add_classifier,
    add_json,
    add_output,
    add_remote,
    add_several,
    add_sources,
    add_workload,
    number,
    short_name,
)
from results_api.api_keys import Scope

DEFAULT_SCOPES = (Scope.CLASSIFY, Scope.SUBMIT, Scope.READ)
_MAX_IMAGES = 10**12


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = CommandParser("smartsight", description="Label images in bulk.")
    parser.set_defaults(verbosity="normal", handler=None)
    parser.add_argument("-V", "--version", nargs=0, action=ShowVersion, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands.add_parser("classify", help="print the best classes of a few images as JSON"))
    _add_label(commands.add_parser("label", help="label files, folders and lists on this machine"))
    _add_worker(commands.add_parser("worker", help="label the images of submitted jobs"))
    _add_api(commands.add_parser("api", help="serve the HTTP API"))
    _add_up(commands.add_parser("up", help="serve the HTTP API and label, in one process"))
    add_job_commands(commands)
    _add_keys(commands.add_parser("keys", help="create, list and revoke API keys"))
    _add_model(commands.add_parser("model", help="list, build, import and remove models"))
    _add_settings(commands.add_parser("settings", help="show the settings in force"))
    _add_migrate(commands.add_parser("migrate", help="create or upgrade the database's tables"))
    _add_completion(commands.add_parser("completion", help="print a shell completion script"))
    return parser


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.classify:run")
    parser.description = "Print the best classes of each image on standard output, as JSON."
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file; with --api also a URL")
    add_classifier(parser)
    add_remote(parser)


def _add_label(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Label images on this machine and store the results. If it is stopped, the same command resumes "
        "where it stopped."
    )
    add_sources(
        parser,
        "an image file, an http(s) URL, a folder (the images below it, by extension), a WARC file (.warc, "
        ".warc.gz: the images in it), or a list of images",
    )
    add_output(parser)
    parser.add_argument("--name", type=short_name, help="a name for the job")
    parser.add_argument("--db", metavar="URL", help="the database for results, such as sqlite:///labels.db")
    add_classifier(parser)


def _add_worker(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Label the images of submitted jobs until interrupted. On SIGTERM the worker finishes and stores "
        "the images in progress, then exits."
    )
    add_workload(parser)
    parser.add_argument(
        "--check",
        nargs="?",
        const="live",
        choices=("live", "ready"),
        help="check the health of the worker on this machine; exit 0 if healthy",
    )
    parser.add_argument("--as-child", action="store_true", help=argparse.SUPPRESS)


def _add_api(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve the HTTP API until interrupted. On SIGTERM the service finishes the requests in progress, "
        "then exits. Off loopback, every request needs an API key (`smartsight keys create`); on loopback "
        "only if a key exists."
    )
    _add_address(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="check the service on this machine; exit 0 if it is ready",
    )


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.api:run_with_worker")
    parser.description = (
        "Serve the HTTP API and label submitted jobs in one process, without a broker, until interrupted."
    )
    _add_address(parser)
    add_workload(parser)


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "-p",
        "--port",
        type=number(int, 0, 65535),
        default=8000,
        metavar="N",
        help="port to listen on; 0 picks a free one (default: 8000)",
    )
    parser.add_argument("--no-auth", action="store_true", help="answer every request without an API key")
    parser.add_argument(
        "--threads",
        type=number(int, 1, 1024),
        metavar="N",
        help="images classified at the same time (default: one for each core)",
    )


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Create, list and revoke API keys. Once there is a key, every request to the API needs one."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_key_creation(actions.add_parser("create", help="create a key and print it, once"))
    actions.add_parser("list", help="list the keys: number, last characters, limits and use")
    revoke = actions.add_parser("revoke", help="revoke keys, from now on")
    revoke.add_argument("ids", nargs="+", type=number(int, 1, 2**31 - 1), metavar="ID", help="a key's number")


def _add_key_creation(parser: argparse.ArgumentParser) -> None:
    parser.description = "Create a key and print it on standard output. It cannot be shown again."
    parser.add_argument("name", help="whose key it is, or what it is for")
    add_several(
        parser,
        "--scope",
        str,
        f"what the key allows; admin allows everything (default: {','.join(DEFAULT_SCOPES)})",
        choices=[str(scope) for scope in Scope],
    )
    for flag, kind, lowest, highest, default, help_text in (
        ("--rate", float, 0.001, 10_000, 10.0, "requests a second (default: 10)"),
        ("--burst", int, 1, 1_000_000, 20, "requests at once (default: 20)"),
        ("--images-per-day", int, 0, _MAX_IMAGES, None, "images a day, in UTC (default: no limit)"),
        ("--open-jobs", int, 0, 1_000_000, 100, "unfinished jobs at the same time (default: 100)"),
        ("--expires", float, 0.001, 36_500, None, "days until the key expires (default: never)"),
    ):
        convert = number(kind, lowest, highest)
        parser.add_argument(flag, type=convert, default=default, metavar="N", help=help_text)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.description = "List, build, import, describe and remove models."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_json(actions.add_parser("list", help="list every model"))
    for action, help_text in (
        ("build", "build a built-in model again"),
        ("info", "describe a model; a built-in one is built first if needed"),
        ("remove", "delete an imported model, or the built files of a built-in one"),
    ):
        named = actions.add_parser(action, help=help_text)
        named.add_argument("name", metavar="NAME", help="a name that `smartsight model list` shows")
    _add_import(actions.add_parser("import", help="import an image classifier of your own"))


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Import an image classifier. Loading a SavedModel can run arbitrary code: import only models that "
        "you trust."
    )
    parser.add_argument("path", metavar="FILE", help="a .keras file, a SavedModel folder or a .tflite file")
    parser.add_argument("--name", required=True, help="the model's new name")
    parser.add_argument(
        "--labels",
        required=True,
        metavar="FILE",
        help="a text file with one class in each line: its name, or WordNet id, tab, name",
    )
    parser.add_argument(
        "--range",
        choices=("signed", "unit", "bytes"),
        default="signed",
        help="pixel range that the network expects: -1 to 1 (signed), 0 to 1 (unit), 0 to 255 (bytes)",
    )
    parser.add_argument(
        "--crop",
        type=number(float, 0.01, 1),
        default=0.875,
        metavar="PART",
        help="part of the short side that is kept, centred (default: 0.875)",
    )
    parser.add_argument(
        "--side",
        type=number(int, 1, 4096),
        default=224,
        metavar="PIXELS",
        help="input side of a network that takes any size (default: 224)",
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.installation:show_settings")
    parser.description = (
        "Show every setting, its value, and whether that comes from the environment or is the default. "
        "Passwords and keys are hidden."
    )
    add_json(parser)


def _add_migrate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.installation:migrate")
    parser.description = "Create or upgrade the database's tables, as every command does when it starts."


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler="commands.installation:show_completion")
    parser.description = (
        'Print a completion script. bash: eval "$(smartsight completion bash)" in ~/.bashrc. zsh: '
        "smartsight completion zsh > ~/.zfunc/_smartsight, with that folder in fpath before compinit."
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell")
