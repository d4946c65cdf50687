"""Asking an ASGI app by hand: what arrives and when is the test's to say."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Answered:
    """What an app sent, and what the request had become known for."""

    messages: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def type(self) -> str:
        """The code of a failure."""
        kind: str = orjson.loads(self.body)["error"]["type"]
        return kind


async def ask(
    app: ASGIApp,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    body: Iterable[Message] = (),
    method: str = "GET",
) -> Answered:
    """Ask once; what arrives after these parts of a body is waited for in vain."""
    answered, parts = Answered(), iter([*body] or [part(b"", more=False)])

    async def receive() -> Message:
        for message in parts:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing ends this wait but being cancelled")

    async def send(message: Message) -> None:
        answered.messages.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: Scope = {
        **{"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": raw},
        **{"query_string": b"secret=1", "client": ("192.0.2.1", 1), "state": answered.state},
    }
    await app(scope, receive, send)
    return answered


def part(body: bytes, more: bool = True) -> Message:
    """Return a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


async def well(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with two bytes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
