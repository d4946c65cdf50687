"""`smartsight keys create|list|revoke`: API keys with scopes, rates and quotas."""

from argparse import Namespace
from datetime import datetime, timedelta

from commands.arguments import DEFAULT_SCOPES
from commands.parts import open_store
from commands.terminal import say, show
from results_api.api_keys import digest_of, ending_of, make_key
from shared.errors import printable
from shared.items import now
from shared.settings import Settings
from shared.store.store import ApiKey, Grant, Store

_HEAD = f"{'key':>5} {'ending':<7} {'state':<8} {'created':<16} {'last used':<16} {'name':<20} allows"


def run(options: Namespace, settings: Settings) -> int:
    """Create a key, list all, or revoke some."""
    with open_store(settings) as store:
        _ACTIONS[options.action](store, options)
    return 0


def _create(store: Store, options: Namespace) -> None:
    is_first = not store.keys.exist()
    key = make_key()
    added = store.keys.add(digest_of(key), ending_of(key), _grant(options))
    show(key)
    say(f"Key {added.id}, {added.grant.name}: {_allowances(added.grant)}. It is not shown again.")
    say("Send it as `Authorization: Bearer KEY`; smartsight itself reads it from SMARTSIGHT_API_KEY.")
    if is_first:
        say("It is the first key: from now on every request needs a key, on this machine, too.")


def _grant(options: Namespace) -> Grant:
    return Grant(
        name=printable(options.name),
        scopes=tuple(dict.fromkeys(options.scope or DEFAULT_SCOPES)),
        rate=options.rate,
        burst=options.burst,
        images_per_day=options.images_per_day,
        open_jobs=options.open_jobs,
        expires_at=None if options.expires is None else now() + timedelta(days=options.expires),
    )


def _list(store: Store, _: Namespace) -> None:
    time = now()
    show(_HEAD, *(_line(key, time) for key in store.keys.all()))


def _revoke(store: Store, options: Namespace) -> None:
    for key_id in options.ids:
        store.keys.revoke(key_id)
        say(f"Key {key_id}: revoked.")


_ACTIONS = {"create": _create, "list": _list, "revoke": _revoke}


def _line(key: ApiKey, time: datetime) -> str:
    used = "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}"
    facts = f"{key.id:>5} ...{key.ending:<4} {_state(key, time):<8} {key.created_at:%Y-%m-%d %H:%M}"
    return f"{facts} {used:<16} {key.grant.name:<20} {_allowances(key.grant)}"


def _state(key: ApiKey, time: datetime) -> str:
    if key.is_good(time):
        return "valid"
    return "expired" if key.revoked_at is None else "revoked"


def _allowances(grant: Grant) -> str:
    """Return what a key allows, as text."""
    words = [", ".join(grant.scopes), f"{grant.rate:g} requests/s, {grant.burst} at once"]
    if grant.images_per_day is not None:
        words.append(f"{grant.images_per_day} images/day")
    if grant.open_jobs is not None:
        words.append(f"{grant.open_jobs} open jobs")
    if grant.expires_at is not None:
        words.append(f"until {grant.expires_at:%Y-%m-%d %H:%M} UTC")
    return "; ".join(words)
