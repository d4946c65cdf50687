"""Fixtures of tests on real servers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.web import Web


@pytest.fixture
def web(samples: Path) -> Iterator[Web]:
    with closing(Web(samples)) as web:
        yield web
