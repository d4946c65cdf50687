"""Events as text, a block each (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2)."""

from typing import Any

import orjson


def event(name: str, data: Any, id_: str) -> bytes:
    """Return an event; its data is one line of JSON."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), id_.encode(), orjson.dumps(data))


def heartbeat() -> bytes:
    """Return what says nothing but that the stream lives: proxies close silent ones."""
    return b": still here\n\n"
