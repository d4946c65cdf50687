"""Leave out what only this machine has: a worker on another one has other files."""

from collections.abc import Iterable, Iterator

from producer.entries import Entry, MalformedEntry, Reference
from shared.warc.references import is_warc_reference

_SCHEMES = ("http://", "https://")


class UrlEntries:
    """Entries of which local ones are malformed; ``malformed`` counts all of these that have passed."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.malformed = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if isinstance(entry, Reference) and not entry.ref.lower().startswith(_SCHEMES):
                entry = MalformedEntry(entry.ref, entry.line, _reason_against(entry.ref))
            self.malformed += entry.lines if isinstance(entry, MalformedEntry) else 0
            yield entry


def _reason_against(ref: str) -> str:
    if is_warc_reference(ref):
        return "it is in a file of this machine; `smartsight label` takes WARC files"
    return "no http or https URL; `smartsight label` takes paths"
