"""What several operations are asked with."""

from typing import Annotated

from fastapi import Header, Path

#: The largest number that databases know.
_MAX_ID = 2**63 - 1

JobId = Annotated[int, Path(ge=1, le=_MAX_ID, description="The number of the job.")]
ItemIndex = Annotated[int, Path(ge=0, le=_MAX_ID, description="The place of the image in its job.")]
IfNoneMatch = Annotated[str | None, Header(description="The ETag of what is known already.")]
