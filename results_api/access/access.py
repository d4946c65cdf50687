"""Decide on each request: does its key exist, does it allow this, does it not come too often."""

import asyncio
import math
import time
from collections.abc import Callable
from enum import Enum, auto

from results_api.access.caller import ANYBODY, Caller, Scope
from results_api.access.keys import digest_of, is_well_formed
from shared.errors import Code, RequestError
from shared.store.store import ApiKey, Store

#: For how many seconds an answer of the store is good. What a key may only changes by hand; whether it was
#: revoked is asked each time.
_FRESH = 1.0
_DAY = 86_400.0
#: Seconds after which a job may be over, for whoever has too many.
_JOB_TIME = 60.0


class KeysWanted(Enum):
    """When callers are asked for a key."""

    ALWAYS = auto()
    #: Only this machine is answered: everybody on it, until there is a key.
    IF_ANY = auto()
    NEVER = auto()


class Access:
    """Lets those in who may; safe to use from several threads.

    The store is asked in threads, so that whatever else the event loop serves need not wait for it.
    """

    def __init__(self, store: Store, wanted: KeysWanted, clock: Callable[[], float] = time.monotonic) -> None:
        self.wanted = wanted
        self._store = store
        self._clock = clock
        #: Keys by their digests, and until when they need not be looked up.
        self._known: dict[bytes, tuple[ApiKey, float]] = {}
        self._has_keys, self._has_keys_until = False, -math.inf

    async def admit(self, authorization: str | None, scope: Scope) -> Caller:
        """Return who asks, by the header of this name, if they may do this.

        Raises ``RequestError``: ``key_missing``, ``key_invalid``, ``too_many_requests`` or ``scope_missing``.
        """
        caller = await self.identify(authorization)
        if scope not in caller.scopes:
            raise RequestError(Code.SCOPE_MISSING, f"that takes the scope {scope}")
        return caller

    async def identify(self, authorization: str | None) -> Caller:
        """Return who asks, whatever they may; raise what ``admit`` raises, save ``scope_missing``."""
        if not await self.wants_keys():
            return ANYBODY
        digest = digest_of(_bearer(authorization))
        return _caller(await asyncio.to_thread(self._use, digest))

    async def wants_keys(self) -> bool:
        """Tell whether callers are asked for a key now."""
        if self.wanted is not KeysWanted.IF_ANY:
            return self.wanted is KeysWanted.ALWAYS
        if self._clock() >= self._has_keys_until:
            self._has_keys = await asyncio.to_thread(self._store.keys.exist)
            self._has_keys_until = self._clock() + _FRESH
        return self._has_keys

    async def charge(self, caller: Caller, images: int) -> None:
        """Count images against a caller's quota of the day, or raise ``RequestError(quota_exceeded)``."""
        if caller.key_id is not None:
            await asyncio.to_thread(self._charge, caller.key_id, images, caller.images_per_day)

    async def check_open_jobs(self, caller: Caller) -> None:
        """Raise ``RequestError(quota_exceeded)`` if a caller has as many jobs open as they may."""
        if caller.key_id is None or caller.open_jobs is None:
            return
        if await asyncio.to_thread(self._store.keys.open_jobs, caller.key_id) >= caller.open_jobs:
            detail = f"{caller.open_jobs} jobs that are not over"
            raise RequestError(Code.QUOTA_EXCEEDED, detail, _JOB_TIME)

    def _use(self, digest: bytes) -> ApiKey:
        """Return the key of this digest, and count a request of it."""
        key = self._look_up(digest)
        wait = None if key is None else self._store.keys.use(key.id)
        if key is None or wait is None:
            self._known.pop(digest, None)
            raise RequestError(Code.KEY_INVALID)
        if wait > 0:
            detail = f"{key.grant.rate:g} requests a second, {key.grant.burst} at once"
            raise RequestError(Code.TOO_MANY_REQUESTS, detail, wait)
        return key

    def _look_up(self, digest: bytes) -> ApiKey | None:
        known, until = self._known.get(digest, (None, -math.inf))
        if self._clock() < until:
            return known
        # Unknown keys are not remembered: there is no end to them.
        if key := self._store.keys.find(digest):
            self._known[digest] = (key, self._clock() + _FRESH)
        return key

    def _charge(self, key_id: int, images: int, limit: int | None) -> None:
        if not self._store.keys.charge_images(key_id, images, limit):
            to_midnight = _DAY - self._store.hosts.now() % _DAY
            raise RequestError(Code.QUOTA_EXCEEDED, f"{limit} images a day", to_midnight)


def _bearer(authorization: str | None) -> str:
    """Return the key in a header (RFC 6750, section 2.1), if it can be one."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise RequestError(Code.KEY_MISSING)
    if not is_well_formed(key.strip()):
        raise RequestError(Code.KEY_INVALID, "it is mistyped or incomplete")
    return key.strip()


def _caller(key: ApiKey) -> Caller:
    """Return whoever shows this key: ``admin`` includes all, and what we know no scope of is left out."""
    granted = key.grant.scopes
    scopes = frozenset(scope for scope in Scope if scope in granted or Scope.ADMIN in granted)
    return Caller(key.id, scopes, key.grant.images_per_day, key.grant.open_jobs)
