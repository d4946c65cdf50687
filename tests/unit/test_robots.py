"""What a robots.txt allows, and which of its rules says no."""

import pytest

from shared.fetching.robots import MAX_DELAY, parse_rules

_ROBOT = "smartsightbot"


@pytest.mark.parametrize(
    ("text", "path", "rule"),
    [
        ("", "/a.jpg", None),
        ("User-agent: *\nDisallow:", "/a.jpg", None),
        ("User-agent: *\nDisallow: /private/", "/private/a.jpg", "/private/"),
        ("User-agent: *\nDisallow: /private/", "/public/a.jpg", None),
        ("User-agent: *\nDisallow: /\nAllow: /public/", "/public/a.jpg", None),
        ("User-agent: *\nDisallow: /p\nDisallow: /private/", "/private/a.jpg", "/private/"),
        ("User-agent: *\nDisallow: /*.jpg$ # no pictures", "/x/a.jpg", "/*.jpg$"),
        ("User-agent: SmartSightBot\nDisallow: /\n\nUser-agent: *\nDisallow:", "/a.jpg", "/"),
        (
            "User-agent: OtherBot\nDisallow: /private/very/long\n\nUser-agent: *\nDisallow: /p",
            "/private/very/long",
            "/p",
        ),
        ("User-agent: OtherBot\nDisallow: /", "/a.jpg", None),
        ("<html>nothing of the kind</html>", "/a.jpg", None),
    ],
)
def test_a_rule_forbids_what_it_says(text: str, path: str, rule: str | None) -> None:
    against = parse_rules(text, _ROBOT).against(f"https://example.com{path}")
    assert against == (None if rule is None else f"robots.txt: Disallow: {rule}")


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("", 0.0),
        ("User-agent: *\nCrawl-delay: 2.5", 2.5),
        ("User-agent: *\nRequest-rate: 1/10", 10.0),
        ("User-agent: *\nCrawl-delay: 86400", MAX_DELAY),
        ("User-agent: *\nCrawl-delay: soon", 0.0),
    ],
)
def test_a_host_can_ask_for_pauses(text: str, delay: float) -> None:
    assert parse_rules(text, _ROBOT).delay == delay


def test_a_long_file_forbids_without_naming_the_rule() -> None:
    text = "User-agent: *\n" + "".join(f"Disallow: /{number}/\n" for number in range(20_000))
    assert parse_rules(text, _ROBOT).against("https://example.com/19999/a.jpg") == "robots.txt: Disallow"
