"""What is known of jobs, items and results: all statements on one database."""

from shared.store.database import Database
from shared.store.items import Items
from shared.store.jobs import Job, Jobs, RecordedModel
from shared.store.results import Outcome, Results, Tally
from shared.store.summaries import Summaries
from shared.store.suspects import Suspects

__all__ = ["Job", "Outcome", "RecordedModel", "Store", "Tally"]


class Store(Jobs, Items, Results, Summaries, Suspects):
    """The statements on one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Where it is, without a password.
        self.name = database.name
