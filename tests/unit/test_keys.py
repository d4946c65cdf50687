"""What keys look like, and from where an API without keys may be asked."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results_api.access import check_origin, is_loopback
from results_api.api_keys import digest_of, ending_of, is_well_formed, make_key
from shared.errors import Code, RequestError

_KEY = make_key()
_DIGITS = string.ascii_letters + string.digits
#: Nobody's. The form must stay: people hold keys of it, and scanners look for them.
_OF_OLD = "ss_live_0000000000000000000000000000000000ezFm4"


def test_a_new_key_is_well_formed_and_like_no_other() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_well_formed(key) for key in keys)
    assert {(key[:8], len(key), key.isascii()) for key in keys} == {("ss_live_", 47, True)}


def test_keys_made_long_ago_are_well_formed() -> None:
    assert is_well_formed(_OF_OLD)


def test_every_digit_occurs_in_keys() -> None:
    assert {digit for _ in range(200) for digit in make_key().removeprefix("ss_live_")} == set(_DIGITS)


@given(st.integers(0, len(_KEY) - 1), st.sampled_from(_DIGITS + "_-. \n"))
def test_a_changed_character_is_refused(place: int, other: str) -> None:
    changed = _KEY[:place] + other + _KEY[place + 1 :]
    assert is_well_formed(changed) == (changed == _KEY)


@given(st.integers(0, len(_KEY) - 2))
def test_two_characters_that_changed_places_are_refused(place: int) -> None:
    first, second = _KEY[place : place + 2]
    swapped = _KEY[:place] + second + first + _KEY[place + 2 :]
    assert is_well_formed(swapped) == (swapped == _KEY)


@pytest.mark.parametrize(
    "text",
    ["", "ss_live_", _OF_OLD[:-1], _OF_OLD + "0", f" {_OF_OLD}", f"{_OF_OLD}\n", "é" * 47],
)
def test_what_is_cut_off_or_added_to_is_refused(text: str) -> None:
    assert not is_well_formed(text)


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    assert not is_well_formed(text)


def test_of_a_key_its_sha256_and_its_last_characters_are_kept() -> None:
    assert digest_of("abc").hex().startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
    assert ending_of(_KEY) == _KEY[-4:]


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8000", "127.0.0.1:8000", "127.8.9.10", "[::1]:8000"]
)
def test_this_machine_is_asked_by_its_own_names(host: str) -> None:
    check_origin(host, None, (), is_loopback)
    check_origin(host, f"http://{host.lower()}", (), is_loopback)
    check_origin(host, f"https://{host}", (), is_loopback)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example.com",
        "evil.example.com:8000",
        "localhost.evil.example.com",
        "127.0.0.1.evil.example.com",
        "127.0.0.1@evil.example.com",
        "evil.example.com#127.0.0.1",
        "localhost:8000:8000",
        "localhost:",
        "localhost\n",
        "192.168.1.1:8000",
        "0.0.0.0:8000",
        "[::]:8000",
        "::1",
        "127.1",
        "2130706433",
    ],
)
def test_a_name_that_a_stranger_can_give_us_is_refused(host: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        check_origin(host, None, (), is_loopback)
    assert caught.value.code is Code.ORIGIN_REFUSED


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example.com",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:8000",
        "http://localhost:8000.evil.example.com",
        "http://evil.example.com/localhost:8000",
        "file://",
    ],
)
def test_a_page_from_elsewhere_is_refused_unless_it_is_allowed(origin: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_origin("localhost:8000", origin, ["https://app.example.com"], is_loopback)
    assert caught.value.code is Code.ORIGIN_REFUSED
    check_origin("localhost:8000", origin, ["https://app.example.com", origin], is_loopback)


def test_an_allowed_page_must_still_ask_this_machine() -> None:
    check_origin("localhost:8000", "https://APP.example.com", ["https://app.example.com"], is_loopback)
    with pytest.raises(RequestError):
        check_origin("app.example.com", "https://app.example.com", ["https://app.example.com"], is_loopback)


def test_of_our_own_names_any_or_those_that_are_told() -> None:
    check_origin("api.example.com:8000", "https://api.example.com:8000", (), bool)
    with pytest.raises(RequestError):
        check_origin("api.example.com", "https://evil.example.com", (), bool)
    check_origin("API.example.com", None, (), {"api.example.com"}.__contains__)
    with pytest.raises(RequestError):
        check_origin("evil.example.com", None, (), {"api.example.com"}.__contains__)


@given(st.ip_addresses(v=4))
def test_only_addresses_below_127_are_this_machine(address: object) -> None:
    assert is_loopback(str(address)) == str(address).startswith("127.")
