"""All failures of SmartSight: one closed list of codes, and the exceptions that carry them.

SmartSightError
├── ItemError       one item gets no label: stored as its result, or retried if transient
├── UsageError      the command or request cannot be carried out: the user must change it
├── ResourceError   a required file, folder, model, database or broker cannot be used
└── RequestError    the API cannot answer a request: the caller must change it, or wait
"""

import errno
import re
from enum import StrEnum

#: No space is left on the disk, or for this user or process.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Longest detail, in characters.
_MAX_DETAIL = 300
# Control characters, line separators, and surrogates (bytes that are not UTF-8).
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Code(StrEnum):
    """A stable name of a failure, a sentence that explains it, and whether a retry can help."""

    sentence: str
    transient: bool

    def __new__(cls, value: str, sentence: str = "", transient: bool = False) -> "Code":
        """Create a code; ``Enum`` looks one up by its value alone."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.sentence = sentence
        code.transient = transient
        return code

    # Finding and fetching an image
    FILE_NOT_FOUND = "file_not_found", "There is no file at this path."
    FILE_UNREADABLE = "file_unreadable", "The file exists but cannot be read."
    URL_NOT_ALLOWED = "url_not_allowed", "Only http and https URLs of public hosts are fetched."
    DNS_FAILED = "dns_failed", "The host name could not be resolved.", True
    CONNECT_FAILED = "connect_failed", "The host did not accept a connection.", True
    CONNECT_TIMEOUT = "connect_timeout", "The host did not accept a connection in time.", True
    TLS_FAILED = "tls_failed", "No secure connection: the host's certificate or TLS set-up is bad."
    FETCH_TIMEOUT = "fetch_timeout", "The image did not arrive in time.", True
    FETCH_FAILED = "fetch_failed", "The connection broke before the response was complete.", True
    TOO_MANY_REDIRECTS = "too_many_redirects", "The URL redirects too many times."
    RATE_LIMITED = "rate_limited", "The host asks us to slow down (HTTP 429).", True
    HTTP_401 = "http_401", "The host requires a login for this URL (HTTP 401)."
    HTTP_403 = "http_403", "The host refuses access to this URL (HTTP 403)."
    HTTP_404 = "http_404", "The host has nothing at this URL (HTTP 404)."
    HTTP_408 = "http_408", "The host timed out waiting for the request (HTTP 408).", True
    HTTP_410 = "http_410", "The image was removed permanently (HTTP 410)."
    HTTP_425 = "http_425", "The host asked to retry later (HTTP 425).", True
    HTTP_4XX = "http_4xx", "The host rejected the request (HTTP 4xx)."
    HTTP_5XX = "http_5xx", "The host has an internal error (HTTP 5xx).", True
    HTTP_UNEXPECTED = "http_unexpected", "The host answered with an unexpected status and no image."
    HTTP_INVALID = "http_invalid", "The host's response is not valid HTTP."
    ENCODING_UNSUPPORTED = (
        "encoding_unsupported",
        "The host compressed the image (Content-Encoding) although asked not to.",
    )
    ROBOTS_UNAVAILABLE = (
        "robots_unavailable",
        "The host's robots.txt cannot be read, so nothing may be fetched.",
        True,
    )
    HOST_DOWN = "host_down", "The host failed repeatedly and is not called for a while.", True

    # Skipping it on purpose
    ROBOTS_DISALLOWED = "robots_disallowed", "The host's robots.txt disallows this URL."
    OPTED_OUT = "opted_out", "The X-Robots-Tag header asks not to use this image."
    HOST_BLOCKED = "host_blocked", "The host is blocked by `smartsight hosts block`."
    FORGOTTEN = "forgotten", "The image was forgotten on request and may not be labelled again."
    PLACEHOLDER = "placeholder", "Many URLs of the host lead to the same bytes: a placeholder, not the image."

    # Decoding it
    TOO_MANY_BYTES = "too_many_bytes", "The file is larger than the byte limit."
    TOO_MANY_PIXELS = "too_many_pixels", "The picture is larger than the pixel limit."
    EMPTY_FILE = "empty_file", "The file is empty."
    NOT_AN_IMAGE = "not_an_image", "The content is not an image, whatever its name says."
    UNSUPPORTED_FORMAT = "unsupported_format", "The content is an image in a format that is not accepted."
    IMAGE_TRUNCATED = "image_truncated", "The image file is incomplete."
    IMAGE_CORRUPT = "image_corrupt", "The image is damaged and cannot be decoded."
    OUT_OF_MEMORY = "out_of_memory", "There was not enough memory to decode the image.", True
    DECODER_CRASHED = "decoder_crashed", "The image crashed the process that decoded it."
    DECODER_TIMEOUT = "decoder_timeout", "Decoding the image took too long."
    DECODER_STALLED = (
        "decoder_stalled",
        "Decoding the image made no progress: the machine is too busy, or the decoder hangs.",
        True,
    )
    DECODER_OUT_OF_MEMORY = "decoder_out_of_memory", "Decoding the image needs more memory than allowed."

    # Processing it
    WORKER_CRASHED = "worker_crashed", "The worker process died repeatedly while processing the image."
    MODEL_UNAVAILABLE = "model_unavailable", "The worker does not have the model of the job.", True
    INTERNAL_ERROR = "internal_error", "A bug in SmartSight: please report it."

    # Jobs
    JOB_UNKNOWN = "job_unknown", "There is no job with this number."
    JOB_NOT_READY = "job_not_ready", "The job's state does not allow this."
    JOB_CHANGED = "job_changed", "The job was retried while its results were being read."
    HOST_INVALID = "host_invalid", "This is not a host name."
    KEY_TAKEN = "key_taken", "This idempotency key belongs to a job with other references."

    # Using the API
    KEY_MISSING = "key_missing", "An API key is required: send it as `Authorization: Bearer KEY`."
    KEY_INVALID = "key_invalid", "The key is unknown, expired or revoked."
    KEY_UNKNOWN = "key_unknown", "There is no key with this number."
    KEYS_NEEDED = "keys_needed", "Off loopback, the API requires keys: create one, or pass --no-auth."
    SCOPE_MISSING = "scope_missing", "The key does not have the required scope."
    ORIGIN_REFUSED = (
        "origin_refused",
        "Without keys, the API answers only its own pages, under its own host names.",
    )
    TOO_MANY_REQUESTS = "too_many_requests", "The key exceeds its request rate.", True
    QUOTA_EXCEEDED = "quota_exceeded", "The key has used up its quota."
    AT_CAPACITY = (
        "at_capacity",
        "The server is at capacity: it is doing as much as it can.",
        True,
    )
    DISK_FULL = "disk_full", "The disk has no space left for the request.", True
    SHUTTING_DOWN = "shutting_down", "This server is shutting down: retry, and another one answers.", True
    NOT_READY = "not_ready", "This server is not ready to answer.", True
    CHECK_TIMEOUT = "check_timeout", "It did not answer in time.", True
    REQUEST_INVALID = "request_invalid", "The request is invalid: see the API reference."
    REQUEST_TIMEOUT = "request_timeout", "The request did not arrive in time.", True
    BODY_TOO_LARGE = "body_too_large", "The request is larger than allowed."
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported", "This media type is not supported here."
    NOT_ACCEPTABLE = "not_acceptable", "The answer is not available in the requested format."
    NO_IMAGE = "no_image", "The request contains no image."
    CURSOR_INVALID = "cursor_invalid", "The cursor is invalid."
    CLASS_UNKNOWN = "class_unknown", "The model has no class with this name or id."
    IMAGE_UNKNOWN = "image_unknown", "Nothing is known about this image."
    THUMBNAIL_MISSING = "thumbnail_missing", "There is no thumbnail of this image."
    WEBHOOK_INVALID = "webhook_invalid", "The webhook's URL or secret is invalid."
    NOT_FOUND = "not_found", "There is nothing at this URL."
    METHOD_NOT_ALLOWED = "method_not_allowed", "This URL does not support this method."
    API_UNAVAILABLE = "api_unavailable", "The API does not answer.", True
    API_REFUSED = "api_refused", "The answer does not come from a SmartSight API."

    # Lists, folders and settings
    SOURCE_NOT_FOUND = "source_not_found", "There is no such list or folder."
    SOURCE_UNREADABLE = "source_unreadable", "The list or folder cannot be read."
    SOURCE_CHANGED = "source_changed", "The list or folder changed while it was being read."
    COLUMN_UNKNOWN = "column_unknown", "The list has no such column."
    NOTHING_TO_LABEL = "nothing_to_label", "The input contains no image reference."
    LIST_TOO_COSTLY = "list_too_costly", "Reading the list takes more than any list may take: split it."
    RECORDER_CRASHED = "recorder_crashed", "The process that read the list died each time that it was tried."
    SETTING_INVALID = "setting_invalid", "A setting has an invalid value."

    # Models
    MODEL_UNKNOWN = "model_unknown", "There is no model with this name."
    MODEL_NAME_INVALID = "model_name_invalid", "This cannot be the name of a model."
    MODEL_EXISTS = "model_exists", "There is already a model with this name."
    MODEL_BROKEN = "model_broken", "The stored model is incomplete or damaged."
    MODEL_UNREADABLE = "model_unreadable", "The stored model cannot be read."
    MODEL_UNSUPPORTED = "model_unsupported", "The network is not a supported image classifier."
    LABELS_INVALID = "labels_invalid", "The labels do not fit the network."
    TENSORFLOW_MISSING = (
        "tensorflow_missing",
        "TensorFlow is not installed here: it builds models, and imports all but LiteRT's.",
    )
    WEIGHTS_UNREADABLE = "weights_unreadable", "The trained weights cannot be read."

    # Database, broker, processes, addresses and output
    DATABASE_UNSUPPORTED = "database_unsupported", "This kind of database is not supported."
    DATABASE_UNAVAILABLE = "database_unavailable", "The database cannot be used."
    DATABASE_REFUSED = "database_refused", "The database rejected the data."
    BROKER_UNSUPPORTED = "broker_unsupported", "This kind of broker is not supported."
    BROKER_UNAVAILABLE = "broker_unavailable", "The broker cannot be used."
    DECODER_UNAVAILABLE = "decoder_unavailable", "The decoder process cannot be started."
    ADDRESS_UNAVAILABLE = "address_unavailable", "The API cannot listen on this address."
    FOLDER_UNWRITABLE = "folder_unwritable", "The folder cannot be written."
    OUTPUT_UNSUPPORTED = "output_unsupported", "The output format is not supported."
    OUTPUT_UNWRITABLE = "output_unwritable", "The output cannot be written."


#: Codes of items that are skipped, not failed.
SKIPPED = (
    *(Code.ROBOTS_DISALLOWED, Code.OPTED_OUT, Code.HOST_BLOCKED),
    *(Code.FORGOTTEN, Code.PLACEHOLDER),
)


def state_of(code: Code) -> str:
    """Return the state of an item that ends with a code; nothing for a code that no item has.

    The codes of items come first, up to that of a bug.
    """
    if list(Code).index(code) > list(Code).index(Code.INTERNAL_ERROR):
        return ""
    return "skipped" if code in SKIPPED else "failed"


class SmartSightError(Exception):
    """A failure with a code; ``detail`` says what exactly and where, in printable characters."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = printable(detail)

    def __str__(self) -> str:
        return message_for(self.code, self.detail)


class ItemError(SmartSightError):
    """One item gets no label.

    ``http_status`` and ``final_url`` are the host's answer, if there was one; ``retry_after`` is the delay in
    seconds that it asks for.
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
    """A command or request that cannot be carried out as given."""


class ResourceError(SmartSightError):
    """A required file, folder, model, database or broker cannot be used."""


class RequestError(SmartSightError):
    """A request that the API cannot answer; ``retry_after`` is the delay in seconds after which it may."""

    def __init__(self, code: Code, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after


def code_of_write(error: OSError) -> Code:
    """Return why a file or a folder could not be made: ``disk_full``, or else ``folder_unwritable``."""
    return Code.DISK_FULL if error.errno in _FULL else Code.FOLDER_UNWRITABLE


def printable(text: str) -> str:
    """Return an untrusted text as one short line, safe for terminals, databases and UTF-8."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_DETAIL:
        return text
    return UNPRINTABLE.sub("?", text)[:_MAX_DETAIL]


def message_for(code: Code, detail: str) -> str:
    """Return the sentence of a code, followed by the detail if there is one."""
    return f"{code.sentence} ({detail})" if detail else code.sentence
