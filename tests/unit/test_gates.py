"""Which URLs and addresses are allowed: the cases of hostile URLs, by number, and every denied network."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Code, ItemError
from shared.fetching import guard
from shared.fetching.guard import Guard, NotAllowedError, is_public

_GUARD = Guard((80, 443))

#: By case number: what a stranger may send, and what has to be refused.
_REFUSED = {
    1: ["http://127.0.0.1/"],
    2: ["http://2130706433/"],
    3: ["http://0x7f000001/"],
    4: ["http://0177.0.0.1/"],
    5: ["http://127.1/"],
    6: ["http://0/"],
    7: ["http://0.0.0.0/"],
    8: ["http://127.0.0.1./"],
    9: ["http://①②⑦.⓪.⓪.①/"],
    10: ["http://１２７.０.０.１/"],  # noqa: RUF001
    11: ["http://127。0。0。1/"],
    12: ["http://[::1]/", "http://[::]/"],
    13: ["http://[::ffff:127.0.0.1]/"],
    14: ["http://[::ffff:a9fe:a9fe]/"],
    15: ["http://[::127.0.0.1]/"],
    16: ["http://[64:ff9b::7f00:1]/"],
    17: ["http://[64:ff9b:1::a9fe:a9fe]/"],
    18: ["http://[2002:7f00:1::]/"],
    19: ["http://[2001:0:53aa:64c::1]/"],
    20: ["http://[fe80::1%25lo]/"],
    21: ["http://[fd00:ec2::254]/"],
    22: ["http://[ff02::1]/", "http://[fec0::1]/", "http://[3fff::1]/"],
    23: ["http://169.254.169.254/latest/meta-data/"],
    24: ["http://169.254.170.2/"],
    25: ["http://100.100.100.200/"],
    26: ["http://168.63.129.16/"],
    27: ["http://192.0.0.192/"],
    28: ["http://metadata.google.internal/"],
    29: ["http://10.0.0.1/", "http://172.31.255.255/", "http://192.168.0.1/"],
    30: ["http://100.64.0.1/", "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/"],
    31: ["http://0xA9FEA9FE/", "http://0x7f.1/"],
    32: ["http://0300.0250.0.1/", "http://08.8.8.8/"],
    33: ["http://1.2.3/", "http://1.2.3.256/", "http://1.2.3.4.5/"],
    34: ["http://localhost/", "http://LOCALHOST./", "http://foo.localhost/"],
    35: ["http://metadata/"],
    36: ["http://printer.local/", "http://x.onion/", "http://1.0.0.127.in-addr.arpa/"],
    37: ["http://user:pass@example.com/"],
    38: ["http://example.com@127.0.0.1/"],
    39: ["http://127.0.0.1\\@example.com/"],
    40: [
        "http://example.com:22/",
        "http://example.com:6379/",
        "http://example.com:0/",
        "http://example.com:99999/",
    ],
    41: ["file:///etc/passwd", "file://localhost/etc/passwd"],
    42: ["data:image/png;base64,AAAA"],
    43: ["gopher://127.0.0.1:6379/_INFO"],
    44: [
        "ftp://example.com/a",
        "s3://b/a",
        "jar:http://x!/",
        "javascript:1",
        "blob:http://x",
        "ws://example.com/",
    ],
    45: ["unix:///x", "http+unix://%2Fvar%2Frun%2Fdocker.sock/info"],
    46: ["http:/127.0.0.1/", "http:127.0.0.1/", "//127.0.0.1/", "http:///etc/passwd"],
    47: ["http://[::1", "http://[127.0.0.1]/"],
    48: [
        *("http://example.com/a\r\nHost: x", "http://exa\tmple.com/", "http://example.com/\0"),
        *(
            "http://exa mple.com/",
            "http://example.com:80 /",
            " http://example.com/",
            "http://example.com/\ud800",
        ),
    ],
    49: [f"http://example.com/{'a' * 2048}", f"http://{'a' * 64}.com/"],
    50: ["http://localhost%00.example.com/", "http://ex%61mple.com/"],
}
_ALLOWED = {
    75: {
        "HTTP://EXAMPLE.COM/a": "http://example.com/a",
        "https://example.com:443/a.jpg?x=1#f": "https://example.com/a.jpg?x=1",
    },
    76: {
        "http://8.8.8.8/x": "http://8.8.8.8/x",
        "http://[2606:4700::1111]/": "http://[2606:4700::1111]/",
        "http://[::ffff:8.8.8.8]/": None,
    },
    77: {"http://bücher.example.com/ü.jpg": "http://xn--bcher-kva.example.com/%C3%BC.jpg"},
    78: {
        "http://a_b.example.com/": "http://a_b.example.com/",
        "http://example.com./": "http://example.com./",
    },
}


@pytest.mark.parametrize(
    ("case", "url"),
    [(case, url) for case, urls in _REFUSED.items() for url in urls],
    ids=lambda x: repr(x)[:60],
)
def test_what_strangers_may_not_ask_for(case: int, url: str) -> None:
    with pytest.raises(ItemError) as caught:
        _GUARD.check(url)
    assert caught.value.code is Code.URL_NOT_ALLOWED


@pytest.mark.parametrize(
    ("url", "asked"),
    [pair for pairs in _ALLOWED.values() for pair in pairs.items()],
    ids=lambda x: str(x)[:60],
)
def test_what_they_may(url: str, asked: str | None) -> None:
    assert str(_GUARD.check(url)) == asked or asked is None


def test_the_cases_are_all_there() -> None:
    """Those from 51 to 74 need a network: see the integration tests of the guard and of fetching."""
    assert [*_REFUSED, *_ALLOWED] == [*range(1, 51), *range(75, 79)]


_DENIED_4: list[IPv4Network] = guard._NOT_PUBLIC_4  # type: ignore[assignment]
_DENIED_6: list[IPv6Network] = [
    *guard._NOT_PUBLIC_6,  # type: ignore[list-item]
    *(IPv6Network(text) for text in ("::/3", "4000::/2", "8000::/1")),
]


@st.composite
def _address_in(
    draw: st.DrawFn, networks: list[IPv4Network] | list[IPv6Network]
) -> IPv4Address | IPv6Address:
    network = draw(st.sampled_from(networks))
    return network[draw(st.integers(0, network.num_addresses - 1))]


def _spellings(address: IPv4Address) -> list[str]:
    number, parts = int(address), [int(part) for part in str(address).split(".")]
    wide = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001
    embedded = [
        IPv6Address(prefix | number << shift)
        for prefix, shift in (
            (0xFFFF << 32, 0),  # mapped
            (0, 0),  # compatible
            (0x64_FF9B << 96, 0),  # NAT64
            (0x2002 << 112, 80),  # 6to4
        )
    ]
    return [
        str(address),
        f"{address}.",
        str(number),
        hex(number),
        oct(number).replace("0o", "0"),
        ".".join(hex(part) for part in parts),
        ".".join(oct(part).replace("0o", "0") for part in parts),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
        str(address).translate(wide),
        str(address).replace(".", "。"),
        *(f"[{spelling}]" for spelling in embedded),
        *(f"[{spelling.exploded}]" for spelling in embedded),
    ]


@given(_address_in(_DENIED_4))
def test_no_spelling_of_a_denied_ipv4_address_is_allowed(address: IPv4Address) -> None:
    assert not is_public(str(address))
    for spelling in _spellings(address):
        with pytest.raises(ItemError):
            _GUARD.check(f"http://{spelling}/a.jpg")


@given(_address_in(_DENIED_6))
def test_no_spelling_of_a_denied_ipv6_address_is_allowed(address: IPv6Address) -> None:
    if address.ipv4_mapped is not None and is_public(str(address.ipv4_mapped)):
        return  # the public IPv4 address itself
    for spelling in (str(address), address.exploded, str(address).upper()):
        assert not is_public(spelling)
        with pytest.raises(ItemError):
            _GUARD.check(f"http://[{spelling}]/a.jpg")


@given(st.text(max_size=40), st.sampled_from(("http://", "https://", "", "HTTP://")))
def test_any_text_is_judged_and_the_judgement_holds_for_what_is_asked(text: str, scheme: str) -> None:
    with suppress(ItemError):
        url = _GUARD.check(scheme + text)
        assert _GUARD.check(str(url)) == url
        assert url.user is None
        assert url.port in (80, 443)


def test_our_own_places_are_open_and_no_others() -> None:
    guard = Guard((80, 443), [("images.lan", 8080), ("10.0.0.5", 80)])
    assert str(guard.check("http://images.lan:8080/a")) == "http://images.lan:8080/a"
    assert guard.is_own(guard.check("http://10.0.0.5/a"))
    guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.5", 80))).close()
    for url in ("http://images.lan/a", "http://10.0.0.5:8080/a", "http://10.0.0.6/a", "http://x@10.0.0.5/a"):
        with pytest.raises(ItemError):
            guard.check(url)


def test_an_address_of_our_own_name_is_open_only_once_the_name_led_there() -> None:
    guard = Guard((80, 443), [("images.lan", 8080)])
    with pytest.raises(NotAllowedError):
        guard.check_answers("evil.example.com", 8080, ["10.0.0.7"])
    place = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.7", 8080))
    with pytest.raises(NotAllowedError):
        guard.open_socket(place)
    guard.check_answers("images.lan", 8080, ["10.0.0.7"])
    guard.open_socket(place).close()
    with pytest.raises(NotAllowedError):
        guard.open_socket((*place[:4], ("10.0.0.7", 80)))


def test_a_strangers_name_does_not_lead_to_a_place_of_our_own() -> None:
    guard = Guard((80, 443), [("images.lan", 80), ("10.0.0.5", 80)])
    guard.check_answers("images.lan", 80, ["10.0.0.7"])
    for address in ("10.0.0.5", "10.0.0.7"):
        with pytest.raises(NotAllowedError):
            guard.check_answers("evil.example.com", 80, [address])


@pytest.mark.parametrize(
    "answers", [["10.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%lo"]]
)
def test_one_bad_answer_refuses_a_name(answers: list[str]) -> None:
    with pytest.raises(NotAllowedError):
        _GUARD.check_answers("evil.example.com", 80, answers)


def test_no_socket_is_made_for_an_address_inside() -> None:
    inside = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("169.254.169.254", 80))
    with pytest.raises(NotAllowedError):
        _GUARD.open_socket(inside)
    _GUARD.open_socket((*inside[:4], ("93.184.216.34", 80))).close()
