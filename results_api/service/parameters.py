"""What several operations are asked with."""

from typing import Annotated

from fastapi import Path

#: The largest number that databases know.
_MAX_ID = 2**63 - 1

JobId = Annotated[int, Path(ge=1, le=_MAX_ID, description="The number of the job.")]
