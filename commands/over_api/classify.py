"""`smartsight classify IMAGE... --api`: let the API classify."""

from argparse import Namespace
from pathlib import Path

from api_client import Client
from api_client.failures import RefusedError
from commands.over_api.asking import open_client
from commands.predictions import as_json, show_each
from shared.errors import Code, ItemError, UsageError
from shared.settings import Settings

#: What the API says of an image, and not of us.
_OF_THE_IMAGE = (413, 415, 422)


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image was classified, else 1."""
    if options.model or options.engine != "auto":
        raise UsageError(Code.REQUEST_INVALID, "the API chooses its model and engine itself")
    with open_client(options, settings) as client:
        return show_each(options.images, lambda image: _classify(client, image, options.top))


def _classify(client: Client, image: str, top: int) -> str:
    is_url = image.lower().startswith(("http://", "https://"))
    try:
        predictions = client.classify(image if is_url else Path(image), top)
    except RefusedError as error:
        if error.status in _OF_THE_IMAGE and error.code is not Code.REQUEST_INVALID:
            raise ItemError(error.code, error.detail) from error
        raise
    return as_json((prediction.name, prediction.score) for prediction in predictions)
