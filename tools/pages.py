"""Generate the pages of ``docs/`` that come from several parts of the code: `make docs`."""

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from commands.arguments import build_parser
from commands.options import OTHER_STATUSES, exit_statuses
from results_api.service.error_responses import status_of
from shared.errors import Code, state_of

_DOCS = Path(__file__).parents[1] / "docs"


def write_pages() -> None:
    """Write all of them."""
    for name, page in pages().items():
        (_DOCS / name).write_text(page, "utf-8")


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {"errors.md": _errors(), "limits.md": _limits(), "commands.md": _commands()}


_ERRORS = """# Error codes

Written by `make docs` from `shared/errors.py`.

## Of images

The result of an image without a label has one of these codes, and the state beside it. What is retried is
tried again a few times (`SMARTSIGHT_RETRY_DELAYS`) before the image ends so, and by `smartsight retry`. The
HTTP status is that of `POST /v1/classify`.

| code | meaning | state | retried | HTTP status |
|---|---|---|---|---|
{items}

## Of requests and commands

The HTTP status is that of an answer of the API with this error. A command prints the code and ends with
status 1, or with 2 where its arguments or settings must be changed.

| code | meaning | may be retried | HTTP status |
|---|---|---|---|
{others}
"""


def _errors() -> str:
    items = (
        f"| `{code}` | {code.sentence} | {state_of(code)} | {_yes(code.transient)} | {status_of(code)} |"
        for code in Code
        if state_of(code)
    )
    others = (
        f"| `{code}` | {code.sentence} | {_yes(code.transient)} | {status_of(code)} |"
        for code in Code
        if not state_of(code)
    )
    return _ERRORS.format(items="\n".join(items), others="\n".join(others))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


class Limit(NamedTuple):
    """A limit that no setting changes: ``what`` of it, the constant that is it, and its unit.

    The constant may be the default of a dataclass's field: ``Class.field``.
    """

    what: str
    module: str
    constant: str
    unit: str = ""


#: By their place in a crawl; a constant that is gone fails `make docs` and its test.
LIMITS = {
    "Lists": [
        Limit("longest reference", "producer.references", "_MAX_LENGTH", "characters"),
        Limit("longest line", "producer.text_lists", "_MAX_LINE", "bytes"),
        Limit("longest row of a table", "producer.tables", "_MAX_ROW", "bytes"),
        Limit("URLs of a job in JSON", "results_api.service.job_models", "MAX_URLS"),
        Limit("job in JSON", "results_api.service.request_bodies", "_MAX_JSON_LIST", "bytes"),
        Limit("lines of a submitted list", "shared.budgets", "ListBudget.lines"),
        Limit("malformed lines of a submitted list", "shared.budgets", "ListBudget.malformed"),
        Limit("processor time to read one", "shared.budgets", "ListBudget.seconds", "seconds"),
        Limit("memory to read one", "shared.budgets", "ListBudget.memory", "bytes"),
        Limit("processes that a list may kill before its job fails", "producer.recorder", "_CRASHES"),
        Limit("lists recorded at once, by a process", "producer.recorder", "_AT_ONCE"),
        Limit("malformed lines that are kept", "producer.recorder", "_KEPT"),
        Limit("header of a WARC record", "shared.warc", "_MAX_HEADERS", "bytes"),
    ],
    "Fetching": [
        Limit("longest URL", "shared.fetching.guard", "_MAX_LENGTH", "characters"),
        Limit("head of a response", "shared.fetching.responses", "MAX_HEAD", "bytes"),
        Limit("redirects", "worker.fetching", "_MAX_REDIRECTS"),
        Limit("time to connect", "shared.fetching.session", "_CONNECT_TIMEOUT", "seconds"),
        Limit("robots.txt that is read", "worker.fetching", "_MAX_ROBOTS_BYTES", "bytes"),
        Limit("longest pause that robots.txt may ask for", "shared.fetching.robots", "MAX_DELAY", "seconds"),
        Limit("failures in a row before a host is backed off", "worker.politeness", "_FAILURES"),
        Limit("longest `Retry-After` of a host", "worker.politeness", "_LONGEST_RETRY_AFTER", "seconds"),
    ],
    "Images": [
        Limit("longest side", "shared.images", "_MAX_SIDE", "pixels"),
        Limit("scans of a progressive JPEG", "shared.image_content.jpeg", "_MAX_SCANS"),
        Limit("processor time to decode", "shared.decoding.decoder", "_CPU_LIMIT", "seconds"),
        Limit("time to decode", "shared.decoding.decoder", "_LONGEST", "seconds"),
        Limit("workers that an image may kill when it is tried alone", "worker.poison", "_TRIALS"),
    ],
    "API": [
        Limit("files of a form", "results_api.service.request_bodies", "_MAX_FILES"),
        Limit("fields of a form", "results_api.service.request_bodies", "_MAX_FIELDS"),
        Limit("URLs that are fetched for `/v1/classify` at once", "results_api.service.services", "_FETCHES"),
        Limit("of these, for one key or address", "results_api.service.services", "_FETCHES_EACH"),
        Limit("event streams at once, of a process", "results_api.service.services", "_STREAMS"),
        Limit("of these, for one key or address", "results_api.service.services", "_STREAMS_EACH"),
        Limit("summaries made at once, of a process", "results_api.service.services", "_SUMMARIES"),
        Limit("long JSON bodies validated at once", "results_api.service.services", "_LONG_BODIES"),
        Limit("waiting for these, of one key or address", "results_api.service.services", "_WAITING_EACH"),
        Limit("time of a readiness check", "results_api.service.monitoring", "_TIMEOUT", "seconds"),
        Limit("space that must be left on the disk to be ready", "commands.serving_parts", "_SPACE", "bytes"),
    ],
    "Webhooks": [
        Limit("time for the answer", "shared.fetching.posting", "_TIMEOUT", "seconds"),
        Limit("answer that is read", "shared.fetching.posting", "_MAX_ANSWER", "bytes"),
        Limit("called at once, by a process", "results_api.webhooks", "_CONCURRENCY"),
    ],
    "Database": [
        Limit("time for the answer to a statement", "shared.store.postgres", "_ANSWER_TIMEOUT", "seconds"),
        Limit("wait for another writer of SQLite", "shared.store.sqlite", "_BUSY_TIMEOUT", "seconds"),
    ],
}

_LIMITS = """# Fixed limits

What no setting changes, written by `make docs` from the code. [settings.md](settings.md) has the limits that
settings do change.
"""


def _limits() -> str:
    sections = (
        f"## {title}\n\n| limit | value |\n|---|---|\n{_rows(limits)}" for title, limits in LIMITS.items()
    )
    return "\n".join([_LIMITS, *sections])


def _rows(limits: list[Limit]) -> str:
    return "".join(f"| {limit.what} | {_value(limit)} |\n" for limit in limits)


def _value(limit: Limit) -> str:
    name, _, member = limit.constant.partition(".")
    number = getattr(importlib.import_module(limit.module), name)
    if member:
        number = number.__dataclass_fields__[member].default
    return f"{number:,.15g} {limit.unit}".strip()


_COMMANDS = """# Commands

Written by `make docs` from the command line; `smartsight COMMAND --help` explains each. Exit status 1 is also
any failure, such as of the database. The others are the same everywhere: {others}.

| command | what it does | 0 means | 1 means |
|---|---|---|---|
{rows}
"""


def _commands() -> str:
    rows = "\n".join(_command_rows(build_parser()))
    return _COMMANDS.format(others=OTHER_STATUSES, rows=rows)


def _command_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                zero, one = exit_statuses(choice.dest)
                yield f"| `{choice.dest}` | {choice.help} | {zero} | {one} |"


if __name__ == "__main__":
    write_pages()
