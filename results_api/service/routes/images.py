"""An image across all jobs, by its URL or its SHA-256: list its results, or forget it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from results_api.access import key_seen_by
from results_api.cursors import decode_cursor, encode_cursor
from results_api.rows import Row, row_of
from results_api.service.dependencies import RequireAdmin, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.responses import (
    PageResponse,
    SuccessResponse,
    example,
    json_response,
    page_body,
    success_body,
)
from results_api.service.result_models import ITEM_RESULT, ItemResult
from shared.errors import Code, RequestError
from shared.store.result_columns import Found
from shared.store.store import Store

routes = APIRouter(prefix="/v1/images", tags=["images"])

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_URL = "https://example.com/pizza.jpg"


class ImageResultRead(ItemResult):
    """A result of the image, and its job."""

    model_config = ConfigDict(json_schema_extra={"examples": [example({"job": 7, **ITEM_RESULT})]})
    job: int


class ForgottenRead(BaseModel):
    """What was forgotten: the image with this ``url`` or ``sha256``."""

    url: str | None = None
    sha256: str | None = None
    results: int = Field(description="How many stored results were emptied, in all jobs.")
    denied: bool = Field(description="Whether it is on the deny list now.")
    contents: list[str] = Field(
        description="SHA-256 of what the URL led to, at most a hundred; these are not denied."
    )

    model_config = {
        "json_schema_extra": {
            "examples": [{"url": _URL, "results": 2, "denied": True, "contents": [_SHA256]}]
        }
    }


@dataclass(frozen=True)
class ImageSelector:
    """An image, by its URL or by its SHA-256."""

    url: str | None
    sha256: str | None

    def seen(
        self, store: Store, key_id: int | None, after: tuple[int, int] | None, limit: int
    ) -> Sequence[Found]:
        """Return its results, the newest first."""
        if self.url is not None:
            return store.search.by_url(self.url, key_id, after, limit)
        return store.search.by_sha256(str(self.sha256), key_id, after, limit)

    def forget(self, store: Store) -> dict[str, Any]:
        """Forget it, and return what was forgotten."""
        if self.url is not None:
            name, forgotten = {"url": self.url}, store.deny_list.forget_url(self.url)
        else:
            name, forgotten = {"sha256": str(self.sha256)}, store.deny_list.forget_sha256(str(self.sha256))
        return {**name, "results": forgotten.results, "denied": True, "contents": forgotten.contents}


# Nothing else is ever fetched, and databases do not store the character zero.
_Url = Annotated[
    str | None,
    Query(
        description="The URL as it was submitted.",
        max_length=2048,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f]+$",
        examples=[_URL],
    ),
]
_Sha256 = Annotated[
    str | None,
    Query(description="The SHA-256 of the file, in hex.", pattern="^[0-9a-fA-F]{64}$"),
]
_Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
_Limit = Annotated[int, Query(description="Most entries of a page.", ge=1, le=500)]


def _named(url: _Url = None, sha256: _Sha256 = None) -> ImageSelector:
    if (url is None) == (sha256 is None):
        raise RequestError(Code.REQUEST_INVALID, "give one of `url` and `sha256`")
    return ImageSelector(url, sha256.lower() if sha256 else None)


_Picture = Annotated[ImageSelector, Depends(_named)]


@routes.get(
    "",
    response_model=PageResponse[ImageResultRead],
    responses=error_responses(Code.CURSOR_INVALID, Code.IMAGE_UNKNOWN),
)
def known_image(
    caller: RequireRead, services: ServicesDep, picture: _Picture, cursor: _Cursor = None, limit: _Limit = 100
) -> Response:
    """List the results of an image in the jobs that you may see, the newest first."""
    after = None if cursor is None else _place(cursor)
    # One more than a page, to know whether there is another page.
    found = picture.seen(services.store, key_seen_by(caller), after, limit + 1)
    if not found and cursor is None:
        raise RequestError(Code.IMAGE_UNKNOWN)
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    next_cursor = encode_cursor(last["job_id"], last["index"]) if last else None
    return json_response(page_body(_rows(services.store, shown), next_cursor))


@routes.delete("", response_model=SuccessResponse[ForgottenRead])
def forget_image(caller: RequireAdmin, services: ServicesDep, picture: _Picture) -> Response:
    """Forget an image in all jobs: it is not fetched, labelled or stored again."""
    return json_response(success_body(picture.forget(services.store)))


def _place(cursor: str) -> tuple[int, int]:
    job_id, index = decode_cursor(cursor, 2)
    return job_id, index


def _rows(store: Store, found: Sequence[Found]) -> list[Row]:
    return [{"job": one["job_id"], **row_of(one, store.models.get(one["model_id"]))} for one in found]
