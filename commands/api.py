"""`smartsight api`: serve the HTTP API."""

import http.client
from argparse import Namespace
from contextlib import ExitStack, closing, suppress

from commands.terminal import log_as_json, say
from shared.settings import Settings

#: Time limit of `--check`, in seconds.
_PATIENCE = 10.0


def run(options: Namespace, settings: Settings) -> int:
    """Serve until interrupted and return 0; with ``--check`` return 0 if a local service is ready."""
    if options.check:
        return _check(options.host, options.port)
    log_as_json()
    with suppress(KeyboardInterrupt):  # the usual end of a service, even before it was ready
        _serve(options, settings)
    return 0


def _serve(options: Namespace, settings: Settings) -> None:
    # Imported here, because `--check` runs every few seconds and needs none of it.
    from commands.serving import bound, serve
    from commands.serving_parts import make_services
    from results_api.service.app import make_app

    with ExitStack() as stack:
        listener = stack.enter_context(bound(options.host, options.port))
        services = make_services(options, settings, listener.getsockname()[0], stack)
        serve(make_app(services), listener, services.draining, settings.drain_timeout)


def _check(host: str, port: int) -> int:
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        say(f"smartsight: no service answers at {host}:{port}: {error}", always=True)
        return 1
    if status != 200:
        say(f"smartsight: the service at {host}:{port} is not ready", always=True)
    return 0 if status == 200 else 1
