"""SQLite as it behaves on disk: migrations, and databases that cannot be used."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from shared.errors import Code, ResourceError, SmartSightError, UsageError
from shared.store import database as database_module
from shared.store.database import Database, upgrade
from shared.store.schema import REVISION, metadata


def test_the_revision_is_alembics_newest() -> None:
    migrations = Path(database_module.__file__).with_name("migrations")
    assert ScriptDirectory(str(migrations)).get_current_head() == REVISION


def test_the_migrations_lead_to_the_tables_of_the_schema(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, metadata) == []
    engine.dispose()


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
    "url", ["labels.db", "mysql://u:secret@host/db", "postgresql+psycopg://u:secret@host/db"]
)
def test_other_databases_are_refused_without_giving_passwords_away(url: str) -> None:
    error = _failure(url)
    assert (type(error), error.code) == (UsageError, Code.DATABASE_UNSUPPORTED)
    assert "secret" not in str(error)
