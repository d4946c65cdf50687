"""What to expect of a list of images: made by the producer, sent by the API, printed by commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import Code

_KNOWN = frozenset(Code)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to expect of a whole list, judged by a sample of it; rates are from 0 to 1.

    The success rate is between ``low`` and ``high`` with 95 % confidence. ``causes`` are (code, share of the
    list), the largest first; ``forbidding`` are (host, code). ``seconds`` is how long the list takes, limited
    by the host ``bound_by``, or by the cores of one machine if that is None. ``malformed`` counts the lines
    that hold no URL.
    """

    references: int
    duplicates: float
    sampled: int
    success: float
    low: float
    high: float
    causes: tuple[tuple[str, float], ...]
    same_content: float
    forbidding: tuple[tuple[str, str], ...]
    bytes: float
    seconds: float
    bound_by: str | None
    malformed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the API's object."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        causes = [
            {"code": str(code), "part": part, "message": sentence_of(code)} for code, part in self.causes
        ]
        forbidding = [{"host": host, "code": str(code)} for host, code in self.forbidding]
        return values | {"causes": causes, "forbidding": forbidding}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Estimate":
        """Parse the API's object; fields that a newer API adds are ignored."""
        values = {name: data[name] for name in cls.__dataclass_fields__}
        values["causes"] = tuple((str(cause["code"]), float(cause["part"])) for cause in data["causes"])
        values["forbidding"] = tuple((str(one["host"]), str(one["code"])) for one in data["forbidding"])
        return cls(**values)


def sentence_of(code: str) -> str:
    """Return what a code means; nothing if only a newer version knows it."""
    return Code(code).sentence if code in _KNOWN else ""
