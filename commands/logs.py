"""Logs of what runs unattended: an object a line, for whoever collects them."""

import logging
import sys

#: What a line has, beside the time and what is said of job and item.
_FIELDS = "%(levelname)s %(name)s %(message)s"


def log_as_json() -> None:
    """Write logs as JSON lines on standard error, unless somebody sits in front of it."""
    if sys.stderr.isatty():
        return
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(_FIELDS, timestamp=True, rename_fields={"levelname": "level", "name": "logger"})
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def quiet_logs() -> None:
    """Keep to ourselves what is not for whoever sits in front: the addresses behind a URL that is refused."""
    logging.getLogger("smartsight").setLevel(logging.ERROR)
