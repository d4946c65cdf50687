"""The models that results refer to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from shared.store.database import Database
from shared.store.schema import models
from shared.store.statements import insert_new


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model that results refer to; labels are (wordnet_id, name), by class id."""

    id: int
    name: str
    version: str
    labels: Sequence[Sequence[str]]


class Models:
    """The statements on models."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Models read before; a recorded model never changes.
        self._models: dict[int, RecordedModel] = {}

    def record(self, name: str, version: str, labels: Sequence[tuple[str, str]]) -> RecordedModel:
        """Return this model as recorded; record it if it is new."""
        values = {"name": name, "version": version, "labels": [list(label) for label in labels]}
        with self._database.write() as connection:
            connection.execute(insert_new(connection, models, "name", "version"), values)
            same = (models.c.name == name) & (models.c.version == version)
            return RecordedModel(*connection.execute(select(models).where(same)).one())

    def get(self, model_id: int) -> RecordedModel:
        """Return a recorded model."""
        if model_id not in self._models:
            with self._database.read() as connection:
                row = connection.execute(select(models).where(models.c.id == model_id)).one()
            self._models[model_id] = RecordedModel(*row)
        return self._models[model_id]
