"""As many processes that decode as there are threads that ask at the same time."""

from collections.abc import Callable
from contextlib import suppress

from shared.decoding.decoder import DecoderProcess
from shared.errors import SmartSightError
from shared.images import Limits, Picture


class Decoders:
    """Decodes for any number of threads; ``make`` makes one more when all are busy.

    The first ones, ``count`` of them, start while the caller gets everything else ready.
    """

    def __init__(self, make: Callable[[], DecoderProcess], count: int = 0) -> None:
        self._make = make
        self._idle = [make() for _ in range(count)]
        self._closed = False
        with suppress(SmartSightError):  # what cannot be started now is tried again at the first image
            for decoder in self._idle:
                decoder.start()

    def await_ready(self) -> None:
        """Wait until those that were started are ready; raise ``SmartSightError`` if they cannot be."""
        for decoder in self._idle:
            decoder.await_ready()

    def decode(self, data: bytes, side: int, crop: float, limits: Limits) -> Picture:
        """See ``DecoderProcess``."""
        decoder = self._take()
        try:
            return decoder.decode(data, side, crop, limits)
        finally:
            self._idle.append(decoder)
            if self._closed:
                self.close()

    def close(self) -> None:
        """End the processes; one that is busy ends with its image."""
        self._closed = True
        while self._idle:
            self._take().close()

    def _take(self) -> DecoderProcess:
        try:
            return self._idle.pop()  # the last one used: its memory is still in the caches
        except IndexError:
            return self._make()
