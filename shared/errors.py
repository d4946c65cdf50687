"""Every way in which SmartSight can fail: one closed list of codes, and the exceptions that carry them.

SmartSightError
├── ItemError       one item gets no label: stored as its result, or retried if transient
├── UsageError      the command asks for what cannot be: the user must change the command
├── ResourceError   a file, folder, model, database or broker that is needed cannot be used
└── RequestError    the API cannot answer a request: whoever asked must change it, or wait
"""

import re
from enum import StrEnum

#: Longest detail, in characters.
_MAX_DETAIL = 300
# Control characters, line separators, and surrogates, which stand for bytes that are not UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Code(StrEnum):
    """A stable name of a failure, a sentence for a person, and whether trying again can help."""

    sentence: str
    transient: bool

    def __new__(cls, value: str, sentence: str = "", transient: bool = False) -> "Code":
        """Make a code; with its value alone, as ``Enum`` does to look one up, nothing else is used."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.sentence = sentence
        code.transient = transient
        return code

    # Finding and fetching an image
    FILE_NOT_FOUND = "file_not_found", "There is no file at this path."
    FILE_UNREADABLE = "file_unreadable", "The file is there but cannot be read."
    URL_NOT_ALLOWED = "url_not_allowed", "Only http and https URLs of public hosts are fetched."
    DNS_FAILED = "dns_failed", "The host name could not be resolved.", True
    CONNECT_FAILED = "connect_failed", "The host did not accept a connection.", True
    CONNECT_TIMEOUT = "connect_timeout", "The host did not answer in time.", True
    TLS_FAILED = "tls_failed", "No secure connection: the host's certificate or TLS set-up is bad."
    FETCH_TIMEOUT = "fetch_timeout", "The image did not arrive in time.", True
    FETCH_FAILED = "fetch_failed", "The connection broke, or the answer was not proper HTTP.", True
    TOO_MANY_REDIRECTS = "too_many_redirects", "The URL redirects too often."
    RATE_LIMITED = "rate_limited", "The host asks us to slow down (HTTP 429).", True
    HTTP_401 = "http_401", "The host wants a login for this URL (HTTP 401)."
    HTTP_403 = "http_403", "The host refuses to give out this URL (HTTP 403)."
    HTTP_404 = "http_404", "The host has nothing at this URL (HTTP 404)."
    HTTP_408 = "http_408", "The host gave up waiting for the request (HTTP 408).", True
    HTTP_410 = "http_410", "The image was removed for good (HTTP 410)."
    HTTP_425 = "http_425", "The host wants to be asked again, and not so early (HTTP 425).", True
    HTTP_4XX = "http_4xx", "The host says that the request is wrong (HTTP 4xx)."
    HTTP_5XX = "http_5xx", "The host has an internal problem (HTTP 5xx).", True
    HTTP_UNEXPECTED = "http_unexpected", "The host answered with a status that carries no image."
    ENCODING_UNSUPPORTED = (
        "encoding_unsupported",
        "The host packed the image (Content-Encoding), though asked not to.",
    )
    ROBOTS_UNAVAILABLE = (
        "robots_unavailable",
        "The host's robots.txt cannot be had, so nothing may be fetched.",
        True,
    )
    HOST_DOWN = "host_down", "The host failed again and again, and was given up for a while.", True

    # Leaving it out on purpose: the item is skipped, not failed
    ROBOTS_DISALLOWED = "robots_disallowed", "The host's robots.txt asks robots not to fetch this URL."
    OPTED_OUT = "opted_out", "The answer's X-Robots-Tag asks not to use this image."
    HOST_BLOCKED = "host_blocked", "The host was blocked by `smartsight hosts block`."
    FORGOTTEN = "forgotten", "Somebody asked for this image to be forgotten, and not to be labelled again."
    PLACEHOLDER = "placeholder", "Many URLs of the host lead to these same bytes: a stand-in, not the image."

    # Decoding it
    TOO_MANY_BYTES = "too_many_bytes", "The file is larger than the byte limit."
    TOO_MANY_PIXELS = "too_many_pixels", "The picture is larger than the pixel limit."
    EMPTY_FILE = "empty_file", "The file is empty."
    NOT_AN_IMAGE = "not_an_image", "The content is not an image, whatever its name says."
    UNSUPPORTED_FORMAT = "unsupported_format", "The content is an image in a format that is not accepted."
    IMAGE_TRUNCATED = "image_truncated", "The image breaks off before its end."
    IMAGE_CORRUPT = "image_corrupt", "The image is damaged and cannot be decoded."
    OUT_OF_MEMORY = "out_of_memory", "There was not enough memory to decode the image.", True
    DECODER_CRASHED = "decoder_crashed", "The process that decoded the image died of it."
    DECODER_TIMEOUT = "decoder_timeout", "Decoding the image took too long."
    DECODER_STALLED = (
        "decoder_stalled",
        "Decoding the image came to a standstill: the machine is too busy, or the decoder hangs.",
        True,
    )
    DECODER_OUT_OF_MEMORY = "decoder_out_of_memory", "Decoding the image takes more memory than is allowed."

    # Processing it
    WORKER_CRASHED = "worker_crashed", "The process that worked on the image died, again and again."
    MODEL_UNAVAILABLE = "model_unavailable", "The worker does not have the model of the job.", True
    INTERNAL_ERROR = "internal_error", "A defect in SmartSight: please report it."

    # Jobs
    JOB_UNKNOWN = "job_unknown", "There is no job of this number."
    JOB_NOT_READY = "job_not_ready", "The job is in a state in which this cannot be done."
    JOB_CHANGED = "job_changed", "The job was tried again while its results were being read."
    HOST_INVALID = "host_invalid", "This is not the name of a host."
    KEY_TAKEN = "key_taken", "This idempotency key names a job with other references."

    # Asking the API
    KEY_MISSING = "key_missing", "This needs a key: send it as `Authorization: Bearer KEY`."
    KEY_INVALID = "key_invalid", "The key is unknown, expired or revoked."
    KEY_UNKNOWN = "key_unknown", "There is no key of this number."
    KEYS_NEEDED = "keys_needed", "The API answers strangers only with keys: make one, or say --no-auth."
    SCOPE_MISSING = "scope_missing", "The key does not allow this."
    ORIGIN_REFUSED = (
        "origin_refused",
        "Without keys, only our own pages are answered, and only by our own names.",
    )
    TOO_MANY_REQUESTS = "too_many_requests", "The key asks more often than it may.", True
    QUOTA_EXCEEDED = "quota_exceeded", "The key has used up what it may have."
    AT_CAPACITY = "at_capacity", "As many images are being classified as there is room for.", True
    DISK_FULL = "disk_full", "There is no room on the disk for what was sent.", True
    SHUTTING_DOWN = "shutting_down", "This server is being stopped: ask again, and another one answers.", True
    NOT_READY = "not_ready", "This server is not ready to answer.", True
    CHECK_TIMEOUT = "check_timeout", "It does not answer.", True
    REQUEST_INVALID = "request_invalid", "The request is not as the documentation has it."
    REQUEST_TIMEOUT = "request_timeout", "The request did not arrive in time.", True
    BODY_TOO_LARGE = "body_too_large", "The request is larger than is allowed."
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported", "The body is of a kind that is not taken here."
    NOT_ACCEPTABLE = "not_acceptable", "The answer cannot be given in the form that is asked for."
    NO_IMAGE = "no_image", "There is no image in the request."
    CURSOR_INVALID = "cursor_invalid", "The cursor is none that was given out here."
    CLASS_UNKNOWN = "class_unknown", "The model has no class of this name or id."
    IMAGE_UNKNOWN = "image_unknown", "Nothing is known of this image."
    THUMBNAIL_MISSING = "thumbnail_missing", "No thumbnail of this image is kept."
    WEBHOOK_INVALID = "webhook_invalid", "The webhook's URL or secret cannot be used."
    NOT_FOUND = "not_found", "There is nothing at this URL."
    METHOD_NOT_ALLOWED = "method_not_allowed", "This URL does not take that method."
    API_UNAVAILABLE = "api_unavailable", "The API does not answer.", True
    API_REFUSED = "api_refused", "The answer is none that the API of SmartSight gives."

    # Lists, folders and settings
    SOURCE_NOT_FOUND = "source_not_found", "There is no such list or folder."
    SOURCE_UNREADABLE = "source_unreadable", "The list or folder cannot be read."
    SOURCE_CHANGED = "source_changed", "The list or folder changed while it was being read."
    COLUMN_UNKNOWN = "column_unknown", "The list has no such column."
    NOTHING_TO_LABEL = "nothing_to_label", "There is no image reference in what was given."
    SETTING_INVALID = "setting_invalid", "A setting has a value that cannot be used."

    # Models
    MODEL_UNKNOWN = "model_unknown", "There is no model of this name."
    MODEL_EXISTS = "model_exists", "There is a model of this name already."
    MODEL_BROKEN = "model_broken", "The stored model is incomplete or damaged."
    MODEL_UNSUPPORTED = "model_unsupported", "The network is not an image classifier that can be used."
    LABELS_INVALID = "labels_invalid", "The labels do not fit the network."
    WEIGHTS_UNREADABLE = "weights_unreadable", "The trained weights cannot be read."

    # Database, broker, processes, addresses and output
    DATABASE_UNSUPPORTED = "database_unsupported", "This kind of database is not supported."
    DATABASE_UNAVAILABLE = "database_unavailable", "The database cannot be used."
    DATABASE_REFUSED = "database_refused", "The database does not take what it was given."
    BROKER_UNSUPPORTED = "broker_unsupported", "This kind of broker is not supported."
    BROKER_UNAVAILABLE = "broker_unavailable", "The broker cannot be used."
    DECODER_UNAVAILABLE = "decoder_unavailable", "No process can be started that decodes images."
    ADDRESS_UNAVAILABLE = "address_unavailable", "The API cannot listen on this address."
    OUTPUT_UNSUPPORTED = "output_unsupported", "The output format is not supported."
    OUTPUT_UNWRITABLE = "output_unwritable", "The output cannot be written."


#: Codes of items that were left out on purpose.
SKIPPED = (
    *(Code.ROBOTS_DISALLOWED, Code.OPTED_OUT, Code.HOST_BLOCKED),
    *(Code.FORGOTTEN, Code.PLACEHOLDER),
)


class SmartSightError(Exception):
    """A failure with a code; ``detail`` says what exactly, and where, in printable characters."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = printable(detail)

    def __str__(self) -> str:
        return message_for(self.code, self.detail)


class ItemError(SmartSightError):
    """One item gets no label.

    ``http_status`` and ``final_url`` are the host's answer where there was one, ``retry_after`` how many
    seconds it asks for.
    """

    def __init__(
        self,
        code: Code,
        detail: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
        final_url: str | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.http_status = http_status
        self.retry_after = retry_after
        self.final_url = final_url


class UsageError(SmartSightError):
    """The command asks for what cannot be."""


class ResourceError(SmartSightError):
    """A file, folder, model, database or broker that is needed cannot be used."""


class RequestError(SmartSightError):
    """A request that the API cannot answer; ``retry_after`` says in how many seconds it may."""

    def __init__(self, code: Code, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after


def printable(text: str) -> str:
    """Return a text from strangers as one short line that terminals, databases and UTF-8 can bear."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_DETAIL:
        return text
    return UNPRINTABLE.sub("?", text)[:_MAX_DETAIL]


def message_for(code: Code, detail: str) -> str:
    """Return the sentence of a code, followed by the detail if there is one."""
    return f"{code.sentence} ({detail})" if detail else code.sentence


def as_markdown() -> str:
    """Return the page ``docs/errors.md``: every code, its sentence, and whether it is retried."""
    head = "# Error codes\n\nWritten by `make docs` from `shared/errors.py`.\n\n"
    table = "| code | meaning | retried |\n|---|---|---|\n"
    rows = (f"| `{code}` | {code.sentence} | {'yes' if code.transient else 'no'} |\n" for code in Code)
    return head + table + "".join(rows)
