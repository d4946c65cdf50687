"""The API's client, for programs and for the command line.

>>> from pathlib import Path
>>> from api_client import Client
>>> with Client("https://labels.example.com", key) as client:
...     client.classify(Path("pizza.jpg"))[0].name
...     job = client.submit(Path("crawl.csv"), column="image", max_failure_rate=0.3)
...     job = client.wait(job.id)
...     for row in client.results(job.id, state="succeeded", min_score=0.5):
...         print(row["ref"], row["predictions"][0]["class"])

All errors are ``shared.errors.SmartSightError`` with a code: ``RequestError`` where the API refuses or does
not respond, ``UsageError`` and ``ResourceError`` where a file of yours cannot be used.
"""

from api_client.client import Client, Prediction
from shared.estimate import Estimate
from shared.hosts import Host
from shared.job_status import CodeCount, JobStatus, MalformedLine, MalformedLines, WebhookStatus

#: The names of version 1, which stay.
Job, Malformed, Webhook = JobStatus, MalformedLines, WebhookStatus

__all__ = [
    "Client",
    "CodeCount",
    "Estimate",
    "Host",
    "Job",
    "JobStatus",
    "Malformed",
    "MalformedLine",
    "MalformedLines",
    "Prediction",
    "Webhook",
    "WebhookStatus",
]
