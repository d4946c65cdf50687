"""FastAPI dependencies: the services, the caller with a scope, common parameters; and the key's cookie."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request, Response, Security
from fastapi.security import HTTPBearer

from results_api.access import KeysRequired, check_origin, check_same_origin, is_loopback, is_remote
from results_api.api_keys import Caller, Scope
from results_api.service.public_address import PublicAddress, public_address, received_host
from results_api.service.services import Services
from shared.errors import Code, RequestError

#: The largest id that databases store.
_MAX_ID = 2**63 - 1
#: Keeps a browser's key: no script can read it, and other sites cannot send it along.
#: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#cookies
_COOKIE = "smartsight_key"
_YEAR = 31_536_000


async def _services(request: Request) -> Services:  # async: a plain function would take a thread
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]

# For the OpenAPI document; errors are raised by ``Access``.
_bearer = HTTPBearer(auto_error=False, description="A key made by `smartsight keys create`.")


def _require(scope: Scope) -> object:
    async def admit(
        request: Request, services: ServicesDep, _: Annotated[object, Security(_bearer)]
    ) -> Caller:
        caller = await services.access.admit(authorization_of(request), scope)
        request.state.key_id = caller.key_id  # for the access log
        if caller.key_id is None:
            _check_origin(request, services)
        return caller

    return Depends(admit)


def _check_origin(request: Request, services: Services) -> None:
    """Refuse requests from pages of other sites where no key is required."""
    headers, names = request.headers, services.settings.host_names
    if services.access.required is KeysRequired.IF_ANY:
        _check_local(request)

    def is_ours(name: str) -> bool:
        if services.access.required is KeysRequired.IF_ANY:
            return is_loopback(name)
        return not names or name in names

    check_origin(headers.get("Host"), headers.get("Origin"), services.settings.cors_origins, is_ours)


def _check_local(request: Request) -> None:
    """Refuse requests that did not begin on this machine, and those that a rebound name made (DNS rebinding).

    Where a proxy on this machine is trusted, a page in a browser on it can say what a proxy says.
    """
    if is_remote(request.client.host if request.client else ""):
        detail = "it comes from another machine, through a proxy: create a key"
        raise RequestError(Code.ORIGIN_REFUSED, detail)
    check_origin(received_host(request.scope), None, (), is_loopback)


#: The caller, with the scope that a route requires.
RequireClassify = Annotated[Caller, _require(Scope.CLASSIFY)]
RequireSubmit = Annotated[Caller, _require(Scope.SUBMIT)]
RequireRead = Annotated[Caller, _require(Scope.READ)]
RequireAdmin = Annotated[Caller, _require(Scope.ADMIN)]

JobId = Annotated[int, Path(ge=1, le=_MAX_ID, description="The number of the job.")]
ItemIndex = Annotated[int, Path(ge=0, le=_MAX_ID, description="The position of the image in its job.")]


async def _path_prefix(request: Request) -> str:
    return public_address(request.scope).prefix


#: The path below which clients reach the service: links begin with it.
PathPrefix = Annotated[str, Depends(_path_prefix)]
IfNoneMatch = Annotated[str | None, Header(description="The `ETag` of the response that you have.")]


def authorization_of(request: Request) -> str | None:
    """Return the ``Authorization`` header, or what it would be for the key in the cookie.

    Raises ``RequestError(origin_refused)`` if the key is in the cookie, but the page is of another origin.
    """
    header = request.headers.get("Authorization")
    key = request.cookies.get(_cookie_of(public_address(request.scope)))
    if header or not key:
        return header
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    return f"Bearer {key}"


def set_key_cookie(request: Request, response: Response, key: str) -> None:
    """Store a key in the browser; sent over TLS only if the page came over TLS."""
    # A proxy that ends TLS may not tell; the browser knows. Lax, not Strict: a link in a mail or a chat
    # opens with the key, and opening changes nothing; what other sites send, embed or fetch goes without it.
    address = public_address(request.scope)
    secure = "https" in (address.scheme, request.headers.get("Origin", "").partition(":")[0].lower())
    path, name = address.path("/"), _cookie_of(address)
    response.set_cookie(name, key, _YEAR, path=path, httponly=True, samesite="lax", secure=secure)


def delete_key_cookie(request: Request, response: Response) -> None:
    """Remove the key from the browser."""
    address = public_address(request.scope)
    response.delete_cookie(_cookie_of(address), address.path("/"), httponly=True, samesite="lax")


def _cookie_of(address: PublicAddress) -> str:
    """Return the cookie's name: below a path another one, as a browser sends that of the whole host, too."""
    return _COOKIE + address.prefix.replace("/", ".")
