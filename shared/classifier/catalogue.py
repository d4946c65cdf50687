"""Which models there are: three that are built when first asked for, and the user's own."""

import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.classifier.classifier import Classifier
from shared.classifier.efficientnet_lite import VARIANTS
from shared.classifier.engine import open_engine
from shared.classifier.model import Model, Preprocessing, read_model
from shared.errors import Code, ResourceError, UsageError, code_of_write
from shared.images import Decode, Limits, decode
from shared.settings import Settings

_log = logging.getLogger("smartsight")

#: What a model may be called: it names a folder, and is a part of longer names, of 255 bytes at most.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


#: What the folders of models are set by.
_SETTINGS = "SMARTSIGHT_CACHE_DIR and SMARTSIGHT_DATA_DIR"


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue; ``model`` is None where it is not built yet, or broken."""

    name: str
    state: str
    model: Model | None


class Catalogue:
    """The built models in the cache folder and the imported ones in the data folder."""

    def __init__(self, cache_dir: Path, data_dir: Path) -> None:
        self._built = cache_dir / "models"
        self._imported = data_dir / "models"

    def entries(self) -> list[Entry]:
        """Return every model that can be named, the built-in ones first."""
        return [self._entry(name) for name in (*VARIANTS, *_names_in(self._imported))]

    def model(self, name: str) -> Model:
        """Return a model, building it first if it is a built-in one that is missing or broken.

        Raises ``UsageError(model_unknown)``, or ``ResourceError``: ``model_broken`` for an imported one, and
        ``folder_unwritable`` or ``tensorflow_missing`` for one that would have to be built.
        """
        if name not in VARIANTS:
            return read_model(self._imported_folder(name))
        try:
            return read_model(self._built / name)
        except ResourceError:
            with _locked(self._built):
                return self._built_meanwhile(name) or self._build(name)

    def build(self, name: str) -> Model:
        """Build a built-in model anew and return it; an older one is replaced when the new one is whole."""
        if name not in VARIANTS:
            raise UsageError(Code.MODEL_UNKNOWN, f"{name!r}; those to build are {', '.join(VARIANTS)}")
        with _locked(self._built):
            return self._build(name)

    def _built_meanwhile(self, name: str) -> Model | None:
        try:
            return read_model(self._built / name)
        except ResourceError:
            return None

    def _build(self, name: str) -> Model:
        from shared.classifier.conversion import build_variant

        _log.info("building the model: once, half a minute at most", extra={"model": name})
        with _staging(self._built, name) as folder:
            _in_own_process(build_variant, VARIANTS[name], folder)
        return read_model(self._built / name)

    def add(self, source: Path, labels: Path, name: str, how: Preprocessing) -> Model:
        """Import a network of the user's under a new name.

        Raises ``UsageError`` with ``model_exists`` or ``model_name_invalid``, or ``ResourceError`` if the
        network or labels do not serve.
        """
        if not _NAME.fullmatch(name):
            detail = f"{name!r}: say up to 100 letters, digits, - _ . and begin with a letter or digit"
            raise UsageError(Code.MODEL_NAME_INVALID, detail)
        if name in VARIANTS or os.path.lexists(self._imported / name):
            raise UsageError(Code.MODEL_EXISTS, repr(name))
        if not os.access(source, os.F_OK):
            raise UsageError(Code.SOURCE_NOT_FOUND, str(source))
        from shared.classifier.conversion import import_network

        with _locked(self._imported), _staging(self._imported, name) as folder:
            _in_own_process(import_network, source, labels, folder, name, how)
        return read_model(self._imported / name)

    def remove(self, name: str) -> str:
        """Delete an imported model, or the built files of a built-in one, and return what it was.

        Raises ``UsageError(model_unknown)`` if there is nothing to delete.
        """
        folder = self._built / name if name in VARIANTS else self._imported_folder(name)
        with _locked(folder.parent), _translated(folder.parent):
            if not os.path.lexists(folder):
                raise UsageError(Code.MODEL_UNKNOWN, f"{name!r} is not built")
            aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
            folder.rename(aside / name)  # an interrupted deletion leaves no half a model
            shutil.rmtree(aside)
        return "built" if name in VARIANTS else "imported"

    def _imported_folder(self, name: str) -> Path:
        names = [entry.name for entry in self.entries()]
        if name not in names:
            raise UsageError(Code.MODEL_UNKNOWN, f"{name!r}; there are {', '.join(names)}")
        return self._imported / name

    def _entry(self, name: str) -> Entry:
        folder = (self._built if name in VARIANTS else self._imported) / name
        if not os.path.lexists(folder):  # also where we may not look
            return Entry(name, "not built yet", None)
        try:
            return Entry(name, "built" if name in VARIANTS else "imported", read_model(folder))
        except ResourceError:
            return Entry(name, "broken", None)


def open_classifier(
    settings: Settings, name: str, engine: str, threads: int, decode: Decode = decode
) -> Classifier:
    """Return the classifier of this model on this engine, for so many threads at the same time.

    Images are decoded in this process, unless ``decode`` has it done elsewhere. A built-in model whose
    network was damaged is built again.
    """
    catalogue = Catalogue(settings.cache_dir, settings.data_dir)
    model = catalogue.model(name)
    try:
        opened = open_engine(model, engine, threads)
    except ResourceError as error:
        if error.code is not Code.MODEL_BROKEN or name not in VARIANTS:
            raise
        model = catalogue.build(name)
        opened = open_engine(model, engine, threads)
    return Classifier(model, opened, limits_of(settings), decode)


def limits_of(settings: Settings) -> Limits:
    """Return what an image may be by the settings."""
    return Limits(settings.max_bytes, settings.max_pixels, settings.tiff, settings.heic)


def _names_in(folder: Path) -> list[str]:
    """Return what a folder holds but hidden files: nothing where there is none, or where we may not look."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


@contextmanager
def _locked(parent: Path) -> Iterator[None]:
    """Let one process at a time put a model in place."""
    with _translated(parent):
        parent.mkdir(parents=True, exist_ok=True)
        lock = (parent / ".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _staging(parent: Path, name: str) -> Iterator[Path]:
    """Give a folder to fill, and put it in place when it is whole."""
    with _translated(parent):
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        try:
            yield folder
            _put_in_place(folder, parent / name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _translated(parent: Path) -> Iterator[None]:
    """Raise ``ResourceError`` as ``code_of_write`` says where a model cannot be put in place or deleted."""
    try:
        yield
    except OSError as error:
        detail = f"{parent}: {error.strerror or error}; {_SETTINGS} name other folders for models"
        raise ResourceError(code_of_write(error), detail) from error


def _put_in_place(folder: Path, target: Path) -> None:
    folder.chmod(0o755)  # a temporary folder is its owner's only; a model is for all users of a volume
    if target.exists():
        # Moved aside first, so that whoever looks finds the old model or the new one.
        target.rename(folder.with_name(folder.name + "-old"))
    folder.rename(target)
    shutil.rmtree(folder.with_name(folder.name + "-old"), ignore_errors=True)


def _in_own_process(function: Callable[..., None], *arguments: Any) -> None:
    """Run a function that loads TensorFlow where its memory and its chatter do not stay with us."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_silence) as process:
        try:
            process.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise ResourceError(Code.MODEL_BROKEN, "the building process died; is memory short?") from error


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
