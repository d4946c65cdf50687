"""As many processes that decode as there are threads that ask at the same time."""

from collections.abc import Callable

from shared.images import Limits, Picture
from worker.decoding.decoder import DecoderProcess


class Decoders:
    """Decodes for any number of threads; ``make`` makes one more process when all are busy."""

    def __init__(self, make: Callable[[], DecoderProcess]) -> None:
        self._make = make
        self._idle: list[DecoderProcess] = []
        self._closed = False

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
