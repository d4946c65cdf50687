"""Results as the documentation has them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, create_model

from results_api.service.responses import PageMeta, PageResponse, Time
from shared.store.result_columns import COLUMNS, ResultColumn


class Prediction(BaseModel):
    """A class and its score, from 0 to 1."""

    class_: str = Field(alias="class", description="ImageNet's words for it, or the model's own.")
    wordnet_id: str
    score: float


Outcome = Literal["succeeded", "failed", "skipped", "cancelled"]


def _field(column: ResultColumn) -> tuple[Any, Any]:
    kind: Any = {list: list[Prediction], datetime: Time}.get(column.type, column.type)
    kind = Outcome if column.name == "state" else kind
    return kind | None if column.nullable else kind, Field(description=column.about)


if TYPE_CHECKING:

    class ItemResult(BaseModel):
        """What became of one image."""
else:
    ItemResult = create_model(
        "ItemResult", __doc__="What became of one image.", **{one.name: _field(one) for one in COLUMNS}
    )

#: What such a result looks like.
ITEM_RESULT: dict[str, Any] = {column.name: column.example for column in COLUMNS}


class ResultRow(ItemResult):
    """A result of a job."""

    cursor: str = Field(description="Continues after this row.")


class ResultsMeta(PageMeta):
    """What stands beside a page of results."""

    complete: bool = Field(description="Whether the job is over; if not, more results are to come.")


class ResultsPage(PageResponse[ResultRow]):
    """A page of results."""

    meta: ResultsMeta


PAGE: dict[str, Any] = {
    "meta": {"type": "success", "code": 200, "next_cursor": "MA", "complete": True},
    "data": [{**ITEM_RESULT, "cursor": "MA"}],
}
