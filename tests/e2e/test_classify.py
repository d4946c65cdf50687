import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.store.database import Database
from shared.store.store import Store
from tests.servers.ports import free_port

Run = Callable[..., Any]


def test_one_image_gives_the_array_of_the_first_engine(run: Run, samples: Path) -> None:
    finished = run("classify", str(samples / "coffee.png"))
    assert (finished.status, finished.err) == (0, "")
    assert re.fullmatch(r'\[(\{"class": "[^"]+", "score": \d\.\d{6}\}(, )?){5}\]\n', finished.out)
    predictions = finished.json()
    assert predictions[0]["class"] == "espresso"
    scores = [prediction["score"] for prediction in predictions]
    assert scores == sorted(scores, reverse=True)


def test_several_images_give_an_object_a_line(run: Run, samples: Path) -> None:
    images = [str(samples / name) for name in ("coffee.png", "chelsea.png")]
    finished = run("classify", "--top", "2", *images)
    assert finished.status == 0
    lines = [json.loads(line) for line in finished.out.splitlines()]
    assert [line["image"] for line in lines] == images
    assert [len(line["predictions"]) for line in lines] == [2, 2]


def test_bad_images_are_named_on_stderr_and_the_others_classified(run: Run, samples: Path) -> None:
    Path("text.jpg").write_text("no image")
    Path("empty.png").touch()
    Path("cut.jpg").write_bytes((samples / "rocket.jpg").read_bytes()[:5000])
    bad = ["missing.jpg", "text.jpg", "empty.png", "cut.jpg", "."]
    finished = run("classify", *bad, str(samples / "coffee.png"))
    assert finished.status == 1
    assert len(finished.out.splitlines()) == 1
    lines = finished.err.splitlines()
    codes = ["file_not_found", "not_an_image", "empty_file", "image_truncated", "file_unreadable"]
    assert len(lines) == len(bad)
    for line, image, code in zip(lines, bad, codes, strict=True):
        assert line.startswith(f"smartsight: {image}: {code}: ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["classify"], "IMAGE"),
        (["classify", "--top", "0", "x.jpg"], "--top"),
        (["classify", "--top", "five", "x.jpg"], "--top"),
        (["classify", "--engine", "steam", "x.jpg"], "--engine"),
        (["classify", "--model", "vgg", "x.jpg"], "model_unknown"),
        (["guess"], "guess"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], word: str, run: Run) -> None:
    finished = run(*arguments)
    assert finished.status == 2
    assert word in finished.err
    assert finished.out == ""


def test_a_bad_setting_is_status_2(run: Run) -> None:
    finished = run("classify", "x.jpg", SMARTSIGHT_MAX_BYTES="lots")
    assert finished.status == 2
    assert "SMARTSIGHT_MAX_BYTES='lots'" in finished.err


@pytest.mark.parametrize("has_database", [False, True])
def test_tensorflow_is_never_loaded_on_the_litert_path(
    environment: dict[str, str], samples: Path, has_database: bool
) -> None:
    if has_database:
        Path("data").mkdir()
        Database("sqlite:///data/smartsight.db").close()
    code = (
        "import sys, smartsight\n"
        f"smartsight.main(['classify', {str(samples / 'coffee.png')!r}])\n"
        "heavy = {'tensorflow', 'keras', 'sqlalchemy', 'aiohttp', 'pyarrow', 'alembic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_denied_bytes_are_refused_where_a_database_is_at_hand(run: Run, samples: Path) -> None:
    coffee, other = samples / "coffee.png", samples / "chelsea.png"
    assert run("classify", str(coffee)).status == 0
    assert not Path("data").exists(), "a database was made for it"
    assert run("label", str(coffee)).status == 0
    with closing(Database("sqlite:///data/smartsight.db")) as database:
        Store(database).deny_list.forget_sha256(hashlib.sha256(coffee.read_bytes()).hexdigest())
    refused = run("classify", str(coffee), str(other))
    assert (refused.status, len(refused.out.splitlines())) == (1, 1)
    assert refused.err.startswith(f"smartsight: {coffee}: forgotten: ")
    named = {"SMARTSIGHT_DATABASE_URL": f"sqlite:///{Path('data/smartsight.db').resolve()}"}
    assert run("classify", str(coffee), SMARTSIGHT_DATA_DIR="elsewhere", **named).status == 1
    labelled = run("label", str(coffee), "--output", "out.jsonl")
    assert labelled.status == 1
    assert json.loads(Path("out.jsonl").read_text())["code"] == "forgotten"


@pytest.mark.parametrize("content", ["", "no database " * 1000])
def test_a_file_that_is_no_database_is_left_alone(run: Run, samples: Path, content: str) -> None:
    """An empty one has no deny list yet; of any other it is said that it cannot be read."""
    Path("mine.db").write_text(content)
    finished = run("classify", str(samples / "coffee.png"), SMARTSIGHT_DATABASE_URL="sqlite:///mine.db")
    assert (finished.status, "it is not known what was forgotten" in finished.err) == (0, bool(content))
    assert Path("mine.db").read_text() == content


def test_a_database_that_is_away_is_said_to_be(run: Run, samples: Path) -> None:
    url = f"postgresql+psycopg://u:secret@127.0.0.1:{free_port()}/db"
    finished = run("classify", str(samples / "coffee.png"), SMARTSIGHT_DATABASE_URL=url)
    assert (finished.status, finished.json()[0]["class"]) == (0, "espresso")
    assert finished.err.startswith("smartsight: it is not known what was forgotten: database_unavailable: ")
    assert "secret" not in finished.err


def test_a_closed_pipe_is_no_traceback(environment: dict[str, str], samples: Path) -> None:
    command = f"{sys.executable} -m smartsight classify {samples}/*.png {samples}/*.jpg | head -c 1"
    finished = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, check=True
    )
    assert finished.stdout == "{"
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("command", ["classify samples/coffee.png", "model list", "label samples/coffee.png"])
@pytest.mark.parametrize("output", [[], ["--output", "-"]])
def test_a_full_disk_on_standard_output_is_named(
    command: str, output: list[str], environment: dict[str, str], samples: Path
) -> None:
    arguments = command.replace("samples", str(samples)).split() + (output if "label" in command else [])
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-m", "smartsight", *arguments]
        finished = subprocess.run(line, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert finished.returncode == 1
    assert "output_unwritable" in finished.stderr
    assert "No space left on device" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr


def test_a_quiet_command_prints_results_and_errors_alone(run: Run, samples: Path) -> None:
    pictures = [str(samples / "coffee.png"), str(samples / "rocket.jpg")]
    labelled = run("label", "-q", *pictures)
    assert (labelled.status, labelled.err) == (0, "")
    assert [line.split()[0] for line in labelled.out.splitlines()] == pictures
    Path("text.jpg").write_text("no image")
    classified = run("--quiet", "classify", "text.jpg", pictures[0])
    assert (classified.status, len(classified.out.splitlines())) == (1, 1)
    assert classified.err.startswith("smartsight: text.jpg: not_an_image: ")
