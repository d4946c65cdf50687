"""The tests' web where it speaks proper HTTP: pictures, redirects, statuses, rules, validators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.servers.web_hosts import GOOD, RULES

#: Bytes of a page that is no picture, and of a robots.txt that nobody should read to its end.
PAGE_SIZE = 8_000_000
RULES_SIZE = 10_000_000
_HOP_STATUSES = (301, 302, 303, 307, 308)
_MODIFIED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class Asked:
    """One request; ``times`` says how often its target was asked for, this time included."""

    host: str
    port: int
    target: str
    headers: Mapping[str, str]
    times: int = 1

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def kind(self) -> str:
        return self.path.split("/")[1]

    @property
    def rest(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def number(self) -> int:
        return int(self.rest) if self.rest.isascii() and self.rest.isdigit() else 0

    def at(self, target: str) -> "Asked":
        """Return the same request for something else."""
        return replace(self, target=target)

    def option(self, name: str, default: str) -> str:
        return parse_qs(urlsplit(self.target).query).get(name, [default])[0]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Gallery:
    """Pictures that are told apart by bytes behind their end, which decoders do not mind."""

    def __init__(self, samples: Path) -> None:
        files = sorted(samples.glob("*.*g"))
        self.names = [file.stem for file in files]
        self._files = [(file.read_bytes(), _TYPES[file.suffix]) for file in files]

    def of(self, number: int, mark: str) -> Answer:
        content, kind = self._files[number % len(self._files)]
        return Answer(body=content + mark.encode(), headers={"Content-Type": kind})

    def own(self, asked: Asked) -> Answer:
        """Return a picture that no other host and path has."""
        return self.of(asked.number, f" {asked.host}{asked.path}")


Answering = Callable[[Asked, Gallery], Answer]


def answer(asked: Asked, gallery: Gallery) -> Answer:
    """Return the answer; paths that nobody knows are not found."""
    return _ANSWERS.get(asked.kind, _missing)(asked, gallery)


def _picture(asked: Asked, gallery: Gallery) -> Answer:
    return gallery.own(asked)


def _missing(_asked: Asked, _gallery: Gallery) -> Answer:
    return Answer(404)


def _plain(asked: Asked, gallery: Gallery) -> Answer:
    return Answer(body=gallery.own(asked).body, headers={"Content-Type": "text/plain"})


def _same(asked: Asked, gallery: Gallery) -> Answer:
    return gallery.of(0, f" {asked.host} has nothing else")


def _gone(asked: Asked, _gallery: Gallery) -> Answer:
    return _moved(f"http://{asked.host}:{asked.port}/unavailable.png")


def _status(asked: Asked, _gallery: Gallery) -> Answer:
    bodiless = asked.number in (204, 304)
    return Answer(asked.number, b"" if bodiless else b"So it is.\n", {"Content-Type": "text/plain"})


def _busy(asked: Asked, gallery: Gallery) -> Answer:
    """Ask for ``after`` seconds' time the first ``times`` times: /429/N and /503/N."""
    if asked.times > int(asked.option("times", "1")):
        return gallery.own(asked)
    return Answer(int(asked.kind), headers={"Retry-After": asked.option("after", "1")})


def _page(_asked: Asked, _gallery: Gallery) -> Answer:
    return Answer(body=_html(), headers={"Content-Type": "text/html"})


@cache
def _html() -> bytes:
    filler = b"<p>Really not.\n"
    return b"<!doctype html>\n<title>Not here</title>\n" + filler * (PAGE_SIZE // len(filler))


def _rules(asked: Asked, _gallery: Gallery) -> Answer:
    return _text(RULES[asked.rest].encode())


def _huge_rules(_asked: Asked, _gallery: Gallery) -> Answer:
    return _text(_many_rules())


@cache
def _many_rules() -> bytes:
    """Forbid everything at the very end, where no careful reader comes."""
    filler = b"# Nothing to be seen here.\n"
    rules = RULES["private"].encode() + filler * (RULES_SIZE // len(filler))
    return rules + b"Disallow: /\n"


def _text(body: bytes) -> Answer:
    return Answer(body=body, headers={"Content-Type": "text/plain"})


def _moved(location: str, status: int = 302) -> Answer:
    return Answer(status, headers={"Location": location})


def _hops(asked: Asked, _gallery: Gallery) -> Answer:
    """Redirect N times before ``to`` is reached."""
    end = asked.option("to", "/ok/0")
    left = asked.number - 1
    status = _HOP_STATUSES[left % len(_HOP_STATUSES)]
    return _moved(f"/hops/{left}?to={end}" if left > 0 else end, status)


#: Where /redirect/WORD leads; PORT is the web's own.
REDIRECTS = {
    "relative": "../ok/101",
    "absolute": "http://moved.example.net:PORT/ok/102",
    "other": f"http://{GOOD[0]}:PORT/ok/103",
    "loop": "/redirect/loop",
    "forbidden": "http://robots-private.example.org:PORT/private/104",
    "metadata": "http://169.254.169.254/",
    "loopback6": "http://[::1]:PORT/ok/0",
    "trap": "http://127.66.6.6:PORT/ok/0",
    "number": "http://2130706433:PORT/ok/0",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:6379/_INFO",
    "data": "data:image/png;base64,AAAA",
    "private": "//10.0.0.1/",
    "user": f"http://user:p@{GOOD[0]}:PORT/ok/0",
    "port": f"http://{GOOD[0]}:22/",
    "private-name": "http://private.example.com:PORT/ok/0",
    "trap-name": "http://trap.example.com:PORT/ok/0",
}


def _to(asked: Asked, _gallery: Gallery) -> Answer:
    """Redirect to the text that /to/HEX has in hexadecimal digits."""
    return _moved(bytes.fromhex(asked.rest).decode())


def _redirect(asked: Asked, _gallery: Gallery) -> Answer:
    if asked.rest not in REDIRECTS:
        return Answer(302)  # without saying whereto
    return _moved(REDIRECTS[asked.rest].replace("PORT", str(asked.port)))


def _tagged(asked: Asked, gallery: Gallery) -> Answer:
    """Say 304 to whoever has this ETag already."""
    tag = f'"{asked.host}-{asked.number}"'
    known = [value.strip().removeprefix("W/") for value in asked.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Answer(304, headers={"ETag": tag})
    picture = gallery.own(asked)
    return Answer(200, picture.body, picture.headers | {"ETag": tag})


def _dated(asked: Asked, gallery: Gallery) -> Answer:
    """Say 304 to whoever has seen this since it was last changed."""
    headers = {"Last-Modified": format_datetime(_MODIFIED, usegmt=True)}
    since = asked.headers.get("if-modified-since")
    if since and parsedate_to_datetime(since) >= _MODIFIED:
        return Answer(304, headers=headers)
    picture = gallery.own(asked)
    return Answer(200, picture.body, picture.headers | headers)


_ANSWERS: dict[str, Answering] = {
    **dict.fromkeys(("ok", "slow", "flaky-short", "private"), _picture),
    "plain": _plain,
    "same": _same,
    "unavailable.png": _same,
    "gone": _gone,
    "status": _status,
    **dict.fromkeys(("429", "503"), _busy),
    "html": _page,
    "rules": _rules,
    "huge-rules": _huge_rules,
    "hops": _hops,
    "redirect": _redirect,
    "to": _to,
    "etag": _tagged,
    "modified": _dated,
}
