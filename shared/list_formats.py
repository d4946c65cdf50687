"""The formats of lists: the endings of their names, and their media types; and what is near to a list."""

import os
from dataclasses import dataclass

PARQUET, WARC = ".parquet", ".warc"
#: Formats of text, each with its other endings and the media types of uploads, the one that we send first.
_TEXTS = {
    ".txt": ((".lst",), ("text/plain",)),
    ".csv": ((), ("text/csv",)),
    ".tsv": ((".tab",), ("text/tab-separated-values",)),
    ".jsonl": (
        (".ndjson", ".jsonlines", ".json"),
        ("application/x-ndjson", "application/jsonl", "application/ndjson", "application/x-jsonlines"),
    ),
}
_PARQUET_ENDINGS = (PARQUET, ".parq", ".pq")
_PARQUET_TYPE = "application/vnd.apache.parquet"
#: Content codings of packed text, by their endings. HTTP has the first (RFC 9110, section 8.4.1), we add two.
ENCODINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}

_FORMATS = {other: ending for ending, (others, _) in _TEXTS.items() for other in (ending, *others)}
_FORMATS |= dict.fromkeys(_PARQUET_ENDINGS, PARQUET)
#: Formats by the media type of an upload.
MEDIA_TYPES = {kind: ending for ending, (_, kinds) in _TEXTS.items() for kind in kinds}
MEDIA_TYPES[_PARQUET_TYPE] = PARQUET
#: The endings of all lists that are uploaded.
ENDINGS = (*_FORMATS, *ENCODINGS)
#: The lists that are read, in words.
KNOWN = (
    f"{', '.join(ending for ending in _FORMATS if _FORMATS[ending] != PARQUET)} (each also with "
    f"{', '.join(ENCODINGS)}), {', '.join(_PARQUET_ENDINGS)}"
)


@dataclass(frozen=True, slots=True)
class ListFormat:
    """A format, named by its usual ending, and the ending of its packing, if any."""

    ending: str
    packing: str = ""

    @property
    def media_type(self) -> str:
        """The media type that an upload is sent with."""
        return next(kind for kind, ending in MEDIA_TYPES.items() if ending == self.ending)


def format_of(name: str) -> ListFormat | None:
    """Return the format of an uploaded list by its name, or None if no such list is read."""
    stem, ending = os.path.splitext(name.lower())
    packing = ending if ending in ENCODINGS else ""
    ending = _FORMATS.get(os.path.splitext(stem)[1] if packing else ending, "")
    return ListFormat(ending, packing) if ending and not (packing and ending == PARQUET) else None


#: What people have instead of a list, and what they can do.
_SHEET = "a spreadsheet: save it as .csv"
_ARCHIVE = "an archive: unpack it, and name the folder or the list in it"
_TABLE = "no table that is read: save it as .parquet or .csv"
_ADVICE = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz"), _ARCHIVE),
    **dict.fromkeys((".feather", ".arrow", ".ipc", ".orc", ".avro"), _TABLE),
    ".wacz": "an archive with WARC files: unpack it, and name those in its folder `archive`",
    ".arc": "an ARC file: convert it with `warcio recompress OLD.arc NEW.warc.gz`",
    **dict.fromkeys((".zst", ".lz4", ".br"), "packed in a way that is not read: unpack it"),
}
_PACKED = "packed, and its name does not say what it is: unpack it"
_PACKED_TWICE = "packed, and its format is packed itself: unpack it"


def advice(name: str) -> str | None:
    """Return what a file is by its name, if it holds a list or a crawl that is not read, and what to do."""
    stem, ending = os.path.splitext(name.lower())
    if ending not in ENCODINGS:
        return _ADVICE.get(ending)
    inner = os.path.splitext(stem)[1]
    if inner in _ADVICE:
        return _ADVICE[inner]
    if _FORMATS.get(inner) == PARQUET or (inner == WARC and ending != ".gz"):
        return _PACKED_TWICE
    return None if inner else _PACKED
