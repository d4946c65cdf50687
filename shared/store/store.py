"""The store: all statements on one database."""

from shared.store.database import Database
from shared.store.deny_list import DenyList, Forgotten
from shared.store.hosts import Claims, Demand, Hosts, ListedHost, Taken, WaitingItem, WaitingItems
from shared.store.items import Duplicates, Items, PoisonTrials
from shared.store.jobs import Job, Jobs
from shared.store.keys import ApiKey, ApiKeys, Grant
from shared.store.models import Models, RecordedModel
from shared.store.results import Outcome, Results, Tally
from shared.store.retries import Retries
from shared.store.search import Filter, FoundPage, Search
from shared.store.stored_responses import StoredResponse, StoredResponses
from shared.store.summaries import ClassCounts, Summaries
from shared.store.thumbnails import Thumbnails
from shared.store.uploads import NewJob, Upload, Uploads
from shared.store.webhooks import Webhook, Webhooks, WebhookState
from shared.store.workers import Workers

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
    "WaitingItem",
    "Webhook",
    "WebhookState",
]


class Store:
    """One attribute per group of tables, with its statements; thread-safe."""

    def __init__(self, database: Database) -> None:
        #: Its URL without the password.
        self.name = database.name
        self.models = Models(database)
        self.jobs = Jobs(database)
        self.items = Items(database)
        self.uploads = Uploads(database)
        self.results = Results(database)
        self.duplicates = Duplicates(database)
        self.retries = Retries(database)
        self.search = Search(database)
        self.summaries = Summaries(database)
        self.poison = PoisonTrials(database)
        self.thumbnails = Thumbnails(database)
        self.hosts = Hosts(database)
        self.waiting = WaitingItems(database)
        self.workers = Workers(database)
        self.stored_responses = StoredResponses(database)
        self.keys = ApiKeys(database)
        self.webhooks = Webhooks(database)
        self.deny_list = DenyList(database)
