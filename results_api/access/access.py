"""Decide on each request: does its key exist, does it allow this, does it not come too often."""

from results_api.access.caller import ANYBODY, Caller, Scope


class Access:
    """Lets everybody in."""

    async def admit(self, authorization: str | None, scope: Scope) -> Caller:
        """Return who asks, or raise ``RequestError``."""
        return ANYBODY

    async def charge(self, caller: Caller, images: int) -> None:
        """Count images against the quota of a key, or raise ``RequestError(quota_exceeded)``."""

    async def check_open_jobs(self, caller: Caller) -> None:
        """Raise ``RequestError(quota_exceeded)`` if the key has as many open jobs as it may."""
