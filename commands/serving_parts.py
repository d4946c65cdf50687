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
from shared.errors import Code, UsageError
from shared.settings import Settings
from shared.store.store import Store

if TYPE_CHECKING:
    from results_api.service.health import Check
    from results_api.service.services import Services

_log = logging.getLogger("smartsight.api")


def make_services(options: Namespace, settings: Settings, address: str, stack: ExitStack) -> "Services":
    """Return what the routes work with; what has to be ended with the service is in the stack."""
    from results_api.access.access import Access
    from results_api.service.health import Health
    from results_api.service.services import Services

    store = patiently(lambda: stack.enter_context(open_store(settings)), threading.Event())
    if is_open(store.has_keys(), address, options.no_auth):
        _log.warning("open: whoever reaches %s may do everything, no key is asked for", address)
    checks: dict[str, Check] = {"store": lambda: _ask(store)}
    if settings.broker_url:
        checks["broker"] = lambda: check_broker(settings)
    return Services(store, settings, Access(), health=Health(checks), observer=ApiMetrics())


def is_open(has_keys: bool, address: str, no_auth: bool) -> bool:
    """Tell whether everybody is answered; raise ``UsageError(keys_needed)`` if strangers would be."""
    if not (has_keys or no_auth or ip_address(address).is_loopback):
        raise UsageError(Code.KEYS_NEEDED, f"--host {address}; smartsight keys create")
    return no_auth or not has_keys


def _ask(store: Store) -> None:
    """Ask the database the time."""
    store.now()
