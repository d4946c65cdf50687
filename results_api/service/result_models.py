"""Results as the documentation has them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, create_model

from shared.store.result_columns import COLUMNS, ResultColumn


class Prediction(BaseModel):
    """A class and its score, from 0 to 1."""

    class_: str = Field(alias="class", description="ImageNet's words for it, or the model's own.")
    wordnet_id: str
    score: float


def _field(column: ResultColumn) -> tuple[Any, Any]:
    kind: Any = {list: list[Prediction], datetime: str}.get(column.type, column.type)
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
