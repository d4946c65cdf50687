"""Results as the documentation has them."""

from typing import Any

from pydantic import BaseModel, Field

from shared.errors import Code


class Prediction(BaseModel):
    """A class and its score, from 0 to 1."""

    class_: str = Field(alias="class", description="ImageNet's words for it, or the model's own.")
    wordnet_id: str
    score: float


class ItemResult(BaseModel):
    """What became of one image."""

    index: int = Field(description="The place of the item in its job, from 0.")
    ref: str = Field(description="The image reference, as it was submitted.")
    custom_id: str | None
    state: str = Field(description="succeeded, failed, skipped or cancelled.")
    code: Code | None = Field(description="Why it got no label.")
    message: str | None = Field(description="The same for a person.")
    predictions: list[Prediction] = Field(description="The best classes, best first.")
    model: str = Field(description="Name and version of the model.")
    width: int | None
    height: int | None
    bytes: int | None
    sha256: str | None
    reused: bool = Field(description="Whether the labels are those of another item with the same bytes.")
    host: str | None
    final_url: str | None = Field(description="Where redirects had led.")
    http_status: int | None
    attempts: int
    fetch_ms: float | None
    label_ms: float | None
    finished_at: str


#: What such a result looks like.
ITEM_RESULT: dict[str, Any] = {
    "index": 0,
    "ref": "https://images.example.org/lunch.jpg",
    "custom_id": "a-17",
    "state": "succeeded",
    "code": None,
    "message": None,
    "predictions": [{"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.884148}],
    "model": "lite0@1",
    "width": 640,
    "height": 480,
    "bytes": 48213,
    "sha256": "5f" * 32,
    "reused": False,
    "host": "images.example.org",
    "final_url": "https://images.example.org/lunch.jpg",
    "http_status": 200,
    "attempts": 1,
    "fetch_ms": 104.98,
    "label_ms": 9.76,
    "finished_at": "2026-11-25T04:20:26+00:00",
}
