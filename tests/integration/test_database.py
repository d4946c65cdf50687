"""Databases as they really behave: migrations, and databases that cannot be used."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, delete, insert, text

from shared.errors import Code, ResourceError, SmartSightError, UsageError
from shared.items import Evidence, Item, ItemState, JobState, Result, now
from shared.store import database as database_module
from shared.store import postgres
from shared.store.database import Database, newest_revision, upgrade
from shared.store.mapping import result_values
from shared.store.schema import items, jobs, metadata, models, results
from shared.store.store import Store
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer


def test_the_revision_is_alembics_newest() -> None:
    migrations = Path(database_module.__file__).with_name("migrations")
    assert ScriptDirectory(str(migrations)).get_current_head() == newest_revision()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_migrations_lead_to_the_tables_of_the_schema(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'migrated.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("new_postgres_database")()
    engine = create_engine(url)
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == newest_revision()
        assert compare_metadata(context, metadata) == []
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_results_from_before_a_migration_have_nothing_in_a_new_column(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("new_postgres_database")()
    engine = create_engine(url)
    with engine.begin() as connection:
        _migrate_to(connection, "0006")
        connection.execute(insert(models).values(id=1, name="lite0", version="1", labels=[]))
        job = {"key": "key", "state": JobState.RUNNING, "model_id": 1, "submitted": 1, "created_at": now()}
        connection.execute(insert(jobs).values(id=1, **job))
        connection.execute(insert(items).values(job_id=1, index=0, ref="a.jpg"))
        values = result_values(Result(1, 0, ItemState.SUCCEEDED, now(), 1, 1))
        connection.execute(
            insert(results).values({name: values[name] for name in values.keys() - {"redirects"}})
        )
    engine.dispose()
    with closing(Database(url)) as database:
        (outcome,) = Store(database).results.outcomes(1, -1, 10)
        assert (outcome.result.state, outcome.result.evidence) == (ItemState.SUCCEEDED, Evidence())


def _migrate_to(connection: Connection, revision: str) -> None:
    """Make the tables of an earlier version."""
    config = Config()
    config.set_main_option("script_location", str(Path(database_module.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _failure(url: str) -> SmartSightError:
    with pytest.raises(SmartSightError) as caught:
        Database(url)
    return caught.value


@pytest.mark.parametrize("url", ["sqlite:///no/such/folder/x.db", "sqlite:////proc/x.db"])
def test_a_database_that_cannot_be_made_is_named(url: str) -> None:
    error = _failure(url)
    assert (type(error), error.code) == (ResourceError, Code.DATABASE_UNAVAILABLE)
    assert f"{url}: unable to open database file" in str(error)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 1000)
    assert "not a database" in str(_failure(f"sqlite:///{path}"))
    assert path.read_bytes() == b"\xff\xd8\xff" * 1000


def test_a_database_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    Database(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert _failure(f"sqlite:///{path}").code is Code.DATABASE_UNAVAILABLE


@pytest.mark.parametrize(
    "url", ["labels.db", "mysql://u:secret@host/db", "postgresql+psycopg://u:secret@host:port/db"]
)
def test_other_databases_are_refused_without_giving_passwords_away(url: str) -> None:
    error = _failure(url)
    assert (type(error), error.code) == (UsageError, Code.DATABASE_UNSUPPORTED)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("autocommit=true", "'autocommit' is no parameter of a Postgres URL"),
        ("row_factory=dict_row", "'row_factory' is no parameter"),
        ("nonsense=1", "'nonsense' is no parameter"),
        ("connect_timeout=soon", "connect_timeout is to be a whole number"),
        ("prepare_threshold=never", "prepare_threshold is to be a whole number"),
        ("sslmode=require&sslmode=disable", "names 'sslmode' twice"),
    ],
)
def test_a_parameter_that_is_not_for_a_url_is_named(parameters: str, words: str) -> None:
    error = _failure(f"postgresql+psycopg://u:secret@127.0.0.1/db?{parameters}")
    assert (type(error), error.code) == (UsageError, Code.DATABASE_UNSUPPORTED)
    assert words in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("parameters", "threshold"),
    [
        ("", None),
        ("?prepare_threshold=none", None),
        ("?prepare_threshold=7", 7),
        ("?application_name=a&connect_timeout=3&sslmode=disable", None),
    ],
)
def test_statements_are_prepared_in_the_server_only_if_the_url_says_so(
    new_postgres_database: Callable[[], str], parameters: str, threshold: int | None
) -> None:
    with closing(Database(new_postgres_database() + parameters)) as database, database.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, postgres._Connection)
        assert driver.prepare_threshold == threshold


@pytest.mark.parametrize("parameters", ["", "?password=secret", "?password=secret&sslmode=nonsense"])
def test_a_postgres_that_is_away_is_named_without_its_password(parameters: str) -> None:
    error = _failure(f"postgresql+psycopg://u:secret@127.0.0.1:{free_port()}/db{parameters}")
    assert (type(error), error.code) == (ResourceError, Code.DATABASE_UNAVAILABLE)
    assert "u:***@127.0.0.1" in str(error)
    assert "secret" not in str(error)


@pytest.fixture
def store(mortal_postgres: PostgresServer) -> Iterator[Store]:
    with closing(Database(mortal_postgres.new_database() + "?connect_timeout=2")) as database:
        yield Store(database)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres._Connection, "answer_timeout", 0.2)


def _item(store: Store) -> Item:
    """Record a job with one item."""
    job = store.jobs.open("key", store.models.record("lite0", "1", []).id)
    item = Item(job.id, 0, "a.jpg")
    store.items.add([item])
    return item


def test_what_postgres_committed_survives_its_death(mortal_postgres: PostgresServer, store: Store) -> None:
    item = _item(store)
    mortal_postgres.kill()
    with pytest.raises(ResourceError) as caught:
        store.jobs.get(item.job_id)
    assert caught.value.code is Code.DATABASE_UNAVAILABLE
    mortal_postgres.start()
    assert store.items.pending(item.job_id, 0, 10) == [item]


@pytest.mark.usefixtures("impatient")
def test_a_postgres_that_hangs_is_given_up(mortal_postgres: PostgresServer, store: Store) -> None:
    item = _item(store)
    mortal_postgres.pause()
    with pytest.raises(ResourceError) as caught:
        store.jobs.get(item.job_id)
    assert caught.value.code is Code.DATABASE_UNAVAILABLE
    mortal_postgres.unpause()
    assert store.items.pending(item.job_id, 0, 10) == [item]


@pytest.mark.usefixtures("impatient")
def test_what_a_hanging_postgres_leaves_unanswered_is_not_committed(
    mortal_postgres: PostgresServer, store: Store
) -> None:
    item = _item(store)
    with pytest.raises(ResourceError, match="no answer within"), store.jobs._database.write() as connection:
        connection.execute(delete(items))
        mortal_postgres.pause()
        connection.execute(delete(items))
    mortal_postgres.unpause()
    assert store.items.pending(item.job_id, 0, 10) == [item]


@pytest.mark.usefixtures("impatient")
def test_a_migration_may_take_long(
    mortal_postgres: PostgresServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.jobs._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    monkeypatch.setattr("shared.store.database.upgrade", lambda to: to.execute(text("SELECT pg_sleep(1)")))
    url = store.jobs._database._engine.url.render_as_string(hide_password=False)
    with (
        closing(Database(url)) as migrated,
        pytest.raises(ResourceError, match="no answer within"),
        migrated.read() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(1)"))
