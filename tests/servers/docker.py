"""Servers in containers, where Docker is and has, or can fetch, their images."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_POSTGRES, _RABBITMQ = "postgres:17", "rabbitmq:4-management"
_PATIENCE = 120


@cache
def docker_is_usable() -> bool:
    """Tell whether there is a Docker that answers, with compose and the images that the tests need."""
    return bool(shutil.which("docker")) and _succeeds("info") and all(map(_has, (_POSTGRES, _RABBITMQ)))


def _has(image: str) -> bool:
    return _succeeds("image", "inspect", image) or _succeeds("pull", "--quiet", image)


def _succeeds(*arguments: str) -> bool:
    try:
        return not subprocess.run(["docker", *arguments], capture_output=True, timeout=_PATIENCE).returncode
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def postgres_container() -> Iterator[str]:
    """Yield the URL of a PostgreSQL."""
    _without_reaper()
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(_POSTGRES, driver="psycopg") as container:
        yield container.get_connection_url()


@contextmanager
def rabbitmq_container() -> Iterator[str]:
    """Yield the URL of a RabbitMQ."""
    _without_reaper()
    from testcontainers.community.rabbitmq import RabbitMqContainer

    with RabbitMqContainer(_RABBITMQ) as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(5672)
        yield f"amqp://guest:guest@{host}:{port}/%2F"


def _without_reaper() -> None:
    # Its image may not be there; what we start we also stop.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
