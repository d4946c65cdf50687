"""`smartsight up`: the service and a worker in one process, without any server."""

from argparse import Namespace
from contextlib import ExitStack, suppress
from functools import partial

from commands.terminal import log_as_json
from shared.errors import Code, UsageError
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Answer and label until interrupted, and return 0 then."""
    if settings.broker_url:
        detail = "SMARTSIGHT_BROKER_URL is set: start `smartsight api` and `smartsight worker`"
        raise UsageError(Code.SETTING_INVALID, detail)
    log_as_json()
    with suppress(KeyboardInterrupt):  # that is how it ends
        _run(options, settings)
    return 0


def _run(options: Namespace, settings: Settings) -> None:
    from commands.serving import TO_END, bound, serve
    from commands.serving_parts import make_services
    from commands.worker import GRACE, work_alone
    from results_api.service.app import make_app

    with ExitStack() as stack:
        listener = stack.enter_context(bound(options.host, options.port))
        parts = {"worker": partial(work_alone, options, settings)}
        services = make_services(options, settings, listener.getsockname()[0], stack, parts)
        to_end = GRACE + TO_END  # the worker stops when nobody is answered any more
        serve(make_app(services), listener, services.draining, settings.drain_timeout, to_end)
