"""Results as tiles of a grid: what was seen, what it is at best, or why nobody knows."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import UNPRINTABLE, Code, message_for
from shared.items import ItemState
from shared.store.found import FoundRow
from shared.store.store import RecordedModel, Store

#: Places in a ``FoundRow``.
_SHA256, _HOST = 11, 13
#: What a page may lead to: never a script, nor a file of whoever looks at it.
_WEB_ADDRESS = re.compile(r"https?://[^\s]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tile:
    """One result; ``address`` is its reference where that can be followed, ``picture`` a URL that holds it.

    ``name`` and ``score`` are those of its best class, ``message`` says why it has none.
    """

    index: int
    ref: str
    custom_id: str | None
    address: str | None
    state: ItemState
    name: str | None
    score: float | None
    message: str | None
    host: str | None
    picture: str | None


def thumbnails_of(store: Store, rows: Sequence[FoundRow]) -> Mapping[bytes, bytes]:
    """Return the thumbnails that there are of these results, by the SHA-256 of their images."""
    digests = sorted({row[_SHA256] for row in rows if row[_SHA256]})
    return store.thumbnails.get_many(digests) if digests else {}


def tiles_of(rows: Sequence[FoundRow], model: RecordedModel, thumbnails: Mapping[bytes, bytes]) -> list[Tile]:
    """Return results as tiles, with what thumbnails there are."""
    return [_tile(row, model, thumbnails) for row in rows]


def _tile(row: FoundRow, model: RecordedModel, thumbnails: Mapping[bytes, bytes]) -> Tile:
    index, ref, custom_id, state, code, detail, class_ids, scores = row[:8]
    best, score = _first(class_ids), _first(scores)
    return Tile(
        index=index,
        ref=ref,
        custom_id=custom_id,
        address=ref if _WEB_ADDRESS.fullmatch(ref) and not UNPRINTABLE.search(ref) else None,
        state=ItemState(state),
        name=None if best is None else model.labels[int(best)][1],
        score=None if score is None else float(score),
        message=None if code is None else message_for(Code(code), detail),
        host=row[_HOST],
        picture=_picture(thumbnails.get(row[_SHA256])),
    )


def _first(numbers: str) -> str | None:
    """Return the first of the numbers that stand in brackets, with commas between."""
    return numbers[1:-1].partition(",")[0].strip() or None


def _picture(content: bytes | None) -> str | None:
    """Return a URL that holds the picture: a request for each would be more than a key may have."""
    return None if content is None else f"data:image/jpeg;base64,{b64encode(content).decode()}"
