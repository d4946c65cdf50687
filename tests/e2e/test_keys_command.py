"""`smartsight keys`: make keys, list them without giving them away, and revoke them."""

from pathlib import Path

import pytest

from results_api.api_keys import digest_of, is_well_formed
from tests.e2e.conftest import Run


def test_a_key_is_printed_once_and_alone(run: Run) -> None:
    created = run("keys", "create", "my phone")
    key = created.out.removesuffix("\n")
    assert (created.status, is_well_formed(key)) == (0, True), created.err
    assert "Key 1, my phone: classify, submit, read; 10 requests/s, 20 at once" in created.err
    assert "from now on every request needs a key" in created.err
    listed = run("keys", "list")
    assert f"...{key[-4:]} valid " in listed.out
    assert " never " in listed.out
    for text in (created.err, listed.out, listed.err):
        assert key not in text
        assert key[8:-4] not in text
        assert digest_of(key).hex() not in text


def test_only_the_digest_is_stored(run: Run, environment: dict[str, str]) -> None:
    key = run("keys", "create", "my phone").out.strip()
    folder = Path(environment["SMARTSIGHT_DATA_DIR"])
    stored = b"".join(path.read_bytes() for path in folder.glob("smartsight.db*"))
    assert digest_of(key) in stored
    assert key.encode() not in stored
    assert key[8:-4].encode() not in stored


def test_a_key_can_be_limited(run: Run) -> None:
    limits = ["--rate", "0.5", "--burst", "3", "--images-per-day", "1000", "--open-jobs", "2"]
    created = run(
        "keys", "create", "--scope", "read,admin", "--scope", "read", "x", *limits, "--expires", "30"
    )
    assert created.status == 0, created.err
    good_for = "read, admin; 0.5 requests/s, 3 at once; 1000 images/day; 2 open jobs; until "
    assert good_for in created.err
    assert good_for in run("keys", "list").out


def test_keys_are_revoked_one_by_one(run: Run) -> None:
    for name in ("a", "b", "c"):
        run("keys", "create", name)
    revoked = run("keys", "revoke", "1", "3")
    assert (revoked.status, revoked.err.count("revoked")) == (0, 2)
    listed = run("keys", "list").out.splitlines()[1:]
    assert [line.split()[2] for line in listed] == ["revoked", "valid", "revoked"]
    unknown = run("keys", "revoke", "9")
    assert (unknown.status, "key_unknown" in unknown.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "ACTION"),
        (["create"], "name"),
        (["create", "x", "--scope", "write"], "invalid choice"),
        (["create", "x", "--rate", "0"], "is not a number from"),
        (["create", "x", "--burst", "0"], "is not a number from"),
        (["create", "x", "--expires", "-1"], "is not a number from"),
        (["revoke"], "ID"),
        (["revoke", "x"], "is not a number from"),
    ],
)
def test_a_wrong_word_about_keys_is_explained(run: Run, arguments: list[str], word: str) -> None:
    finished = run("keys", *arguments)
    assert finished.status == 2
    assert word in finished.err
