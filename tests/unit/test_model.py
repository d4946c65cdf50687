from pathlib import Path

import pytest

from shared.classifier.model import LITERT_NETWORK, Preprocessing, read_labels, read_model, write_description
from shared.errors import Code, ResourceError

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
