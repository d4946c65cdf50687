"""Put the service's parts together: what its routes work with, and what runs beside them."""

import logging
import threading
from argparse import Namespace
from contextlib import ExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING

from commands.api_metrics import ApiMetrics
from commands.parts import open_store
from commands.servers import check_broker, patiently
from results_api.access.access import Access, KeyStore, KeysWanted
from shared.errors import Code, UsageError
from shared.settings import Settings
from shared.store.store import Store

if TYPE_CHECKING:
    from results_api.service.health import Check
    from results_api.service.services import Services

_log = logging.getLogger("smartsight.api")


def make_services(options: Namespace, settings: Settings, address: str, stack: ExitStack) -> "Services":
    """Return what the routes work with; what has to be ended with the service is in the stack.

    What else answers need joins here: the classifier with its check of the name "model", and the threads
    that work beside the service.
    """
    from results_api.service.health import Health
    from results_api.service.services import Services

    store = patiently(lambda: stack.enter_context(open_store(settings)), threading.Event())
    wanted = keys_wanted(store, address, options.no_auth)
    _tell(wanted, store, address)
    checks: dict[str, Check] = {"store": lambda: _ask(store)}
    if settings.broker_url:
        checks["broker"] = lambda: check_broker(settings)
    return Services(store, settings, Access(store, wanted), health=Health(checks), observer=ApiMetrics())


def keys_wanted(store: KeyStore, address: str, no_auth: bool) -> KeysWanted:
    """Return when callers are asked for a key; raise ``UsageError(keys_needed)`` if no caller has one."""
    if no_auth:
        return KeysWanted.NEVER
    if ip_address(address).is_loopback:
        return KeysWanted.IF_ANY
    if not store.has_keys():
        raise UsageError(Code.KEYS_NEEDED, f"--host {address}; smartsight keys create makes one")
    return KeysWanted.ALWAYS


def _tell(wanted: KeysWanted, store: KeyStore, address: str) -> None:
    """Say in the log if no key is asked for."""
    if wanted is KeysWanted.NEVER:
        _log.warning("open: whoever reaches %s may do everything", address)
    elif wanted is KeysWanted.IF_ANY and not store.has_keys():
        _log.warning("open: there is no key, so that everybody on this machine may do everything")


def _ask(store: Store) -> None:
    """Ask the database the time."""
    store.now()
