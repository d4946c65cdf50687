"""Which results are looked for, as queries say it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from results_api.classes import class_ids_of
from results_api.cursors import decode_cursor
from shared.errors import UNPRINTABLE, Code, RequestError
from shared.hosts import host_of
from shared.items import ItemState
from shared.store.search import BEGINNING
from shared.store.store import Filter, RecordedModel


class ResultsFilter(BaseModel):
    """Which results, and from where on. A parameter of another name is refused."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["succeeded", "failed", "skipped", "cancelled"] | None = Field(
        None, description="How the item ended."
    )
    code: Code | None = Field(None, description="Why it got no label.")
    class_: str | None = Field(
        None,
        alias="class",
        min_length=1,
        max_length=200,
        description="The best class: its WordNet id, its number, or a word or phrase of its name.",
    )
    min_score: float | None = Field(None, ge=0, le=1, description="The least score of the best class.")
    host: str | None = Field(None, max_length=255, description="The host that gave the image, or did not.")
    cursor: str | None = Field(None, max_length=100, description="Go on behind the row that has this cursor.")

    def wanted(self, model: RecordedModel) -> Filter:
        """Return what is looked for; raise ``RequestError``, ``class_unknown`` or ``host_invalid``."""
        return Filter(
            None if self.state is None else ItemState(self.state),
            self.code,
            None if self.class_ is None else class_ids_of(self.class_, model.labels),
            self.min_score,
            None if self.host is None else _host_name(self.host),
        )

    @property
    def after(self) -> int:
        """The index behind which to go on."""
        return BEGINNING if self.cursor is None else decode_cursor(self.cursor, 1)[0]


def _host_name(text: str) -> str:
    """Return a host's name as results have it, or raise ``RequestError(host_invalid)``."""
    name = host_of(f"http://{text}")
    if name is None or UNPRINTABLE.search(name):
        raise RequestError(Code.HOST_INVALID, text)
    return name
