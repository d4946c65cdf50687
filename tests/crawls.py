"""WARC files of crawls that never were, as a crawler would write them."""

import gzip
import io
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

#: As little as an image may begin with.
JPEG = b"\xff\xd8\xff\xe0 and so on"


class Crawl:
    """Writes records one after another; the name tells whether each is gzipped."""

    def __init__(self, path: "str | Path") -> None:
        self._file = Path(path).open("wb")  # noqa: SIM115  # closed by __exit__
        self._writer = WARCWriter(self._file, gzip=str(path).endswith(".gz"))

    def __enter__(self) -> "Crawl":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def answer(
        self,
        uri: str,
        content: bytes = JPEG,
        media_type: str = "image/jpeg",
        status: str = "200 OK",
        **headers: str,
    ) -> int:
        """Write a response and return its offset; ``transfer_encoding=...`` is a header."""
        fields = [("Content-Type", media_type)]
        fields += [(name.replace("_", "-").title(), value) for name, value in headers.items()]
        answer = StatusAndHeaders(status, fields, protocol="HTTP/1.1")
        return self._write(uri, "response", content, http_headers=answer)

    def resource(self, uri: str, content: bytes = JPEG, media_type: str = "image/jpeg") -> int:
        return self._write(uri, "resource", content, warc_content_type=media_type)

    def others(self, uri: str = "https://host/other.jpg") -> None:
        """Write a record of each kind that holds no image."""
        self._writer.write_record(self._writer.create_warcinfo_record("x.warc", {"software": "tests"}))
        asked = StatusAndHeaders("GET /other.jpg HTTP/1.1", [("Host", "host")], is_http_request=True)
        self._write(uri, "request", b"", http_headers=asked)
        self._write(uri, "metadata", JPEG)
        self._write(uri, "conversion", JPEG)
        self._write("dns:host", "response", b"1.2.3.4")
        answer = StatusAndHeaders("200 OK", [("Content-Type", "image/jpeg")], protocol="HTTP/1.1")
        revisit = self._writer.create_revisit_record(uri, "sha1:X", uri, "2026-01-01T00:00:00Z", answer)
        self._writer.write_record(revisit)

    def _write(self, uri: str, kind: str, content: bytes, **parts: Any) -> int:
        offset = self._file.tell()
        payload = io.BytesIO(content)
        record = self._writer.create_warc_record(uri, kind, payload, len(content), **parts)
        self._writer.write_record(record)
        return offset


def chunked(content: bytes, size: int = 5) -> bytes:
    """Return content as HTTP/1.1 sends it in chunks, one of them with an extension."""
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    chunks = b"".join(b"%x;n=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return chunks + b"0\r\n\r\n"


def raw_deflated(content: bytes) -> bytes:
    """Return content as hosts send it that take "deflate" by its word."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def bomb(megabytes: int) -> bytes:
    """Return gzipped zeros; packing them takes no time, since one packed megabyte is repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes
