from pathlib import Path

import pytest

from shared.classifier.catalogue import Catalogue
from shared.classifier.model import LITERT_NETWORK, Preprocessing, read_labels, read_model, write_description
from shared.errors import Code, ResourceError, UsageError

_HOW = Preprocessing(side=224, crop=0.875, mean=127, scale=128)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "labels.tsv").write_text("n1\tcat, house cat\nn2\tdog\n")
    (folder / LITERT_NETWORK).write_bytes(b"network")
    write_description(folder, "mine", "1.0", _HOW)
    return folder


def _code(folder: Path) -> Code:
    with pytest.raises(ResourceError) as caught:
        read_model(folder).verified(LITERT_NETWORK)
    return caught.value.code


def test_a_folder_is_read_as_it_was_written(folder: Path) -> None:
    model = read_model(folder)
    assert (model.name, model.version, model.description.preprocessing) == ("mine", "1.0", _HOW)
    assert model.labels == [("n1", "cat, house cat"), ("n2", "dog")]
    assert model.verified(LITERT_NETWORK).read_bytes() == b"network"


@pytest.mark.parametrize("file", ["labels.tsv", LITERT_NETWORK, "model.json"])
def test_a_damaged_or_missing_file_is_noticed(file: str, folder: Path) -> None:
    (folder / file).write_bytes((folder / file).read_bytes()[:-3])
    assert _code(folder) is Code.MODEL_BROKEN
    (folder / file).unlink()
    assert _code(folder) is Code.MODEL_BROKEN


def test_labels_may_be_names_alone(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\n")
    assert read_labels(path) == [("", "cat"), ("", "dog")]


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "empty"), (b"cat\n\ndog\n", "line 2"), (b"\xff", "utf-8")]
)
def test_unusable_labels_are_refused(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(ResourceError, match=word) as caught:
        read_labels(path)
    assert caught.value.code is Code.LABELS_INVALID


def test_what_is_there_and_cannot_be_read_is_not_called_damaged(folder: Path) -> None:
    (folder / LITERT_NETWORK).unlink()
    (folder / LITERT_NETWORK).symlink_to(LITERT_NETWORK)  # a link to itself
    assert _code(folder) is Code.MODEL_UNREADABLE
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    assert _code(folder) is Code.MODEL_UNREADABLE


def test_a_model_that_cannot_be_put_in_place_names_the_folder(tmp_path: Path) -> None:
    """As in a container whose file system is read-only."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / ("x" * 300)):
        catalogue = Catalogue(folder / "cache", folder / "data")
        assert [entry.state for entry in catalogue.entries()] == ["not built yet"] * 3
        for attempt in (catalogue.model, catalogue.build):
            with pytest.raises(ResourceError) as caught:
                attempt("lite2")
            assert caught.value.code is Code.FOLDER_UNWRITABLE
            assert str(folder)[:100] in str(caught.value)
            assert "SMARTSIGHT_CACHE_DIR" in str(caught.value) or len(str(folder)) > 200


@pytest.mark.parametrize("name", ["x" * 101, "x" * 300, "", ".x", "a/b", "a b", "caf\xe9", "-x"])
def test_a_name_that_no_model_can_have_is_refused(name: str, tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "cache", tmp_path / "data")
    with pytest.raises(UsageError) as caught:
        catalogue.add(tmp_path / "net.keras", tmp_path / "labels.txt", name, _HOW)
    assert caught.value.code is Code.MODEL_NAME_INVALID
    with pytest.raises(UsageError) as caught:
        catalogue.model(name)
    assert caught.value.code is Code.MODEL_UNKNOWN


def test_a_longest_name_is_put_in_place(tmp_path: Path) -> None:
    """It is a part of longer names meanwhile."""
    catalogue = Catalogue(tmp_path / "cache", tmp_path / "data")
    with pytest.raises(ResourceError) as caught:
        catalogue.add(tmp_path, tmp_path / "no-labels.txt", "x" * 100, _HOW)
    assert caught.value.code is Code.LABELS_INVALID
