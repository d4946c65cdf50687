"""Alembic's entry point: run the migrations on the connection that ``Database`` hands over."""

from alembic import context

from shared.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
