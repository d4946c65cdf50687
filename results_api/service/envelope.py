"""The shape of every answer: what the first SmartSight's API gave, and its app understands."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from shared.errors import Code

T = TypeVar("T")

#: The page of this service that explains a code.
ERRORS_PAGE = "/docs/errors"


class Meta(BaseModel):
    """What stands beside the data of a success."""

    type: Literal["success"] = "success"
    code: int = Field(200, description="The HTTP status.")


class PageMeta(Meta):
    """The same for one page of a list."""

    next_cursor: str | None = Field(None, description="Ask for the next page with it; null on the last one.")


class Success(BaseModel, Generic[T]):
    """An answer that holds what was asked for."""

    meta: Meta
    data: T


class Page(BaseModel, Generic[T]):
    """An answer that holds a part of a list."""

    meta: PageMeta
    data: list[T]


class ErrorBody(BaseModel):
    """Why there is no other answer."""

    code: int = Field(description="The HTTP status.")
    message: str = Field(description="What was wrong, for a person.")
    url: str = Field(description="Where the failure is explained.")
    type: str = Field(description="The stable name of the failure.")


class Failure(BaseModel):
    """An answer that says what went wrong."""

    error: ErrorBody


def success(data: Any, status: int = 200) -> dict[str, Any]:
    """Return the body of an answer that holds this."""
    return {"meta": {"type": "success", "code": status}, "data": data}


def page(data: list[Any], next_cursor: str | None) -> dict[str, Any]:
    """Return the body of an answer that holds a part of a list."""
    return {"meta": {"type": "success", "code": 200, "next_cursor": next_cursor}, "data": data}


def failure(code: Code, message: str, status: int) -> dict[str, Any]:
    """Return the body of an answer that says what went wrong."""
    return {"error": {"code": status, "message": message, "url": f"{ERRORS_PAGE}#{code}", "type": str(code)}}
