"""In which form an answer is wanted: as the query says, or else as the Accept header does."""

from collections.abc import Iterator
from enum import StrEnum

from shared.errors import Code, RequestError


class Format(StrEnum):
    """The forms that results come in."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


#: What is tried first comes first.
MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def accepted_format(accept: str) -> Format:
    """Return the form that an Accept header likes best (RFC 9110, section 12.5.1); JSON if it is empty.

    Raises ``RequestError(not_acceptable)`` if it takes none that there is.
    """
    ranges = dict(_ranges(accept)) or {"*/*": 1.0}
    best = max(Format, key=lambda format: _quality(MEDIA_TYPES[format], ranges))
    if not _quality(MEDIA_TYPES[best], ranges):
        raise RequestError(Code.NOT_ACCEPTABLE, f"say one of {', '.join(MEDIA_TYPES.values())}")
    return best


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """Return how much a kind is liked: the range that names it most closely tells."""
    names = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return next((ranges[name] for name in names if name in ranges), 0.0)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name:
            yield name, next((_weight(word[2:]) for word in parameters if word.startswith("q=")), 1.0)


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
