"""What is known of jobs, items and results: all statements on one database."""

from shared.store.database import Database
from shared.store.found import Filter, FoundPage, FoundResults
from shared.store.hosts import Claims, Hosts, ListedHost
from shared.store.items import Items
from shared.store.jobs import Job, Jobs, RecordedModel
from shared.store.results import Outcome, Results, Tally
from shared.store.summaries import Summaries
from shared.store.suspects import Suspects
from shared.store.validators import KnownAnswer, KnownAnswers
from shared.store.waiting import Demand, Taken, Waiting, WaitingItems

__all__ = [
    "Claims",
    "Demand",
    "Filter",
    "FoundPage",
    "Job",
    "KnownAnswer",
    "ListedHost",
    "Outcome",
    "RecordedModel",
    "Store",
    "Taken",
    "Tally",
    "Waiting",
]


class Store(Jobs, Items, Results, FoundResults, Summaries, Suspects, Hosts, WaitingItems, KnownAnswers):
    """The statements on one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Where it is, without a password.
        self.name = database.name
