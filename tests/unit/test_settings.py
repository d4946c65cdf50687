from pathlib import Path

import pytest

from shared.errors import Code, UsageError
from shared.settings import read_settings


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
        ("RETRY_DELAYS", "15,2"),
        ("RETRY_DELAYS", "15,,20"),
        ("RETRY_DELAYS", "0"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({f"SMARTSIGHT_{name}": value})
    assert caught.value.code is Code.SETTING_INVALID
    assert f"SMARTSIGHT_{name}={value!r}" in str(caught.value)
