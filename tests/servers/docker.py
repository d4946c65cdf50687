"""Servers in containers, where Docker is and has, or can fetch, their images."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

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
    with _prepared():
        from testcontainers.community.postgres import PostgresContainer

        container = PostgresContainer(_POSTGRES, driver="psycopg").start()
    with _stopping(container):
        yield container.get_connection_url()


@contextmanager
def rabbitmq_container() -> Iterator[str]:
    """Yield the URL of a RabbitMQ."""
    with _prepared():
        from testcontainers.community.rabbitmq import RabbitMqContainer

        container = RabbitMqContainer(_RABBITMQ).start()
    with _stopping(container):
        host, port = container.get_container_host_ip(), container.get_exposed_port(5672)
        yield f"amqp://guest:guest@{host}:{port}/%2F"


@contextmanager
def _stopping(container: Any) -> Iterator[None]:
    """Stop a container in the end."""
    try:
        yield
    finally:
        container.stop()


@contextmanager
def _prepared() -> Iterator[None]:
    # The reaper's image may not be there; what we start we also stop.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    with warnings.catch_warnings():
        # testcontainers uses what it has itself deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
