import json
import multiprocessing
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.classifier import catalogue
from shared.classifier.catalogue import Catalogue
from shared.classifier.model import Model
from shared.errors import ResourceError
from tests.e2e.networks import make_networks

Run = Callable[..., Any]

Build = Callable[..., None]


@pytest.fixture(scope="module")
def build() -> Iterator[Build]:
    """What runs a function in a process that has loaded TensorFlow: in the same one every time."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=catalogue._silence) as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


@pytest.fixture(autouse=True)
def _in_one_process(lite0: Model, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save every command the seconds that TensorFlow takes; lite0 was built as it is outside of tests."""
    monkeypatch.setattr(catalogue, "_in_own_process", build)


@pytest.fixture(scope="module")
def networks(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    build(make_networks, folder)
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    (folder / "four.txt").write_text("red\ngreen\nblue\nblack\n")
    return folder


@pytest.fixture
def red(tmp_path: Path) -> str:
    path = tmp_path / "red.png"
    Image.new("RGB", (100, 80), (220, 30, 40)).save(path)
    return str(path)


def test_the_list_names_what_can_be_built(run: Run) -> None:
    finished = run("model", "list", SMARTSIGHT_CACHE_DIR="nothing-there")
    assert finished.status == 0
    assert [line.split(maxsplit=1) for line in finished.out.splitlines()] == [
        [name, "not built yet"] for name in ("lite0", "lite1", "lite2")
    ]


def test_the_list_is_one_json_array_for_programs(run: Run, lite0: Model) -> None:
    finished = run("model", "list", "--json")
    listed = {entry["name"]: entry for entry in finished.json()}
    assert (finished.status, list(listed)) == (0, ["lite0", "lite1", "lite2"])
    known = {"name": "lite0", "state": "built", "version": lite0.version, "classes": 1000, "side": 224}
    assert listed["lite0"] == {**known, "folder": str(lite0.folder)}
    unbuilt = run("model", "list", "--json", SMARTSIGHT_CACHE_DIR="nothing-there").json()[0]
    assert (unbuilt["state"], unbuilt["version"], unbuilt["folder"]) == ("not built yet", None, None)


def test_an_imported_model_is_removed_whole(run: Run, networks: Path) -> None:
    labels = str(networks / "labels.txt")
    run("model", "import", str(networks / "net.tflite"), "--name", "colours", "--labels", labels)
    removed = run("model", "remove", "colours")
    assert (removed.status, removed.out) == (0, "")
    assert "Removed colours. Jobs that were submitted with it" in removed.err
    assert {path.name for path in Path("data/models").iterdir()} == {".lock"}
    assert "colours" not in run("model", "list").out
    again = run("model", "remove", "colours")
    assert (again.status, "model_unknown" in again.err, "lite0" in again.err) == (2, True, True)


@pytest.mark.parametrize("damage", ["broken", "link"])
def test_a_broken_or_linked_model_can_be_removed(
    damage: str, run: Run, networks: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "models" / "mine"
    folder.parent.mkdir(parents=True)
    if damage == "link":
        folder.symlink_to(networks)
    else:
        folder.mkdir()
        (folder / "model.json").write_text("{")
    assert run("model", "remove", "mine").status == 0
    assert {path.name for path in folder.parent.iterdir()} == {".lock"}
    assert (networks / "labels.txt").exists()


def test_the_built_files_of_a_built_in_model_are_removed(run: Run, lite0: Model, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(lite0.folder, cache / "models" / "lite0")
    removed = run("model", "remove", "lite0", SMARTSIGHT_CACHE_DIR=str(cache))
    assert (removed.status, "it is built again when needed" in removed.err) == (0, True)
    assert {path.name for path in (cache / "models").iterdir()} == {".lock"}
    assert "lite0            not built yet" in run("model", "list", SMARTSIGHT_CACHE_DIR=str(cache)).out
    again = run("model", "remove", "lite0", SMARTSIGHT_CACHE_DIR=str(cache))
    assert (again.status, "'lite0' is not built" in again.err) == (2, True)


@pytest.mark.parametrize("name", ["..", ".", "../models", "a/b", ".lock", "", "/tmp"])
def test_only_a_model_can_be_removed(name: str, run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "data" / "models" / ".lock"
    kept.parent.mkdir(parents=True)
    kept.touch()
    removed = run("model", "remove", name)
    assert (removed.status, "model_unknown" in removed.err) == (2, True)
    assert kept.exists()


def test_a_model_that_cannot_be_deleted_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The deletion is cut short after the model has left its place: nobody finds a part of it."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    catalogue = Catalogue(tmp_path / "cache", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", _refuse)
        with pytest.raises(ResourceError, match="folder cannot be written"):
            catalogue.remove("mine")
    assert [entry.name for entry in catalogue.entries()] == ["lite0", "lite1", "lite2"]


def _refuse(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_info_describes_a_model(run: Run, lite0: Model) -> None:
    finished = run("model", "info", "lite0")
    assert finished.status == 0
    assert f"version   {lite0.version}" in finished.out
    assert "classes   1000" in finished.out
    assert "input     224 x 224 RGB, (pixel - 127) / 128" in finished.out


@pytest.mark.parametrize("action", ["build", "info"])
def test_an_unknown_model_is_a_usage_error(action: str, run: Run) -> None:
    finished = run("model", action, "vgg")
    assert finished.status == 2
    assert "model_unknown" in finished.err
    assert "lite0, lite1, lite2" in finished.err


@pytest.mark.parametrize(
    ("damage", "really"), [("network.tflite", True), ("labels.tsv", False), ("model.json", False)]
)
def test_a_broken_cache_is_rebuilt(
    damage: str,
    really: bool,
    run: Run,
    samples: Path,
    lite0: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def copy(_build: object, _variant: object, folder: Path) -> None:
        shutil.copytree(lite0.folder, folder, dirs_exist_ok=True)

    if not really:
        monkeypatch.setattr(catalogue, "_in_own_process", copy)
    folder = tmp_path / "cache" / "models" / "lite0"
    shutil.copytree(lite0.folder, folder)
    (folder / damage).write_bytes((folder / damage).read_bytes()[:-100])
    finished = run("classify", str(samples / "coffee.png"), SMARTSIGHT_CACHE_DIR=str(tmp_path / "cache"))
    assert finished.status == 0
    assert finished.err.startswith("building the model: once, half a minute at most model=lite0")
    assert finished.json()[0]["class"] == "espresso"
    assert (folder / damage).stat().st_size == (lite0.folder / damage).stat().st_size
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {"lite0", ".lock"}, "something was left behind"


@pytest.mark.parametrize(
    ("network", "engines"),
    [
        ("net.keras", ["litert", "tensorflow"]),
        ("logits.keras", ["litert", "tensorflow"]),
        ("sequential.keras", ["litert", "tensorflow"]),
        ("late.keras", ["litert"]),
        ("net.savedmodel", ["litert", "tensorflow"]),
        ("net.tflite", ["litert"]),
        ("quantised.tflite", ["litert"]),
    ],
)
def test_a_network_of_ones_own(network: str, engines: list[str], run: Run, networks: Path, red: str) -> None:
    labels = str(networks / "labels.txt")
    imported = run("model", "import", str(networks / network), "--name", "colours", "--labels", labels)
    assert imported.status == 0, imported.err
    assert "classes   3" in imported.out
    assert ("logits" in imported.out) is network.startswith("logits")
    for engine in engines:
        found = run("classify", "--model", "colours", "--engine", engine, red)
        assert found.status == 0, found.err
        best = found.json()
        assert best[0]["class"] == "red"
        assert best[0]["score"] > 0.9
        assert sum(prediction["score"] for prediction in best) == pytest.approx(1, abs=0.02)
    assert "colours          imported" in run("model", "list").out
    assert stat.S_IMODE(Path("data/models/colours").stat().st_mode) == 0o755, "others cannot use it"
    again = run("model", "import", str(networks / network), "--name", "colours", "--labels", labels)
    assert (again.status, "model_exists" in again.err) == (2, True)


def test_the_same_network_with_other_labels_is_another_version(run: Run, networks: Path, red: str) -> None:
    (networks / "other.txt").write_text("rot\ngruen\nblau\n")
    classes = []
    for labels in ("labels.txt", "other.txt"):
        paths = str(networks / "net.tflite"), str(networks / labels)
        run("model", "import", paths[0], "--name", "colours", "--labels", paths[1])
        finished = run("label", red, "--model", "colours", "--output", "-")
        classes.append(json.loads(finished.out)["predictions"][0]["class"])
        shutil.rmtree("data/models/colours")
    assert classes == ["red", "rot"]


def test_labelling_with_a_network_of_ones_own(run: Run, networks: Path, red: str) -> None:
    labels = str(networks / "labels.txt")
    run("model", "import", str(networks / "net.keras"), "--name", "colours", "--labels", labels)
    finished = run("label", red, "--model", "colours", "--output", "-")
    assert finished.status == 0
    row = json.loads(finished.out)
    assert row["predictions"][0]["class"] == "red"
    assert row["model"].startswith("colours@")


def test_the_other_engine_gives_the_same_answer(run: Run, samples: Path) -> None:
    image = str(samples / "chelsea.png")
    one, other = run("classify", image), run("classify", "--engine", "tensorflow", image)
    assert (other.status, other.err) == (0, "")
    for litert, tensorflow in zip(one.json(), other.json(), strict=True):
        assert litert["class"] == tensorflow["class"]
        assert abs(litert["score"] - tensorflow["score"]) < 1e-3


def test_a_model_without_a_network_for_the_engine_says_so(run: Run, networks: Path, red: str) -> None:
    labels = str(networks / "labels.txt")
    run("model", "import", str(networks / "net.tflite"), "--name", "colours", "--labels", labels)
    finished = run("classify", "--model", "colours", "--engine", "tensorflow", red)
    assert finished.status == 1
    assert "model_unsupported" in finished.err


@pytest.mark.parametrize(
    ("network", "labels", "status", "code"),
    [
        ("net.keras", "four.txt", 1, "labels_invalid"),
        ("net.tflite", "four.txt", 1, "labels_invalid"),
        ("net.keras", "nowhere.txt", 1, "labels_invalid"),
        ("two.keras", "labels.txt", 1, "its 2 outputs"),
        ("labels.txt", "labels.txt", 1, "model_unsupported"),
        ("broken.tflite", "labels.txt", 1, "model_unsupported"),
        ("broken.keras", "labels.txt", 1, "model_unsupported"),
        ("nowhere.keras", "labels.txt", 2, "source_not_found"),
    ],
)
def test_what_cannot_be_imported_is_named(
    network: str, labels: str, status: int, code: str, run: Run, networks: Path
) -> None:
    for name in ("broken.tflite", "broken.keras"):
        (networks / name).write_text("no network")
    paths = str(networks / network), str(networks / labels)
    finished = run("model", "import", paths[0], "--name", "mine", "--labels", paths[1])
    assert finished.status == status
    assert code in finished.err
    assert "mine" not in run("model", "list").out


@pytest.mark.parametrize("name", ["../mine", "lite0", "", "a/b", ".hidden"])
def test_a_name_that_cannot_be_used_is_refused(name: str, run: Run, networks: Path) -> None:
    labels = str(networks / "labels.txt")
    finished = run("model", "import", str(networks / "net.tflite"), "--name", name, "--labels", labels)
    assert finished.status == 2
