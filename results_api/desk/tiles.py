"""Results as tiles of a grid: what was seen, what it is at best, or why nobody knows."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import UNPRINTABLE, Code, message_for
from shared.items import ItemState
from shared.store.result_columns import Found
from shared.store.store import RecordedModel, Store

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


def thumbnails_of(store: Store, rows: Sequence[Found]) -> Mapping[bytes, bytes]:
    """Return the thumbnails that there are of these results, by the SHA-256 of their images."""
    digests = sorted({row["sha256"] for row in rows if row["sha256"]})
    return store.thumbnails.get_many(digests) if digests else {}


def tiles_of(rows: Sequence[Found], model: RecordedModel, thumbnails: Mapping[bytes, bytes]) -> list[Tile]:
    """Return results as tiles, with what thumbnails there are."""
    return [_tile(row, model, thumbnails) for row in rows]


def _tile(row: Found, model: RecordedModel, thumbnails: Mapping[bytes, bytes]) -> Tile:
    ref, code, scores = row["ref"], row["code"], row["scores"]
    return Tile(
        index=row["index"],
        ref=ref,
        custom_id=row["custom_id"],
        address=ref if _WEB_ADDRESS.fullmatch(ref) and not UNPRINTABLE.search(ref) else None,
        state=ItemState(row["state"]),
        name=model.labels[row["class_ids"][0]][1] if scores else None,
        score=scores[0] if scores else None,
        message=None if code is None else message_for(Code(code), row["detail"]),
        host=row["host"],
        picture=_picture(thumbnails.get(row["sha256"])),
    )


def _picture(content: bytes | None) -> str | None:
    """Return a URL that holds the picture: a request for each would be more than a key may have."""
    return None if content is None else f"data:image/jpeg;base64,{b64encode(content).decode()}"
