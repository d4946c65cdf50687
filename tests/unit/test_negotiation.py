import pytest

from results_api.service.responses import Format, accepted_format
from shared.errors import Code, RequestError


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("application/*", Format.JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.JSON),
        ("text/csv", Format.CSV),
        ("Text/CSV; charset=utf-8", Format.CSV),
        ("text/*", Format.CSV),
        ("application/json;q=0.5, application/x-ndjson", Format.NDJSON),
        ("application/json;q=0, */*;q=0.1", Format.NDJSON),
        ("text/html, application/vnd.apache.parquet;q=0.1", Format.PARQUET),
    ],
)
def test_the_best_liked_form_is_taken(accept: str, format: Format) -> None:
    assert accepted_format(accept) is format


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "text/csv;q=x"])
def test_what_nothing_can_meet_is_refused(accept: str) -> None:
    with pytest.raises(RequestError) as caught:
        accepted_format(accept)
    assert caught.value.code is Code.NOT_ACCEPTABLE
