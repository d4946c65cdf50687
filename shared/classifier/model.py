"""A model is a folder: the network, its labels, and ``model.json`` with its preprocessing.

``model.json`` contains the SHA-256 of every other file, so an incomplete or altered folder is detected before
it is used.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from shared.errors import Code, ResourceError

LITERT_NETWORK = "network.tflite"
KERAS_NETWORK = "network.keras"
SAVED_MODEL_NETWORK = "network.savedmodel"
LABELS = "labels.tsv"
_DESCRIPTION = "model.json"


class Label(NamedTuple):
    """The name of a class; ``wordnet_id`` is empty if the model's classes are not WordNet's."""

    wordnet_id: str
    name: str


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to the network's input: ``(pixel - mean) / scale`` on a square of ``side`` pixels.

    ``crop`` is the centred part of the short side that is used, 0 to 1.
    """

    side: int
    crop: float
    mean: float
    scale: float


@dataclass(frozen=True)
class Description:
    """The content of ``model.json``; ``logits`` tells that the output needs a softmax."""

    name: str
    version: str
    preprocessing: Preprocessing
    logits: bool
    checksums: dict[str, str]


@dataclass(frozen=True)
class Model:
    """A model folder: its description, and its labels in the order of the network's scores."""

    folder: Path
    description: Description
    labels: list[Label]

    @property
    def name(self) -> str:
        """The name by which users select it."""
        return self.description.name

    @property
    def version(self) -> str:
        """Models with the same name and version give the same predictions."""
        return self.description.version

    def has(self, file: str) -> bool:
        """Tell whether the description lists this network."""
        return file in self.description.checksums

    def verified(self, file: str) -> Path:
        """Return the path of a file after checking it; raise ``ResourceError`` as ``read_model`` does."""
        path = self.folder / file
        with _readable(path):
            if self.description.checksums.get(file) != _checksum_or_none(path):
                raise ResourceError(Code.MODEL_BROKEN, f"{path} is missing or was altered")
        return path


def read_model(folder: Path) -> Model:
    """Read a model folder.

    Raises ``ResourceError``: ``model_broken`` if it is incomplete or damaged, ``model_unreadable`` if we may
    not read it.
    """
    path = folder / _DESCRIPTION
    try:
        with _readable(path):
            description = _parse(json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise ResourceError(Code.MODEL_BROKEN, f"{path}: {error}") from error
    model = Model(folder, description, labels=[])
    model.labels.extend(read_labels(model.verified(LABELS)))
    return model


def _parse(content: dict[str, Any]) -> Description:
    return Description(**{**content, "preprocessing": Preprocessing(**content["preprocessing"])})


def write_description(
    folder: Path, name: str, version: str, preprocessing: Preprocessing, logits: bool = False
) -> None:
    """Write ``model.json`` into a folder with networks and labels."""
    checksums = {path.name: checksum(path) for path in sorted(folder.iterdir())}
    description = Description(name, version, preprocessing, logits, checksums)
    (folder / _DESCRIPTION).write_text(json.dumps(asdict(description), indent=2) + "\n", "utf-8")


def read_labels(path: Path) -> list[Label]:
    """Read a labels file with one class per line: its name, or WordNet id, tab, name.

    Raises ``ResourceError(labels_invalid)`` if it cannot be read, is empty or has an empty line.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(Code.LABELS_INVALID, f"{path}: {error}") from error
    if not lines:
        raise ResourceError(Code.LABELS_INVALID, f"{path} is empty")
    return [_label(path, number, line) for number, line in enumerate(lines, 1)]


def _label(path: Path, number: int, line: str) -> Label:
    wordnet_id, _, name = line.rpartition("\t")
    if not name.strip():
        raise ResourceError(Code.LABELS_INVALID, f"{path}, line {number}: no name")
    return Label(wordnet_id.strip(), name.strip())


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder and their names, in hexadecimal."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file_path in _files(path):
        digest.update(f"{file_path.relative_to(path)}\0{checksum(file_path)}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _checksum_or_none(path: Path) -> str | None:
    try:
        return checksum(path)
    except FileNotFoundError:
        return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise ``ResourceError(model_unreadable)`` for a file that is there and cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResourceError(Code.MODEL_UNREADABLE, f"{path}: {error.strerror or error}") from error
