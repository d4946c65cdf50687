"""The hosts of the tests' web: their names, addresses and habits, and the names that lead elsewhere."""

from dataclasses import dataclass

#: One answer of the resolver for ever, or a first one and then another.
Names = dict[str, list[str] | list[list[str]]]


@dataclass(frozen=True)
class Host:
    """``robots`` is the path whose answer stands at /robots.txt, ``tag`` the X-Robots-Tag of all others."""

    robots: str = "/status/404"
    tag: str = ""
    addresses: int = 1


#: Texts of robots.txt, served at /rules/NAME.
RULES = {
    "private": "User-agent: *\nDisallow: /private/\n",
    "all": "User-agent: *\nDisallow: /\n",
    "us": "User-agent: *\nAllow: /\n\nUser-agent: SmartSightBot\nDisallow: /private/\n",
    "delay": "User-agent: *\nCrawl-delay: 1\n",
}
GOOD = tuple(f"good-{number:02}.example.com" for number in range(1, 15))
#: Where one thing each is broken.
BROKEN = tuple(
    f"{habit}.example.net"
    for habit in (
        *("hang", "drip", "header-drip", "endless-headers", "continue", "gzip", "short", "closed", "reset"),
        *("old", "garbage", "status-500", "status-503", "limited"),
    )
)
_ROBOTS = {
    "robots-private": "/rules/private",
    "robots-all": "/rules/all",
    "robots-us": "/rules/us",
    "robots-404": "/status/404",
    "robots-403": "/status/403",
    "robots-500": "/status/500",
    "robots-hang": "/hang/0",
    "robots-closed": "/closed/0",
    "robots-html": "/html/0",
    "robots-moved-5": "/hops/5?to=/rules/private",
    "robots-moved-6": "/hops/6?to=/rules/private",
    "robots-inside": "/redirect/trap",
    "robots-huge": "/huge-rules/0",
    "robots-delay": "/rules/delay",
}
_TAGS = {
    "tag-noai": "noai",
    "tag-noimageai": "noimageai",
    "tag-noindex": "noindex, nofollow",
    "tag-other": "otherbot: noindex",
    "tag-us": "smartsightbot: noai",
}
MIXED = "mixed.example.com"
REBINDING = ("rebinding.example.com", "rebinding-trap.example.com")
#: Asked for by a resolver as it is written in ASCII.
IDN = "xn--bcher-kva.example.com"
HOSTS: dict[str, Host] = {
    **dict.fromkeys(GOOD, Host()),
    **dict.fromkeys(BROKEN, Host()),
    **{f"{name}.example.org": Host(robots=path) for name, path in _ROBOTS.items()},
    **{f"{name}.example.org": Host(tag=tag) for name, tag in _TAGS.items()},
    "slow.example.com": Host(),
    "two-homes.example.com": Host(addresses=2),
    IDN: Host(),
    "under_score.example.com": Host(),
    "moved.example.net": Host(),
    "strange.example.net": Host(),
    "statuses.example.net": Host(),
    "busy.example.net": Host(),
    "flaky.example.net": Host(),
    "fresh.example.com": Host(),
    "gone.example.com": Host(),
    "same.example.com": Host(),
    "alike.example.com": Host(),
    MIXED: Host(),
    **dict.fromkeys(REBINDING, Host()),
}
#: Where the web listens too, though nobody may come there: a connection is a hole in a guard.
TRAPS = ("127.0.0.1", "127.66.6.6")
TRAP6 = "::1"
#: Allowed to be called, but nothing listens there.
SHUT = "127.64.250.1"


def _addresses() -> dict[str, list[str]]:
    numbers = iter(range(1, 250))
    return {
        name: [f"127.64.0.{next(numbers)}" for _ in range(host.addresses)] for name, host in HOSTS.items()
    }


#: Where each host listens.
ADDRESSES = _addresses()
#: Names whose addresses are inside, for which no request may be made.
INSIDE: dict[str, list[str]] = {
    "loopback.example.com": ["127.0.0.1"],
    "trap.example.com": [TRAPS[1]],
    "private.example.com": ["10.0.0.1"],
    "mapped.example.com": ["::ffff:10.0.0.1"],
    "mapped-trap.example.com": ["::ffff:127.66.6.6"],
    "nat64.example.com": ["64:ff9b::a9fe:a9fe"],
    "link.example.com": ["fe80::1"],
    "metadata.example.com": ["169.254.169.254"],
    MIXED: [*ADDRESSES[MIXED], "10.0.0.1"],
}
NAMES: Names = {
    **ADDRESSES,
    **INSIDE,
    "shut.example.net": [SHUT],
    REBINDING[0]: [ADDRESSES[REBINDING[0]], ["169.254.169.254"]],
    REBINDING[1]: [ADDRESSES[REBINDING[1]], [TRAPS[1]]],
}
