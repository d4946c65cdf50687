"""What is known of jobs, items and results: all statements on one database."""

from shared.store.class_counts import ClassCounter, ClassCounts
from shared.store.database import Database
from shared.store.denied import DenyList
from shared.store.duplicates import Duplicates
from shared.store.forgetting import Forgetting, Forgotten
from shared.store.found import Filter, FoundPage, FoundResults
from shared.store.hosts import Claims, Hosts, ListedHost
from shared.store.items import Items
from shared.store.jobs import Job, Jobs
from shared.store.keys import ApiKey, ApiKeys, Grant
from shared.store.models import Models, RecordedModel
from shared.store.poison import PoisonTrials
from shared.store.removal import JobRemoval
from shared.store.results import Outcome, Results, Tally
from shared.store.seen import Seen
from shared.store.summaries import Summaries
from shared.store.thumbnails import Thumbnails
from shared.store.uploads import NewJob, Upload, Uploads
from shared.store.validators import StoredResponse, StoredResponses
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
    "ListedHost",
    "NewJob",
    "Outcome",
    "RecordedModel",
    "Store",
    "StoredResponse",
    "Taken",
    "Tally",
    "Upload",
    "Waiting",
    "Webhook",
    "WebhookState",
]


class Store:
    """One attribute a group of tables, with the statements on it; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        #: Where it is, without a password.
        self.name = database.name
        self.models = Models(database)
        self.jobs = Jobs(database)
        self.items = Items(database)
        self.uploads = Uploads(database)
        self.results = Results(database)
        self.duplicates = Duplicates(database)
        self.search = FoundResults(database)
        self.removal = JobRemoval(database)
        self.summaries = Summaries(database)
        self.class_counts = ClassCounter(database)
        self.poison = PoisonTrials(database)
        self.thumbnails = Thumbnails(database)
        self.hosts = Hosts(database)
        self.waiting = WaitingItems(database)
        self.stored_responses = StoredResponses(database)
        self.keys = ApiKeys(database)
        self.webhooks = Webhooks(database)
        self.deny_list = DenyList(database)
        self.forgetting = Forgetting(database)
        self.seen = Seen(database)
