"""Who asks: the API as Python functions, for programs and for this project's own command line.

>>> from pathlib import Path
>>> from api_client import Client
>>> with Client("https://labels.example.com", key) as client:
...     client.classify(Path("pizza.jpg"))[0].name
...     job = client.submit(Path("crawl.csv"), column="image", max_failure_rate=0.3)
...     job = client.wait(job.id)
...     for row in client.results(job.id, state="succeeded", min_score=0.5):
...         print(row["ref"], row["predictions"][0]["class"])

Whatever goes wrong is a ``shared.errors.SmartSightError`` with a code: ``RequestError`` where the API refuses
or does not answer, ``UsageError`` and ``ResourceError`` where what was handed in cannot be used.
"""

from api_client.client import Client
from api_client.models import CodeCount, Estimate, Job, Malformed, MalformedLine, Prediction, Webhook

__all__ = ["Client", "CodeCount", "Estimate", "Job", "Malformed", "MalformedLine", "Prediction", "Webhook"]
