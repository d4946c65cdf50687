"""What is known of jobs, items and results: all statements on one database."""

from shared.store.class_counts import ClassCounting, ClassCounts
from shared.store.database import Database
from shared.store.denied import Denied
from shared.store.duplicates import Duplicates
from shared.store.forgetting import Forgetting, Forgotten
from shared.store.found import Filter, FoundPage, FoundResults
from shared.store.hosts import Claims, Hosts, ListedHost
from shared.store.items import Items
from shared.store.jobs import Job, Jobs
from shared.store.keys import ApiKey, ApiKeys, Grant
from shared.store.models import Models, RecordedModel
from shared.store.removal import Removal
from shared.store.results import Outcome, Results, Tally
from shared.store.seen import Seen
from shared.store.summaries import Summaries
from shared.store.suspects import Suspects
from shared.store.thumbnails import Thumbnails
from shared.store.uploads import MalformedLine, NewJob, Upload, Uploads
from shared.store.validators import KnownAnswer, KnownAnswers
from shared.store.waiting import Demand, Taken, Waiting, WaitingItems
from shared.store.webhooks import Webhook, Webhooks, WebhookState

__all__ = [
    "ApiKey",
    "Claims",
    "ClassCounts",
    "Demand",
    "Filter",
    "Forgotten",
    "FoundPage",
    "Grant",
    "Job",
    "KnownAnswer",
    "ListedHost",
    "MalformedLine",
    "NewJob",
    "Outcome",
    "RecordedModel",
    "Store",
    "Taken",
    "Tally",
    "Upload",
    "Waiting",
    "Webhook",
    "WebhookState",
]


class Store(
    Models,  # first: it has more to begin with than the others
    Jobs,
    Items,
    Uploads,
    Results,
    Duplicates,
    FoundResults,
    Removal,
    Summaries,
    ClassCounting,
    Suspects,
    Thumbnails,
    Hosts,
    WaitingItems,
    KnownAnswers,
    ApiKeys,
    Webhooks,
    Denied,
    Forgetting,
    Seen,
):
    """The statements on one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Where it is, without a password.
        self.name = database.name
