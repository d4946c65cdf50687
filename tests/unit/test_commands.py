"""The command line: what commands show, and the habits that they share."""

import argparse
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from commands.progress import Counting, PlainLines, Silent, show_progress, summary
from commands.terminal import is_quiet, line_of, quiet_logs, verbosity_options
from results_api.service.job_models import JOB
from shared.errors import Code
from shared.items import ItemState, JobState
from shared.job_status import CodeCount, JobStatus
from shared.settings import variables
from shared.time_left import TimeLeft
from smartsight import build_parser
from tests.servers.commands import run_command

_COUNTS = {ItemState.SUCCEEDED: 90, ItemState.FAILED: 10}


def _job(succeeded: int, failed: dict[Code, int], state: str = "completed") -> JobStatus:
    done = succeeded + sum(failed.values())
    counts = {"succeeded": succeeded, "failed": done - succeeded}
    codes = [
        {"code": code, "state": "failed", "count": count, "message": code.sentence}
        for code, count in failed.items()
    ]
    data = {"state": state, "submitted": done, "done": done, "counts": counts, "codes": codes}
    return JobStatus.from_json(JOB | data)


def test_the_summary_counts_states_and_explains_codes_commonest_first() -> None:
    job = _job(90, {Code.EMPTY_FILE: 7, Code.HTTP_404: 3})
    assert list(summary(job, done_now=50, seconds=10)) == [
        "100 images: 90 succeeded, 10 failed; 50 in 10.0 s, 5.0 images/s",
        "         7 empty_file: The file is empty.",
        "         3 http_404: The host has nothing at this URL (HTTP 404).",
    ]


def test_only_success_everywhere_is_success() -> None:
    assert _job(90, {}).has_labelled_all
    assert not _job(90, {Code.HTTP_404: 1}).has_labelled_all
    assert not _job(90, {}, "running").has_labelled_all


def test_a_status_is_the_same_after_it_was_sent() -> None:
    job = _job(90, {Code.HTTP_404: 1})
    assert JobStatus.from_json(job.as_json()) == job
    assert job.as_json().keys() | {"links"} == JOB.keys()
    assert job.ended == {ItemState.SUCCEEDED: 90, ItemState.FAILED: 1}
    assert not job.codes[0].is_transient
    newer = CodeCount("code_of_tomorrow", ItemState.FAILED, 1, "News.")
    assert not newer.is_transient
    assert not job.is_running
    assert JobStatus.from_json(JOB | {"state": JobState.PAUSED}).is_settled


def test_a_plain_line_tells_rate_and_time_left_of_this_run() -> None:
    lines = PlainLines(total=200, done_before=50)
    assert lines.line(_COUNTS, 10, TimeLeft(100, 5.0, 20.0)) == (
        "100 of 200 images (90 succeeded, 10 failed), 5.0 images/s, about 20 s left"
    )
    assert PlainLines(200, 0).line({}, 10, TimeLeft(200, 0.0, None)).endswith(", time left unknown")


def test_a_line_is_for_people() -> None:
    best = {"class": "espresso", "wordnet_id": "n1", "score": 0.951234}
    assert line_of({"ref": "a.jpg", "predictions": [best]}).split() == ["a.jpg", "0.951", "espresso"]
    failed = {"ref": "b.jpg", "predictions": [], "state": "failed", "code": "empty_file", "message": "Empty."}
    assert line_of(failed).split(maxsplit=1) == ["b.jpg", "failed  empty_file: Empty."]


def _parsers() -> Iterator[argparse.ArgumentParser]:
    """Yield the parser and all its subparsers."""
    waiting: list[argparse.ArgumentParser] = [build_parser()]
    while waiting:
        yield (parser := waiting.pop())
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()


def test_every_option_has_a_help_text() -> None:
    for parser in _parsers():
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), action


@pytest.mark.parametrize("command", ["", "classify", "label", "model", "model import"])
def test_help_is_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "usage: smartsight" in capsys.readouterr().out


def call(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run a command in this process and return its exit status and what it printed."""
    finished = run_command(arguments, os.environ | settings)
    return finished.status, finished.out, finished.err


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_that_of_the_distribution(option: str) -> None:
    assert call(option) == (0, f"smartsight {version('smartsight')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["lable", "x.jpg"], "invalid choice: 'lable'; did you mean 'label'? (choose from classify, label,"),
        (["model", "lits"], "did you mean 'list'?"),
        (["label", "x.jpg", "--engine", "lite-rt"], "did you mean 'litert'?"),
        (["label", "x.jpg", "--ouput", "y.csv"], "unrecognized arguments: --ouput; did you mean '--output'?"),
        (["retry", "1", "--code", "http_4040"], "is not an error code; did you mean 'http_404'?"),
        (["keys", "create", "x", "--scope", "reed"], "did you mean 'read'?"),
    ],
)
def test_what_was_meant_by_a_mistyped_word_is_suggested(arguments: list[str], hint: str) -> None:
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert hint in err


def test_no_option_swallows_the_arguments_after_it() -> None:
    """An option takes one word at most; one that may go without takes none that is an argument."""
    for parser in _parsers():
        has_arguments = any(not action.option_strings for action in parser._actions)
        for action in parser._actions:
            if action.option_strings and action.nargs not in (None, 0):
                assert action.nargs == "?"
                assert action.option_strings == ["--api"] or not has_arguments, (parser.prog, action)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("keys create --scope read phone", {"name": "phone", "scope": ["read"]}),
        ("keys create --scope read,admin --scope submit phone", {"scope": ["read", "admin", "submit"]}),
        ("keys create read", {"name": "read", "scope": None}),
        ("retry --code http_404 7", {"job": 7, "code": [Code.HTTP_404]}),
        ("retry --code http_404,http_403 --code dns_failed 7", {"job": 7}),
        ("retry 7", {"job": 7, "code": []}),
        ("retry 8", {"job": 8, "code": []}),  # what an earlier one was given is not remembered
        ("jobs --api 7", {"job": 7, "api": ""}),
        ("jobs --api http://h:1 7", {"job": 7, "api": "http://h:1"}),
        ("submit --api list.txt", {"sources": ["list.txt"], "api": ""}),
        ("classify --api a.jpg b.jpg", {"images": ["a.jpg", "b.jpg"], "api": ""}),
        ("hosts --api block h.example", {"action": "block", "hosts": ["h.example"]}),
        ("results --api --code http_404 7", {"job": 7, "api": ""}),
        ("watch 7 --api", {"job": 7, "api": ""}),
    ],
)
def test_arguments_may_follow_any_option(words: str, given: dict[str, object]) -> None:
    assert vars(build_parser().parse_args(words.split())).items() >= given.items()


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\x1b[31m"])
@pytest.mark.parametrize("option", ["label --name", "submit --name", "submit --idempotency-key"])
def test_a_name_is_one_short_line_as_in_the_api(option: str, name: str) -> None:
    status, _, err = call(*option.split(), name, "list.txt")
    assert (status, "is not one line of 1 to 200 characters" in err) == (2, True)


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    status, _, err = call("xyzzy")
    assert (status, "invalid choice: 'xyzzy' (choose from" in err) == (2, True)


def test_every_command_says_what_its_exit_status_means() -> None:
    for parser in _parsers():
        assert "Exit status: 0 " in parser.format_help(), parser.prog


def test_no_short_option_means_two_things() -> None:
    meanings: dict[str, set[str]] = {}
    for parser in _parsers():
        for action in parser._actions:
            for flag in action.option_strings:
                meanings.setdefault(flag, set()).add(action.option_strings[-1])
    short = {flag: long for flag, long in meanings.items() if not flag.startswith("--")}
    assert {"-o", "-c", "-m", "-n", "-q", "-v", "-V", "-p"} <= short.keys()
    assert all(len(long) == 1 for long in short.values()), short


@pytest.mark.parametrize("arguments", [["-q", "migrate"], ["migrate", "-q"], ["migrate", "--quiet"]])
def test_a_quiet_command_says_nothing_before_or_after_its_name(arguments: list[str], tmp_path: Path) -> None:
    settings = {"SMARTSIGHT_DATA_DIR": str(tmp_path), "SMARTSIGHT_NONSENSE": "1"}
    assert call(*arguments, **settings) == (0, "", "")
    status, out, err = call("migrate", **settings)
    assert (status, out, err.count("\n")) == (0, "", 2)


def test_a_quiet_command_still_prints_results_and_errors(tmp_path: Path) -> None:
    status, out, err = call("-q", "model", "list", SMARTSIGHT_CACHE_DIR=str(tmp_path))
    assert (status, out.count("\n"), err) == (0, 3, "")
    status, out, err = call("model", "build", "vgg", "-q", SMARTSIGHT_CACHE_DIR=str(tmp_path))
    assert (status, out) == (2, "")
    assert err.startswith("smartsight: model_unknown: ")


@pytest.mark.parametrize(
    ("option", "levels"),
    [
        ("--quiet", (logging.ERROR, logging.ERROR)),
        ("--verbose", (logging.INFO, logging.DEBUG)),
    ],
)
def test_verbosity_is_the_level_of_the_logs_and_is_handed_on(
    option: str, levels: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def look(*_: object) -> int:
        quiet_logs()  # as label does, which logs more only when it is asked to
        seen.append((logging.getLogger().level, logging.getLogger("smartsight").level))
        seen.append(verbosity_options())
        seen.append(logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO))
        return 0

    monkeypatch.setattr("commands.installation.migrate", look)
    call(option, "migrate")
    assert seen == [levels, [option], False], "no statement with its values is ever logged"


def test_a_quiet_command_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(*_: object) -> int:
        assert isinstance(show_progress(10, 0), Silent) is is_quiet()
        with Counting("recorded") as counting:
            counting._interval = 0
            counting.update(1)
            counting.update(2)
        return 0

    monkeypatch.setattr("commands.installation.migrate", count)
    assert call("-q", "migrate") == (0, "", "")
    assert "\n2 recorded, " in call("migrate")[2]


def test_an_unknown_setting_is_named_once_with_the_nearest() -> None:
    misspelt = {"SMARTSIGHT_CONCURENCY": "3", "SMARTSIGHT_TEST_ANYTHING": "1", "SMARTSIGHT_API_PORT": "80"}
    status, out, err = call("settings", "--json", **misspelt)
    assert (
        err == "smartsight: SMARTSIGHT_CONCURENCY is not a setting; did you mean 'SMARTSIGHT_CONCURRENCY'?\n"
    )
    assert (status, len(json.loads(out))) == (0, len(variables()))


def test_the_processes_of_a_worker_do_not_name_unknown_settings_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commands.worker.run", lambda *_: 0)
    assert call("worker", "--as-child", SMARTSIGHT_NONSENSE="1") == (0, "", "")
    assert "SMARTSIGHT_NONSENSE is not a setting\n" in call("worker", SMARTSIGHT_NONSENSE="1")[2]


def test_settings_tell_their_source_and_no_secret() -> None:
    secrets = {
        "SMARTSIGHT_API_KEY": "ss_topsecret",
        "SMARTSIGHT_BROKER_URL": "amqp://me:top:se/cret@rabbit/%2F",
        "SMARTSIGHT_DATABASE_URL": "postgresql+psycopg://me@db/x?password=topsecret&connect_timeout=5",
    }
    for arguments in (["settings"], ["settings", "--json"]):
        status, out, err = call(*arguments, **secrets)
        assert (status, err) == (0, "")
        assert "secret" not in out
        assert "se/cret" not in out
        assert "amqp://me:***@rabbit/%2F" in out
        assert "?password=***&connect_timeout=5" in out
    shown = {one["name"]: one for one in json.loads(out)}
    assert shown["SMARTSIGHT_API_KEY"]["source"] == "environment"
    assert shown["SMARTSIGHT_MODEL"].items() >= {"value": "lite0", "source": "default"}.items()


def test_a_bad_setting_is_refused_by_settings_too() -> None:
    status, out, err = call("settings", SMARTSIGHT_METRICS_PORT="70000")
    assert (status, out) == (2, "")
    assert "SMARTSIGHT_METRICS_PORT='70000': say a whole number from 0 to 65535" in err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["la"], {"label"}),
        (["model", "re"], {"remove"}),
        (["label", "--eng"], {"--engine"}),
        (["classify", "--engine", "lite"], {"litert"}),
        (["label", "pic"], {"picture.jpg"}),
        (["model", "import", "pic"], {"picture.jpg"}),
    ],
)
def test_bash_completes_commands_options_choices_and_files(
    words: list[str], wanted: set[str], tmp_path: Path
) -> None:
    Path("picture.jpg").touch()
    status, script, err = call("completion", "bash")
    assert (status, err) == (0, "")
    line = ["smartsight", *words]
    ask = (
        f"COMP_WORDS=({' '.join(line)}); COMP_CWORD={len(words)}; "
        f"_shtab_smartsight smartsight {line[-1]} {line[-2]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    found = subprocess.run(
        ["bash", "-c", f"complete() {{ :; }}\n{script}\n{ask}"], capture_output=True, text=True, check=True
    )
    assert set(found.stdout.split()) == wanted, found.stderr


def test_zsh_gets_a_script_of_its_own() -> None:
    status, script, err = call("completion", "zsh")
    assert (status, err) == (0, "")
    assert script.startswith("#compdef smartsight\n")
