"""Faults for a process that is started with this folder on its path: it dies where a test says.

SMARTSIGHT_TEST_FAULT names the fault, as in "before results.save"; each death takes one file out of
SMARTSIGHT_TEST_LIVES, and where none is left there are no more deaths. Poisoned pictures kill at any time:
with ``poison`` the process that labels, which leaves a file there each time, with ``decoder poison`` the one
that decodes.
"""

import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FAULTY_DECODER = Path(__file__).parents[2] / "decoders" / "faulty.py"
_LIVES = Path(os.environ.get("SMARTSIGHT_TEST_LIVES", "nowhere"))


def _die() -> None:
    for life in _LIVES.glob("life*"):
        try:
            life.unlink()
        except FileNotFoundError:
            continue  # another process took it
        os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any, **options: Any) -> Any:
        _die()
        return original(*arguments, **options)

    setattr(owner, name, dying)


def _after(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        _die()
        return result

    setattr(owner, name, dying)


def _poison() -> None:
    """Let a poisoned picture kill the process that labels."""
    from shared.classifier.classifier import Classifier

    original = Classifier.classify

    def deadly(self: Classifier, data: bytes, top: int) -> Any:
        if b"deadly poison" in data:
            (_LIVES / f"death{uuid.uuid4().hex}").touch()
            os.abort()
        return original(self, data, top)

    Classifier.classify = deadly


def _decoder_poison() -> None:
    """Let a poisoned picture kill the process that decodes."""
    from shared.confined_process import PYTHON
    from shared.decoding.decoder import DecoderProcess

    original = DecoderProcess.__init__

    def faulty(self: DecoderProcess, memory: int) -> None:
        original(self, memory, (*PYTHON, str(_FAULTY_DECODER)))

    DecoderProcess.__init__ = faulty


_POISONS = {"poison": _poison, "decoder poison": _decoder_poison}


def _install(fault: str) -> None:
    if fault in _POISONS:
        _POISONS[fault]()
        return
    from shared.store.items import Items
    from shared.store.jobs import Jobs
    from shared.store.results import Results

    place, _, call = fault.partition(" ")
    table, _, method = call.partition(".")
    owner = {"items": Items, "jobs": Jobs, "results": Results}[table]
    {"before": _before, "after": _after}[place](owner, method)


if os.environ.get("SMARTSIGHT_TEST_FAULT"):
    _install(os.environ["SMARTSIGHT_TEST_FAULT"])
