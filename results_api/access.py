"""Who may do what: keys, scopes, quotas and rate limits; the owner of a job; requests from other origins."""

import asyncio
import ipaddress
import logging
import re
import time
from collections.abc import Callable, Collection
from enum import Enum, auto
from threading import Lock

from cachetools import TTLCache

from results_api.api_keys import ANYBODY, Caller, Scope, digest_of, is_well_formed
from shared.errors import Code, RequestError, ResourceError, UsageError, printable
from shared.store.store import ApiKey, Job, Store

_log = logging.getLogger("smartsight.api")

#: How long a key read from the store is used, in seconds. Its scopes and limits change by hand only;
#: whether it was revoked is checked with every request.
_TTL = 1.0
#: Keys kept at the same time.
_CACHED_KEYS = 10_000
_DAY = 86_400.0
#: Value of ``Retry-After`` for a caller with too many open jobs, in seconds.
_OPEN_JOBS_RETRY_AFTER = 60.0
#: No key has this number.
_NO_KEY = 0
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/\s]+))(?::[0-9]{1,5})?", re.IGNORECASE)


class KeysRequired(Enum):
    """When a request needs a key."""

    ALWAYS = auto()
    #: As soon as there is a key; until then only this machine is served.
    IF_ANY = auto()
    NEVER = auto()


class Access:
    """Authenticates and authorizes callers; safe to use from several threads.

    The store is read in threads, so that the event loop does not wait for it.
    """

    def __init__(
        self, store: Store, required: KeysRequired, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.required = required
        self._store = store
        self._lock = Lock()
        self._keys: TTLCache[bytes, ApiKey] = TTLCache(_CACHED_KEYS, _TTL, clock)
        #: Whether there are keys, under None.
        self._keys_exist: TTLCache[None, bool] = TTLCache(1, _TTL, clock)

    async def admit(self, authorization: str | None, scope: Scope) -> Caller:
        """Return the caller whom an ``Authorization`` header names, if the key has this scope.

        Raises ``RequestError``: ``key_missing``, ``key_invalid``, ``too_many_requests`` or ``scope_missing``.
        """
        caller = await self.identify(authorization)
        if scope not in caller.scopes:
            raise RequestError(Code.SCOPE_MISSING, f"the scope {scope} is required")
        return caller

    async def identify(self, authorization: str | None) -> Caller:
        """Return the caller, whatever the key's scopes; raise as ``admit`` does, save ``scope_missing``."""
        if not await self.requires_key():
            return ANYBODY
        digest = digest_of(_bearer(authorization))
        return _caller(await asyncio.to_thread(self._use, digest))

    async def requires_key(self) -> bool:
        """Tell whether requests need a key now."""
        if self.required is not KeysRequired.IF_ANY:
            return self.required is KeysRequired.ALWAYS
        exist = self._keys_exist.get(None)
        if exist is None:
            exist = self._keys_exist[None] = await asyncio.to_thread(self._store.keys.exist)
        return exist

    async def charge(self, caller: Caller, images: int) -> None:
        """Count images against a caller's daily quota, or raise ``RequestError(quota_exceeded)``."""
        if caller.key_id is not None:
            await asyncio.to_thread(self._charge, caller.key_id, images, caller.images_per_day)

    async def refund(self, caller: Caller, images: int) -> None:
        """Take back a charge; the store may be away by now."""
        if caller.key_id is None:
            return
        try:
            await asyncio.to_thread(self._store.keys.refund_images, caller.key_id, images)
        except ResourceError as error:
            _log.warning("charge not taken back", extra={"key_id": caller.key_id, "reason": str(error)})

    async def check_open_jobs(self, caller: Caller) -> None:
        """Raise ``RequestError(quota_exceeded)`` if a caller has as many jobs open as the key allows."""
        if caller.key_id is None or caller.open_jobs is None:
            return
        if await asyncio.to_thread(self._store.keys.open_jobs, caller.key_id) >= caller.open_jobs:
            detail = f"{caller.open_jobs} open jobs"
            raise RequestError(Code.QUOTA_EXCEEDED, detail, _OPEN_JOBS_RETRY_AFTER)

    def _use(self, digest: bytes) -> ApiKey:
        """Return the key of this digest, and count a request against its rate limit."""
        key = self._look_up(digest)
        wait = None if key is None else self._store.keys.use(key.id)
        if key is None or wait is None:
            with self._lock:
                self._keys.pop(digest, None)
            raise RequestError(Code.KEY_INVALID)
        if wait > 0:
            detail = f"{key.grant.rate:g} requests a second, {key.grant.burst} at once"
            raise RequestError(Code.TOO_MANY_REQUESTS, detail, wait)
        return key

    def _look_up(self, digest: bytes) -> ApiKey | None:
        with self._lock:
            cached = self._keys.get(digest)
        if cached is not None:
            return cached
        # Unknown keys are not cached: they would push the known ones out.
        if key := self._store.keys.find(digest):
            with self._lock:
                self._keys[digest] = key
        return key

    def _charge(self, key_id: int, images: int, limit: int | None) -> None:
        if not self._store.keys.charge_images(key_id, images, limit):
            to_midnight = _DAY - self._store.hosts.now() % _DAY
            raise RequestError(Code.QUOTA_EXCEEDED, f"{limit} images a day", to_midnight)


def _bearer(authorization: str | None) -> str:
    """Return the key in a header (RFC 6750, section 2.1), if it is well formed."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise RequestError(Code.KEY_MISSING)
    if not is_well_formed(key.strip()):
        raise RequestError(Code.KEY_INVALID, "it is mistyped or incomplete")
    return key.strip()


def _caller(key: ApiKey) -> Caller:
    """Return the caller with this key; scopes that this version does not know are left out."""
    granted = key.grant.scopes
    scopes = frozenset(scope for scope in Scope if scope in granted or Scope.ADMIN in granted)
    return Caller(key.id, scopes, key.grant.images_per_day, key.grant.open_jobs)


def own_job(store: Store, caller: Caller, job_id: int) -> Job:
    """Return a job of this caller; to others it does not exist: raise ``UsageError(job_unknown)``."""
    job = store.jobs.get(job_id)
    if not may_see(caller, job):
        raise unknown_job(job_id)
    return job


def may_see(caller: Caller, job: Job) -> bool:
    """Tell whether a caller may read and control a job: it was submitted with the same key."""
    return caller.sees_all or (job.key_id is not None and job.key_id == caller.key_id)


def unknown_job(job_id: int) -> UsageError:
    """Return the error for a job that does not exist, or not for this caller."""
    return UsageError(Code.JOB_UNKNOWN, f"job {job_id}")


def key_seen_by(caller: Caller) -> int | None:
    """Return the key whose jobs a caller may see, or None if the caller may see every job."""
    if caller.sees_all:
        return None
    return _NO_KEY if caller.key_id is None else caller.key_id


def check_origin(
    host: str | None, origin: str | None, allowed: Collection[str], is_ours: Callable[[str], bool]
) -> None:
    """Raise ``RequestError(origin_refused)`` for a request that a page of another site sends.

    Where no key is required, such a page reaches whatever the browser reaches. Its ``Origin`` header gives it
    away (RFC 6454), or, where its name resolves to our address (DNS rebinding), its ``Host`` header.
    ``allowed`` are the origins that CORS admits; ``is_ours`` tells whether a host name or address is ours.
    """
    match = _HOST.fullmatch(host or "")
    if match is None or not is_ours((match[1] or match[2]).lower()):
        raise RequestError(Code.ORIGIN_REFUSED, f"its Host is {printable(repr(host))}")
    own = {f"{scheme}://{host}".lower() for scheme in ("http", "https")}
    if origin is not None and origin.lower() not in own | {one.lower() for one in allowed}:
        raise _origin_refused(origin, host)


def check_same_origin(host: str | None, origin: str | None) -> None:
    """Raise ``RequestError(origin_refused)`` if a request comes from a page of another origin than its host.

    Browsers send ``Origin`` with every request that may change something. The scheme is not compared: behind
    a proxy it may be another one.
    """
    if origin is not None and origin.lower().partition("://")[2] != (host or "").lower():
        raise _origin_refused(origin, host)


def _origin_refused(origin: str, host: str | None) -> RequestError:
    """Return the error, with what to do if a proxy put its own name into the Host."""
    names = f"its Origin is {origin[:80]!r}, its Host {(host or '')[:80]!r}"
    advice = "a proxy must pass on the Host, or be in SMARTSIGHT_TRUSTED_PROXIES and send X-Forwarded-Host"
    return RequestError(Code.ORIGIN_REFUSED, f"{names}; {advice}")


def is_remote(client: str) -> bool:
    """Tell whether a client's address is that of another machine; what is no address is not."""
    try:
        return not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address is this machine's loopback, without asking a name server."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
