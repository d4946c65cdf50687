import re
from pathlib import Path

import pytest

from shared.errors import Code, UsageError
from shared.fetching.guard import UrlGate
from shared.settings import as_markdown, read_settings, shown_settings, unknown_variables, variables

_ROOT = Path(__file__).parents[2]


def test_without_any_variable_everything_has_a_default() -> None:
    settings = read_settings({})
    assert settings.model == "lite0"
    assert settings.store_url.startswith("sqlite:///")
    assert settings.tiff is False


def test_variables_are_read_by_type() -> None:
    settings = read_settings(
        {
            "SMARTSIGHT_DATA_DIR": "/data",
            "SMARTSIGHT_MAX_BYTES": "1000",
            "SMARTSIGHT_FETCH_TIMEOUT": "2.5",
            "SMARTSIGHT_TIFF": "yes",
            "SMARTSIGHT_RETRY_DELAYS": "1, 2.5",
            "SMARTSIGHT_HOST_NAMES": "API.example.com, ::1",
            "OTHER": "x",
        }
    )
    assert settings.data_dir == Path("/data")
    assert (settings.max_bytes, settings.fetch_timeout, settings.tiff) == (1000, 2.5, True)
    assert settings.retry_delays == (1.0, 2.5)
    assert settings.host_names == {"api.example.com", "::1"}
    assert settings.store_url == "sqlite:////data/smartsight.db"


def test_what_a_zero_turns_off_takes_it() -> None:
    assert read_settings({"SMARTSIGHT_THUMBNAIL_SIDE": "0"}).thumbnail_side == 0


def test_an_empty_variable_counts_as_not_given() -> None:
    assert read_settings({"SMARTSIGHT_MODEL": ""}).model == "lite0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BYTES", "many"),
        ("MAX_BYTES", "0"),
        ("THUMBNAIL_SIDE", "-1"),
        ("FETCH_TIMEOUT", "-1"),
        ("FETCH_TIMEOUT", "inf"),
        ("TIFF", "maybe"),
        ("HOST_NAMES", "localhost,"),
        ("HOST_NAMES", "http://localhost"),
        ("NICE", "20"),
        ("METRICS_PORT", "65536"),
        ("QUEUE_LENGTH", "1.5"),
        ("CONTACT", "caf\xe9"),
        ("PORTS", "80,0"),
        ("CORS_ORIGINS", "example.com"),
        ("OWN_HOSTS", "http://h"),
        ("RETRY_DELAYS", "15,2"),
        ("RETRY_DELAYS", "15,,20"),
        ("RETRY_DELAYS", "0"),
        ("RETRY_DELAYS", "0.0001,0.0002"),  # RabbitMQ counts in milliseconds
        ("RETRY_DELAYS", "15,5000000"),
        ("RETRY_DELAYS", ",".join(map(str, range(1, 30)))),
        ("PORTS", "70000"),
        ("PORTS", "80,,443"),
        ("OWN_HOSTS", "images.lan:70000"),
        ("OWN_HOSTS", "images.lan:"),
        ("OWN_HOSTS", "*.example.com"),
        ("OWN_HOSTS", "10.0.0.0/8"),
        ("HOST_NAMES", "*"),
        ("HOST_NAMES", "localhost:80"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://example.com:0"),
        ("CORS_ORIGINS", "https://example.com/"),
        ("QUEUE_PREFIX", "x" * 300),
        ("QUEUE_PREFIX", "a b"),
        ("THUMBNAIL_SIDE", "65536"),
        ("MAX_PIXELS", "9" * 19),
        ("CONCURRENCY", "1001"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({f"SMARTSIGHT_{name}": value})
    assert caught.value.code is Code.SETTING_INVALID
    assert f"SMARTSIGHT_{name}={value!r}"[:250] in str(caught.value)


#: Settings whose values are text, of which only the empty one means nothing.
_TEXTS = ("DATABASE_URL", "BROKER_URL", "API_URL", "API_KEY", "MODEL", "DATA_DIR", "CACHE_DIR", "RUN_DIR")


@pytest.mark.parametrize("variable", variables())
def test_no_setting_takes_a_number_out_of_range_or_a_blank(variable: str) -> None:
    bad = ["nan", "inf", "-1", "-0.5", "1e999", "9" * 40, "\u0663", "1_0", "0x10", "1;2"]
    if variable.removeprefix("SMARTSIGHT_") in (
        *_TEXTS,
        "CONTACT",
        "QUEUE_PREFIX",
        "OWN_HOSTS",
        "HOST_NAMES",
    ):
        bad = []
    for value in [" ", "\t\n", *bad]:
        with pytest.raises(UsageError, match=r"^A setting has an invalid value") as caught:
            read_settings({variable: value})
        assert caught.value.code is Code.SETTING_INVALID


def test_hosts_are_read_as_urls_and_browsers_have_them() -> None:
    settings = read_settings(
        {
            "SMARTSIGHT_OWN_HOSTS": "B\xfccher.example:8080,[0:0:0:0:0:0:0:1]:80,IMAGES.lan:443",
            "SMARTSIGHT_HOST_NAMES": "B\xfccher.example,0:0:0:0:0:0:0:1",
            "SMARTSIGHT_CORS_ORIGINS": "https://B\xfccher.example:443,http://Example.com:8080",
        }
    )
    name = "xn--bcher-kva.example"
    assert settings.own_hosts == ((name, 8080), ("::1", 80), ("images.lan", 443))
    assert settings.host_names == {name, "::1"}
    assert settings.cors_origins == (f"https://{name}", "http://example.com:8080")
    gate = UrlGate((), settings.own_hosts)
    for url in ("http://b\xfccher.example:8080/x", "http://[::1]/", "https://images.LAN/"):
        assert gate.is_own(gate.check(url))


def test_delays_hold_for_those_who_wait_unless_they_have_their_own() -> None:
    assert read_settings({}).label_retry_delays == (1, 5, 15)
    given = {"SMARTSIGHT_RETRY_DELAYS": "0.5"}
    assert read_settings(given).label_retry_delays == (0.5,)
    assert read_settings(given | {"SMARTSIGHT_LABEL_RETRY_DELAYS": "2"}).label_retry_delays == (2,)


def test_a_password_is_not_named_with_a_bad_value() -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({"SMARTSIGHT_CORS_ORIGINS": "https://me:se/cr@TAIL#x@example.com"})
    assert "https://me:***@example.com" in str(caught.value)
    assert "TAIL" not in str(caught.value)


def test_folders_are_looked_for_only_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without home and temporary folder, as in many containers, can still be told what is missing."""

    def no_home(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_data_path", no_home)
    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    monkeypatch.setenv("TMPDIR", "/no/such/folder")
    settings = read_settings({})
    assert settings.data_dir == Path("/nonexistent/smartsight/data")
    assert settings.run_dir.parent == Path("/no/such/folder")


def test_the_page_of_settings_is_up_to_date() -> None:
    page = _ROOT / "docs" / "settings.md"
    assert page.read_text("utf-8") == as_markdown(), "run `make docs`"


def test_what_is_shown_of_a_setting_can_be_set() -> None:
    """The value of every setting is written as it is read."""
    given = {
        "SMARTSIGHT_OWN_HOSTS": "images.lan:8080,[::1]:80",
        "SMARTSIGHT_HOST_NAMES": "b.example,a.example",
        "SMARTSIGHT_RETRY_DELAYS": "0.5,1000000",
        "SMARTSIGHT_TIFF": "true",
        "SMARTSIGHT_HOST_DELAY": "1234567.5",
    }
    shown = {one.variable: one.value for one in shown_settings(given)}
    assert read_settings(shown) == read_settings(given)
    assert set(shown) == set(variables())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://user:p@ss:/word@host/%2F", "amqp://user:***@host/%2F"),
        ("amqp://user@host:5672/vhost", "amqp://user@host:5672/vhost"),
        ("postgresql+psycopg://:secret@/db", "postgresql+psycopg://:***@/db"),
        ("postgresql+psycopg://h/db?user=me&Password=s", "postgresql+psycopg://h/db?user=me&Password=***"),
        ("postgresql+psycopg://h/db?sslpassword=s&x=1", "postgresql+psycopg://h/db?sslpassword=***&x=1"),
        ("sqlite:////home/me/a:b.db", "sqlite:////home/me/a:b.db"),
        ("sqlite:////home/me/a:b@c.db", "sqlite:////home/me/a:b@c.db"),
        ("amqp://user:12/TAIL@host/", "amqp://user:***@host/"),
        ("amqp://user:12#TAIL@host/", "amqp://user:***@host/"),
        ("amqp://us/er:TAIL@host/", "amqp://us/er:***@host/"),
        ("amqp://TO/KEN@host/", "amqp://***@host/"),
        ("user:TAIL@host", "user:***@host"),
    ],
)
def test_passwords_are_hidden_and_nothing_else(url: str, shown: str) -> None:
    for setting in shown_settings({"SMARTSIGHT_DATABASE_URL": url, "SMARTSIGHT_BROKER_URL": url}):
        if setting.variable in ("SMARTSIGHT_DATABASE_URL", "SMARTSIGHT_BROKER_URL"):
            assert (setting.value, setting.is_default) == (shown, False)


def test_only_variables_that_look_like_settings_are_unknown() -> None:
    misspelt = ["SMARTSIGHT_DATABASE", "SMARTSIGHT_HOSTDELAY", "SMARTSIGHT_model"]
    others = [
        *("PATH", "SMARTSIGHT_TEST_DATA", "SMARTSIGHT_API_PORT", *variables()),
        # what Kubernetes adds for the service smartsight-api
        *("SMARTSIGHT_API_SERVICE_HOST", "SMARTSIGHT_API_SERVICE_PORT", "SMARTSIGHT_API_SERVICE_PORT_HTTP"),
        *("SMARTSIGHT_API_PORT_8000_TCP", "SMARTSIGHT_API_PORT_8000_TCP_ADDR", "SMARTSIGHT_PORT"),
    ]
    assert unknown_variables(dict.fromkeys([*misspelt, *others], "1")) == misspelt


#: What the image sets, as its file system is read-only but for these.
_FOLDERS = {"SMARTSIGHT_DATA_DIR", "SMARTSIGHT_CACHE_DIR", "SMARTSIGHT_RUN_DIR"}


def test_compose_passes_every_setting_to_every_container() -> None:
    compose = (_ROOT / "docker-compose.yml").read_text("utf-8")
    common, services = compose.split("\nservices:\n")
    passed = dict(re.findall(r"^    (SMARTSIGHT_[A-Z_]+):(.*)$", common, re.MULTILINE))
    assert set(passed) == set(variables()) - _FOLDERS
    for name, value in passed.items():
        fixed = name in ("SMARTSIGHT_DATABASE_URL", "SMARTSIGHT_BROKER_URL")
        assert fixed or value == "" or value.strip().startswith(f"${{{name}:-"), name
    ours = [one for one in re.split(r"^  (?=[a-z])", services, flags=re.MULTILINE) if "*smartsight" in one]
    assert len(ours) == 3
    assert not [one for one in ours if "environment:" in one], "it would take the place of the common one"


def test_the_image_sets_the_folders_and_the_example_only_settings() -> None:
    image = (_ROOT / "Dockerfile").read_text("utf-8")
    assert {name for name in _FOLDERS if f"{name}=" in image} == _FOLDERS
    example = re.findall(r"^(SMARTSIGHT_[A-Z_]+)=", (_ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert unknown_variables(dict.fromkeys(example, "1")) == []
    assert not set(example) & _FOLDERS
