"""Poison: items whose worker may have died of them."""

from sqlalchemy import delete, select

from shared.items import Message
from shared.store.database import Database
from shared.store.schema import suspects
from shared.store.statements import insert_new


class PoisonTrials:
    """The statements on suspects: how often a worker began with such an item and never came back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_trial(self, message: Message, limit: int) -> bool:
        """Note that a worker now tries an item alone; tell whether it may: fewer than ``limit`` died so."""
        mine = (suspects.c.job_id == message.job_id) & (suspects.c.index == message.index)
        with self._database.write() as connection:
            values = {"job_id": message.job_id, "index": message.index, "trials": 0}
            connection.execute(insert_new(connection, suspects, "job_id", "index"), values)
            trials: int = connection.execute(
                select(suspects.c.trials).where(mine).with_for_update()
            ).scalar_one()
            if trials >= limit:
                return False
            connection.execute(suspects.update().where(mine).values(trials=trials + 1))
            return True

    def end_trial(self, message: Message) -> None:
        """Note that the worker survived the item."""
        mine = (suspects.c.job_id == message.job_id) & (suspects.c.index == message.index)
        with self._database.write() as connection:
            connection.execute(delete(suspects).where(mine))
