"""The outcome of a job: the word and the tone by which people see how it stands, everywhere the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.items import ItemState, JobState


class Tone(StrEnum):
    """How an outcome is coloured: a class of ``palette.css``, and a colour of terminals."""

    ACTIVE = "active"
    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"
    STILL = "still"


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job stands: a few words in lower case, and their tone."""

    word: str
    tone: Tone

    def phrase(self, state: JobState) -> str:
        """Return what follows "the job is", given the state of the job."""
        return self.word if self.word == state else f"{state}: {self.word}"


_TONES = {
    JobState.SUBMITTING: Tone.ACTIVE,
    JobState.RUNNING: Tone.ACTIVE,
    JobState.PAUSED: Tone.MIXED,
    JobState.CANCELLING: Tone.MIXED,
    JobState.CANCELLED: Tone.STILL,
    JobState.FAILED: Tone.BAD,
    JobState.DELETING: Tone.STILL,
}
_ALL_FAILED = JobOutcome("all failed", Tone.BAD)
_ALL_SKIPPED = JobOutcome("all skipped", Tone.MIXED)
_NONE_LABELLED = JobOutcome("none labelled", Tone.BAD)


def outcome_of(state: JobState, counts: Mapping[ItemState, int]) -> JobOutcome:
    """Return the outcome of a job: its state, or what came of its images once it is completed."""
    if state is not JobState.COMPLETED:
        return JobOutcome(str(state), _TONES[state])
    succeeded, failed, skipped = (
        counts.get(ended, 0) for ended in (ItemState.SUCCEEDED, ItemState.FAILED, ItemState.SKIPPED)
    )
    if succeeded or not failed + skipped:
        return JobOutcome(str(state), Tone.MIXED if failed + skipped else Tone.GOOD)
    if not skipped:
        return _ALL_FAILED
    return _NONE_LABELLED if failed else _ALL_SKIPPED


#: All words that an outcome can have.
OUTCOME_WORDS = (*map(str, JobState), *(one.word for one in (_ALL_FAILED, _ALL_SKIPPED, _NONE_LABELLED)))
