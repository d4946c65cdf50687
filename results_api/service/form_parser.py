"""Parse forms as clients write them: with files whose name is in the extended notation only, or absent."""

import re
from collections.abc import Collection
from contextlib import aclosing
from urllib.parse import unquote_to_bytes

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser, MultiPartParser

#: The name of a file in the notation of RFC 8187, or in parts as in RFC 2231: forbidden in forms (RFC 7578,
#: section 4.2), and sent all the same. What precedes the last quote is the charset and the language.
_EXTENDED_NAME = re.compile(
    rb";\s*filename\*[0-9]*\*?\s*=\s*\"?(?:[^;\"']*'[^;\"']*')?([^;\"]*)", re.IGNORECASE
)
_UNSAFE = re.compile(rb'["\\\x00-\x1f]')


async def parse_form(
    request: Request, max_files: int, max_fields: int, file_types: Collection[str]
) -> FormData:
    """Parse a form; a part with an image type or one of these types is a file, even without a name.

    Raises Starlette's ``MultiPartException``.
    """
    kind, _ = parse_options_header(request.headers.get("Content-Type"))
    async with aclosing(request.stream()) as stream:
        if kind == b"multipart/form-data":
            parts = _PartParser(request.headers, stream, max_files=max_files, max_fields=max_fields)
            parts.file_types = file_types
            return await parts.parse()
        if kind == b"application/x-www-form-urlencoded":
            return await FormParser(request.headers, stream, max_fields=max_fields).parse()
    return FormData()


class _PartParser(MultiPartParser):
    """Gives files a plain ``filename``: for Starlette, a part is a file if it has one."""

    file_types: Collection[str] = ()

    def on_headers_finished(self) -> None:
        part = self._current_part
        disposition = part.content_disposition or b""
        if b"filename" not in parse_options_header(disposition)[1]:
            name = self._name(disposition, Headers(raw=part.item_headers).get("Content-Type", ""))
            if name is not None:
                part.content_disposition = disposition + b'; filename="' + _UNSAFE.sub(b"_", name) + b'"'
        super().on_headers_finished()

    def _name(self, disposition: bytes, content_type: str) -> bytes | None:
        """Return the name of a file without a plain one, which may be empty; None if it is no file."""
        extended = _EXTENDED_NAME.findall(disposition)
        if extended:
            return unquote_to_bytes(b"".join(extended))
        kind = content_type.partition(";")[0].strip().lower()
        return b"" if kind.startswith("image/") or kind in self.file_types else None
