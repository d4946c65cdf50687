"""`smartsight api`: serve the HTTP API. `smartsight up`: serve it and label, in one process."""

import http.client
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from commands.terminal import log_as_json, say
from shared.errors import Code, UsageError
from shared.settings import Settings

if TYPE_CHECKING:
    from commands.background import Part

#: Longest time for the service's response to a check, in seconds.
_CHECK_TIMEOUT = 10.0


def run(options: Namespace, settings: Settings) -> int:
    """Serve until interrupted, and return 0 then; with ``--check`` return 0 if a service here is ready."""
    if options.check:
        return _check(options.host, options.port)
    log_as_json()
    with suppress(KeyboardInterrupt):  # that ends a service, also one that is not ready yet
        _serve(options, settings)
    return 0


def run_with_worker(options: Namespace, settings: Settings) -> int:
    """Serve and label until interrupted, and return 0 then; raise ``UsageError`` if there is a broker."""
    if settings.broker_url:
        detail = "SMARTSIGHT_BROKER_URL is set: run `smartsight api` and `smartsight worker` instead"
        raise UsageError(Code.SETTING_INVALID, detail)
    log_as_json()
    with suppress(KeyboardInterrupt):
        from commands.worker import GRACE, work_alone

        # The worker stops after the last response.
        _serve(options, settings, {"worker": partial(work_alone, options, settings)}, GRACE)
    return 0


def _serve(
    options: Namespace, settings: Settings, parts: Mapping[str, "Part"] | None = None, grace: float = 0.0
) -> None:
    """Serve, with these parts in the background, which may take ``grace`` seconds to stop."""
    # Not at the top: `--check` runs every few seconds and needs none of it.
    from commands.serving import EXIT_GRACE, bound_socket, serve
    from commands.serving_parts import make_services
    from results_api.service.app import make_app

    with ExitStack() as stack:
        listener = stack.enter_context(bound_socket(options.host, options.port))
        services = make_services(options, settings, listener.getsockname()[0], stack, parts)
        app = make_app(services)
        serve(app, listener, services.draining, settings.drain_timeout, grace + EXIT_GRACE)


def _check(host: str, port: int) -> int:
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=_CHECK_TIMEOUT)) as connection:
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        say(f"smartsight: no service answers at {host}:{port}: {error}", always=True)
        return 1
    if status != 200:
        say(f"smartsight: the service at {host}:{port} is not ready", always=True)
    return 0 if status == 200 else 1
