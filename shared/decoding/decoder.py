"""Decode in child processes: a decoder that crashes or hangs costs one image, not the worker."""

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from shared.decoding.child import ANSWER_SIZE, DecodeRequest, pack_request, unpack_error, unpack_head
from shared.decoding.process import ChildProcess, StalledError
from shared.errors import Code, ItemError, SmartSightError, printable
from shared.images import Limits, Picture, Pixels
from shared.sandbox import PYTHON, cause_of_death

_COMMAND = (*PYTHON, "-m", "shared.decoding.child")
#: How long decoding one image may take, in seconds of processor time: a worker stands back for whatever else
#: wants a core, and that is not the image's fault.
_PATIENCE = 10.0
#: How long it may take at all, in seconds: a worker (nice 10) beside one busy process has a tenth of a core,
#: which is enough for all that processor time.
_LONGEST = 120.0
#: Images that one process decodes: what decoders leak ends with it.
_LIFETIME = 10_000
#: Bytes of address space: for Python and its libraries; for each pixel, of which WebP with transparency takes
#: most, 15.3; for each byte of the file, of which there are copies.
_BASE, _PER_PIXEL, _PER_BYTE = 256 << 20, 16, 4


def memory_for(limits: Limits) -> int:
    """Return how many bytes of memory decoding may take: the largest image within the limits has room."""
    return _BASE + _PER_PIXEL * limits.max_pixels + _PER_BYTE * limits.max_bytes


class DecoderProcess:
    """Decodes for one thread at a time, with so many bytes of memory.

    The process is started at the first image, if not before, and again after it died, was killed, or has
    decoded enough.
    """

    def __init__(
        self,
        memory: int,
        command: Sequence[str] = _COMMAND,
        patience: float = _PATIENCE,
        longest: float = _LONGEST,
        lifetime: int = _LIFETIME,
    ) -> None:
        self._memory = memory
        self._command = command
        self._patience = patience
        self._longest = longest
        self._lifetime = lifetime
        self._decoded = 0
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, if there is one now."""
        return self._child.pid if self._child else None

    def start(self) -> ChildProcess:
        """Start the process, unless there is one, and do not wait until it is ready."""
        if self._child is None:
            self._child = ChildProcess([*self._command, str(self._memory)])
            self._decoded = 0
        return self._child

    def await_ready(self) -> ChildProcess:
        """Return the process, or another one in its place, when it is ready for an image.

        Raises ``ResourceError(decoder_unavailable)``, or ``ItemError(out_of_memory)`` if it is worth a retry.
        """
        if self._child and (self._decoded >= self._lifetime or not self._child.is_alive()):
            self.close()
        child = self.start()
        try:
            child.await_ready()
        except BaseException:
            self.close()
            raise
        return child

    def decode(self, data: bytes, side: int, crop: float, limits: Limits) -> Picture:
        """See ``shared.images.decode``; there are codes more for what only a process can suffer.

        Raises what ``await_ready`` raises, too.
        """
        child = self.await_ready()
        self._decoded += 1
        try:
            answer = self._ask(child, DecodeRequest(data, side, crop, limits))
        except (EOFError, BrokenPipeError):
            raise self._post_mortem(child) from None
        except TimeoutError:
            self.close()
            raise ItemError(Code.DECODER_TIMEOUT, f"{self._patience:g} s of processor time") from None
        except StalledError:
            self.close()
            raise ItemError(Code.DECODER_STALLED, f"nothing after {self._longest:g} s") from None
        except ValueError:
            self.close()
            raise ItemError(Code.DECODER_CRASHED, "its answer makes no sense") from None
        except BaseException:
            self.close()  # the next image would be given this one's answer
            raise
        if isinstance(answer, Picture):
            return answer
        raise self._judged(answer)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child:
            self._child.end()
            self._child = None

    def _ask(self, child: ChildProcess, request: DecodeRequest) -> Picture | ItemError:
        child.allow(self._longest, self._patience)
        child.send(pack_request(request))
        head = unpack_head(child.receive(ANSWER_SIZE))
        text = child.receive(head.text).decode()
        if not head.decoded:
            return unpack_error(text)
        pixels: Pixels = np.empty((request.side, request.side, 3), np.uint8)
        child.receive_into(pixels.data.cast("B"))
        return Picture(pixels, head.width, head.height, printable(text))

    def _judged(self, error: ItemError) -> ItemError:
        if error.code is not Code.OUT_OF_MEMORY:
            return error
        self.close()  # nobody knows what it could not clean up
        return ItemError(Code.DECODER_OUT_OF_MEMORY, f"{self._memory >> 20} MiB are allowed")

    def _post_mortem(self, child: ChildProcess) -> ItemError:
        self._child = None
        status = child.last_status()
        if (
            status == -signal.SIGKILL
        ):  # the system does so when memory is short, and the image need not be why
            return ItemError(Code.OUT_OF_MEMORY, "the process that decoded it was killed")
        return ItemError(Code.DECODER_CRASHED, cause_of_death(status))


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
