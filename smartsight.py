"""The entry point of the command line `smartsight`; the commands are in `commands/`."""

import errno
import gc
import importlib
import io
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from commands.arguments import build_parser
from commands.options import did_you_mean
from commands.terminal import say, set_verbosity
from shared.errors import Code, ResourceError, SmartSightError, UsageError, code_of_write
from shared.settings import PREFIX, read_settings, unknown_variables, variables

#: Exit statuses, as the help text has them.
_FAILED, _USAGE, _INTERRUPTED, _TERMINATED = 1, 2, 130, 143
#: What the system says of a folder that may not be written.
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _repair_streams()
    options = build_parser().parse_args(arguments)
    # Nothing here is linear algebra: without this, NumPy starts a thread for each core, which takes time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    set_verbosity(options.verbosity)
    if not getattr(options, "as_child", False):
        _warn_of_unknown_settings()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status: int = load_handler(options)(options, read_settings(os.environ))
        return status
    except SmartSightError as error:
        say(f"smartsight: {error.code}: {error}", always=True)
        return _USAGE if isinstance(error, UsageError) else _FAILED
    except KeyboardInterrupt as interrupt:
        return _TERMINATED if isinstance(interrupt, Terminated) else _INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        # As of a temporary file, where nobody expects it: a full or read-only disk is no bug.
        detail = ": ".join(str(one) for one in (error.filename, error.strerror) if one)
        failure = ResourceError(code_of_write(error), detail)
        is_known = failure.code is Code.DISK_FULL or error.errno in _UNWRITABLE
        if not is_known and "temporary directory" not in detail:
            raise
        say(f"smartsight: {failure.code}: {failure}", always=True)
        return _FAILED


def _repair_streams() -> None:
    """Replace closed standard streams: the next file that is opened would get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show


def _warn_of_unknown_settings() -> None:
    """Name the variables that look like settings and are none."""
    for name in unknown_variables(os.environ):
        say(f"smartsight: {name} is not a setting{did_you_mean(name, variables(), PREFIX)}")


def load_handler(options: Namespace) -> Any:
    """Return the function of a command, importing its module only now: `classify` needs no database.

    What imports create lives on: collecting garbage meanwhile would take an eighth of their time in vain.
    """
    gc.disable()
    module, _, function = (options.handler or f"commands.{options.command}:run").partition(":")
    handler = getattr(importlib.import_module(module), function)
    gc.freeze()
    gc.enable()
    return handler


def _interrupt(number: int, _frame: object) -> NoReturn:
    """Let the command finish the work in progress; the second time, exit at once: the store is safe."""
    signal.signal(number, lambda *_: os._exit(128 + number))
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
