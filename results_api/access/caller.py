"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may be good for."""

    CLASSIFY = "classify"
    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the key that they showed, or nobody in particular where no keys are wanted.

    ``images_per_day`` and ``open_jobs`` are the key's quotas, None where it has none.
    """

    key_id: int | None
    scopes: frozenset[Scope]
    images_per_day: int | None = None
    open_jobs: int | None = None

    @property
    def sees_all(self) -> bool:
        """Whether the jobs of others are theirs to see and to steer."""
        return Scope.ADMIN in self.scopes


#: Where no keys are wanted.
ANYBODY = Caller(None, frozenset(Scope))
