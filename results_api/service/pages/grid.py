"""The results of a job that a page shows: those that its query asks for, so many at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from results_api.cursors import encode_cursor
from results_api.desk.tiles import Tile, thumbnails_of, tiles_of
from results_api.service.request_bodies import validation_errors
from results_api.service.results_filter import ResultsFilter
from shared.errors import RequestError
from shared.store.store import Store

#: Results of a page: it divides by what fits beside each other on most screens.
_TILES = 48
#: Least scores that are offered.
_SCORES = ("0.25", "0.5", "0.75", "0.9", "0.95", "0.99")


@dataclass(frozen=True, slots=True)
class Grid:
    """What was ``given`` in the query, the results that it finds, and where it goes on; or why it fails."""

    given: Mapping[str, str]
    tiles: tuple[Tile, ...] = ()
    cursor: str | None = None
    failure: RequestError | None = None

    @property
    def has_room(self) -> bool:
        """Whether results that come later may still appear at the end of this page."""
        return self.cursor is None

    @property
    def filtered(self) -> bool:
        """Whether not all results are looked for."""
        return bool(self.given.keys() - {"cursor"})

    @property
    def scores(self) -> list[str]:
        """Return the least scores to choose from, with the one that was given."""
        return sorted({*_SCORES, *filter(None, [self.asked("min_score")])})

    def asked(self, name: str) -> str:
        """Return what was given of this name, or nothing."""
        return self.given.get(name, "")

    def query(self, **changes: str | None) -> str:
        """Return the query of the same results but for some changes, with its question mark."""
        asked = {**self.given, **changes}
        words = urlencode({name: text for name, text in asked.items() if text})
        return f"?{words}" if words else ""


def given_in(request: Request) -> dict[str, str]:
    """Return what a query gives; what a form left empty is not given."""
    return {name: text for name, text in request.query_params.items() if text.strip()}


def look_through(store: Store, job_id: int, given: Mapping[str, str]) -> Grid:
    """Return the results of a job that a query asks for."""
    model = store.models.get(store.jobs.get(job_id).model_id)
    try:
        query = _checked(given)
        wanted, after = query.wanted(model), query.after
    except RequestError as error:
        return Grid(given, failure=error)
    found = store.search.page(job_id, wanted, after, _TILES)
    tiles = tiles_of(found.rows, model, thumbnails_of(store, found.rows))
    return Grid(given, tuple(tiles), None if found.after is None else encode_cursor(found.after))


def _checked(given: Mapping[str, Any]) -> ResultsFilter:
    with validation_errors():
        return ResultsFilter.model_validate(given)
