"""The service with routes for those who send, or read, as slowly as they like: a program of its own.

Run with the path of a database and the limits of connections as JSON, ``exit_grace`` among them for
the end of the process; the settings are in the environment.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from commands.connections import ConnectionTimeouts, TimeoutHttpProtocol
from commands.metrics import ApiMetrics
from commands.serving import EXIT_GRACE, bound_socket, serve
from commands.terminal import set_verbosity
from results_api.access import KeysRequired
from results_api.service.app import make_app
from results_api.service.services import Services
from shared.settings import read_settings
from shared.store.database import Database
from shared.store.store import Store
from tests.contract.api import Surroundings, services_on


def main(path: Path, limits: str) -> None:
    set_verbosity("normal")
    timeouts = json.loads(limits)
    exit_grace = timeouts.pop("exit_grace", EXIT_GRACE)
    TimeoutHttpProtocol.timeouts = replace(ConnectionTimeouts(), **timeouts)
    settings = read_settings(os.environ)
    with closing(Database(f"sqlite:///{path}")) as database, bound_socket("127.0.0.1", 0) as listener:
        store = Store(database)
        services = services_on(store, Surroundings(wanted=KeysRequired.NEVER))
        services = replace(services, settings=settings, observer=ApiMetrics())
        app = make_app(services)
        _add_bodies(app)
        _add_chunks(app)
        _add_endless(app, services)
        serve(app, listener, services.draining, settings.drain_timeout, exit_grace)


def _add_bodies(app: FastAPI) -> None:
    @app.post("/uploads")
    async def uploads(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/refusals", status_code=403)
    async def refusals() -> str:
        return "without a look at the body"


def _add_chunks(app: FastAPI) -> None:
    @app.get("/chunks")
    async def chunks() -> StreamingResponse:
        return StreamingResponse(iter(["one", "two"]))

    @app.get("/broken")
    async def broken() -> StreamingResponse:
        def parts() -> Iterator[str]:
            yield "one"
            raise ZeroDivisionError

        return StreamingResponse(parts())


def _add_endless(app: FastAPI, services: Services) -> None:
    @app.get("/events")
    async def events() -> StreamingResponse:
        async def until_the_end() -> AsyncIterator[str]:
            yield "begin\n"
            await services.draining.begun()
            yield "end\n"

        return StreamingResponse(until_the_end())

    @app.get("/threads")
    async def threads() -> None:
        for_ever = threading.Event().wait
        await asyncio.gather(asyncio.to_thread(for_ever), run_in_threadpool(for_ever))

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def without_end() -> AsyncIterator[bytes]:
            while True:
                yield bytes(100_000)
                await asyncio.sleep(0)

        return StreamingResponse(without_end())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
