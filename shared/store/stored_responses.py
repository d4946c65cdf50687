"""Stored responses: the validators of fetched URLs, and the results of their content."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from shared.items import ItemState, Result, Validators
from shared.store.database import Database
from shared.store.mapping import ref_digest, result_from
from shared.store.schema import results
from shared.store.schema_hosts import validators
from shared.store.statements import upsert

_CHANGING = ("final_url", "etag", "last_modified", "sha256")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An earlier response: its validators, and a result of the same bytes under the same model."""

    validators: Validators
    result: Result


class StoredResponses:
    """The statements on stored responses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, model_id: int, refs: Collection[str]) -> dict[str, StoredResponse]:
        """Return, by reference, the stored responses whose content has labels of this model."""
        digests = {ref_digest(ref): ref for ref in refs}
        same = (
            (results.c.sha256 == validators.c.sha256)
            & (results.c.model_id == model_id)
            & results.c.reused.is_(False)
            & (results.c.state == ItemState.SUCCEEDED)
        )
        columns = [validators.c[name].label(f"known_{name}") for name in ("ref_digest", *_CHANGING[:3])]
        query = select(results, *columns).join(validators, same)
        query = query.where(validators.c.ref_digest.in_(digests))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return {digests[row["known_ref_digest"]]: _known(row) for row in rows}


def save_validators(connection: Connection, new: Iterable[Result]) -> None:
    """Store the validators of these results."""
    rows = {
        ref_digest(result.revalidation[0]): result
        for result in new
        if result.revalidation and result.evidence.sha256 and result.state is ItemState.SUCCEEDED
    }
    # In key order: two workers that store the same references must not deadlock.
    values = [_values(digest, rows[digest]) for digest in sorted(rows)]
    if values:
        connection.execute(upsert(connection, validators, ("ref_digest",), _CHANGING), values)


def remove_validators(connection: Connection, refs: Iterable[str]) -> None:
    """Remove the validators of these references."""
    digests = {ref_digest(ref) for ref in refs}
    removal = delete(validators).where(validators.c.ref_digest == bindparam("known"))
    # In key order, as when storing.
    connection.execute(removal, [{"known": digest} for digest in sorted(digests)])


def _known(row: Any) -> StoredResponse:
    known = Validators(row["known_final_url"], row["known_etag"], row["known_last_modified"])
    return StoredResponse(known, result_from(row))


def _values(digest: bytes, result: Result) -> dict[str, Any]:
    assert result.revalidation
    known = result.revalidation[1]
    return {
        "ref_digest": digest,
        "final_url": known.final_url,
        "etag": known.etag,
        "last_modified": known.last_modified,
        "sha256": bytes.fromhex(result.evidence.sha256 or ""),
    }
