"""`smartsight classify IMAGE...`: print the best classes of each image as JSON, as the first engine did."""

import hashlib
import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands.terminal import say, show
from shared.errors import Code, ItemError, ResourceError, UsageError
from shared.settings import Settings

if TYPE_CHECKING:
    from api_client import Client

#: Statuses by which the API refuses an image, and not the caller.
_IMAGE_STATUSES = (413, 415, 422)

_Scores = Iterable[tuple[str, float]]


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image was classified, else 1."""
    return (_run_here if options.api is None else _run_remote)(options, settings)


def _run_here(options: Namespace, settings: Settings) -> int:
    from shared.classifier.catalogue import open_classifier
    from shared.fetching.fetcher import FileFetcher

    classifier = open_classifier(settings, options.model or settings.model, options.engine, threads=1)
    files = FileFetcher(settings.max_bytes)
    with _deny_list(settings) as check:

        def classify(image: str) -> _Scores:
            content = files.read(Path(image))
            check(content)
            found = classifier.classify(content, options.top)
            return ((prediction.label.name, prediction.score) for prediction in found.predictions)

        return _show_each(options.images, classify)


@contextmanager
def _deny_list(settings: Settings) -> Iterator[Callable[[bytes], None]]:
    """Give what raises ``ItemError(forgotten)`` for denied bytes, as long as a database is at hand.

    Where there is none, none is made.
    """
    with ExitStack() as stack:
        try:
            is_denied = _open_deny_list(settings, stack)
        except ResourceError as error:
            say(f"smartsight: it is not known what was forgotten: {error.code}: {error}", always=True)
            is_denied = _nothing_is_denied

        def check(content: bytes) -> None:
            if is_denied(hashlib.sha256(content).hexdigest()):
                raise ItemError(Code.FORGOTTEN)

        yield check


def _open_deny_list(settings: Settings, stack: ExitStack) -> Callable[[str], bool]:
    """Return what tells whether a SHA-256 is denied; a file is read without the libraries of databases."""
    if (path := settings.store_path) is None:
        from commands.parts import open_store

        denied = stack.enter_context(open_store(settings)).deny_list
        return lambda sha256: bool(denied.contents([sha256]))
    if not os.access(path, os.F_OK):
        return _nothing_is_denied
    from shared.store.denied_file import is_denied

    is_denied(path, "")  # raises at once if it cannot be read
    return partial(is_denied, path)


def _nothing_is_denied(_sha256: str) -> bool:
    return False


def _run_remote(options: Namespace, settings: Settings) -> int:
    from commands.remote_backend import open_client

    if options.model or options.engine != "auto":
        raise UsageError(Code.REQUEST_INVALID, "the API chooses its model and engine itself")
    with open_client(options.api, settings) as client:
        return _show_each(options.images, lambda image: _ask(client, image, options.top))


def _ask(client: "Client", image: str, top: int) -> _Scores:
    from api_client.connection import RefusedError
    from shared.fetching.fetcher import is_forbidden_url

    is_url = image.lower().startswith(("http://", "https://")) or is_forbidden_url(image)
    try:
        predictions = client.classify(image if is_url else Path(image), top)
    except RefusedError as error:
        if error.status in _IMAGE_STATUSES and error.code is not Code.REQUEST_INVALID:
            raise ItemError(error.code, error.detail) from error
        raise
    return ((prediction.name, prediction.score) for prediction in predictions)


def _show_each(images: Sequence[str], classify: Callable[[str], _Scores]) -> int:
    """Print the predictions of each image, or why it has none; return the exit status."""
    failures = 0
    for image in images:
        try:
            predictions = _as_json(classify(image))
        except ItemError as error:
            failures += 1
            say(f"smartsight: {image}: {error.code}: {error}", always=True)
        else:
            show(predictions if len(images) == 1 else _of_image(image, predictions))
    return 1 if failures else 0


def _as_json(scores: _Scores) -> str:
    """Return classes and their scores, these with six decimals."""
    return f"[{', '.join(_entry(name, score) for name, score in scores)}]"


def _of_image(image: str, predictions: str) -> str:
    """Return the predictions of one image among several."""
    return f'{{"image": {json.dumps(image)}, "predictions": {predictions}}}'


def _entry(name: str, score: float) -> str:
    return f'{{"class": {json.dumps(name, ensure_ascii=False)}, "score": {score:.6f}}}'
