"""A key that a browser keeps for our pages: no script can read it, and other pages cannot act with it.

https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#cookies
"""

from fastapi import Request, Response

from results_api.access import check_same_origin

_NAME = "smartsight_key"
_YEAR = 31_536_000


def authorization_of(request: Request) -> str | None:
    """Return the header that brings the caller's key, or what it would be for a page of ours.

    Raises ``RequestError(origin_refused)`` if the key comes from a browser, but not from a page of ours.
    """
    header = request.headers.get("Authorization")
    kept = request.cookies.get(_NAME)
    if header or not kept:
        return header
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    return f"Bearer {kept}"


def keep_key(request: Request, response: Response, key: str) -> None:
    """Have the browser keep a key, and send it to us alone; only encrypted if the page came so."""
    # A proxy that ends TLS is not known here; the browser knows. Lax, and not Strict: a link from a mail or
    # a chat opens with it, and looking changes nothing; what others send, embed or fetch goes without it.
    secure = request.headers.get("Origin", "").lower().startswith("https:")
    response.set_cookie(_NAME, key, max_age=_YEAR, httponly=True, samesite="lax", secure=secure)


def forget_key(response: Response) -> None:
    """Have the browser forget the key."""
    response.delete_cookie(_NAME, httponly=True, samesite="lax")
