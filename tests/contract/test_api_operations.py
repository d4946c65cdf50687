"""What whoever runs the service asks for, and what every answer has."""

from fastapi.testclient import TestClient


def test_it_tells_that_it_lives(api: TestClient) -> None:
    answer = api.get("/livez")
    assert (answer.status_code, answer.json()["meta"]) == (200, {"type": "success", "code": 200})


def test_what_is_not_there_is_told_in_the_envelope(api: TestClient) -> None:
    answer = api.get("/v1/nothing")
    assert answer.json() == {
        "error": {
            "code": 404,
            "message": "There is nothing at this URL.",
            "url": "/docs/errors#not_found",
            "type": "not_found",
        }
    }
