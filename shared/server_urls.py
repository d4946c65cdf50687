"""URLs of servers, which may hold a password: shown without it, however the URL is written."""

import re

#: Parameters that libpq takes a password as (https://www.postgresql.org/docs/current/libpq-connect.html).
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?pass(?:word|wd)=)[^&]*", re.IGNORECASE)
#: After a host, what is no port is the password of a URL whose host was left out.
_NO_PORT = re.compile(r"^([^:/?#\[\]]*):(?![0-9]*(?:[/?#]|$))[^/?#]*")
#: What follows is a path, taken literally: it has no password.
_FILE = "sqlite:///"
#: What a password must be written as within a URL (RFC 3986, section 3.2.1).
ESCAPES = "in a user name or password write %40 for @, %2F for /, %23 for # and %3F for ?"


def without_password(url: str) -> str:
    """Return a URL as it may be shown and logged.

    A password ends at the last ``@`` of the text: with a bare ``@``, ``/``, ``?`` or ``#`` in it, parsers end
    it earlier and take its tail for a host or a path.
    """
    if url.startswith(_FILE):
        return url
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    elif "@" not in rest:
        rest = _NO_PORT.sub(r"\1:***", rest)
    return _PASSWORD_PARAMETER.sub(r"\1***", f"{scheme}{separator}{_without_userinfo(rest)}")


def _without_userinfo(rest: str) -> str:
    userinfo, at, tail = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if colon:
        return f"{user}:***{at}{tail}"
    is_name = not re.search(r"[/?#@]", userinfo)
    return rest if is_name else f"***{at}{tail}"
