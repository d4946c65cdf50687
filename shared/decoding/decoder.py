"""Decode in child processes: a decoder that crashes or hangs costs one image, not the worker."""

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from shared.confined_process import PYTHON, cause_of_death
from shared.decoding.child import ANSWER_SIZE, DecodeRequest, pack_request, unpack_error, unpack_head
from shared.decoding.process import ChildProcess, StalledError
from shared.errors import Code, ItemError, SmartSightError, printable
from shared.images import Limits, Picture, Pixels

_COMMAND = (*PYTHON, "-m", "shared.decoding.child")
#: Limit of decoding one image, in CPU seconds: workers run at low priority, and waiting for a core is not the
#: image's fault.
_CPU_LIMIT = 10.0
#: The same in wall seconds: a worker (nice 10) beside one busy process has a tenth of a core, which is enough
#: for that CPU time.
_LONGEST = 120.0
#: Images decoded by one process, so that leaks of decoders end with it.
_LIFETIME = 10_000
#: Bytes of address space: for Python and its libraries; per pixel (WebP with transparency takes most, 15.3);
#: and per byte of the file, which is copied.
_BASE, _PER_PIXEL, _PER_BYTE = 256 << 20, 16, 4


def memory_for(limits: Limits) -> int:
    """Return the memory limit of decoding in bytes: enough for the largest allowed image."""
    return _BASE + _PER_PIXEL * limits.max_pixels + _PER_BYTE * limits.max_bytes


class DecoderProcess:
    """Decodes for one thread at a time, with this many bytes of memory.

    The process is started at the first image, if not before, and again after it died, was killed, or has
    decoded its share of images.
    """

    def __init__(
        self,
        memory: int,
        command: Sequence[str] = _COMMAND,
        cpu_limit: float = _CPU_LIMIT,
        longest: float = _LONGEST,
        lifetime: int = _LIFETIME,
    ) -> None:
        self._memory = memory
        self._command = command
        self._cpu_limit = cpu_limit
        self._longest = longest
        self._lifetime = lifetime
        self._decoded = 0
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id, if there is a process."""
        return self._child.pid if self._child else None

    def start(self) -> ChildProcess:
        """Start the process if there is none, without waiting until it is ready."""
        if self._child is None:
            self._child = ChildProcess([*self._command, str(self._memory)])
            self._decoded = 0
        return self._child

    def await_ready(self) -> ChildProcess:
        """Return the process, or its replacement, when it is ready for an image.

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
        """Decode like ``shared.images.decode``, with additional codes for failures of the process.

        Also raises as ``await_ready`` does.
        """
        child = self.await_ready()
        self._decoded += 1
        try:
            answer = self._ask(child, DecodeRequest(data, side, crop, limits))
        except (EOFError, BrokenPipeError):
            raise self._post_mortem(child) from None
        except TimeoutError:
            self.close()
            raise ItemError(Code.DECODER_TIMEOUT, f"{self._cpu_limit:g} s of CPU time") from None
        except StalledError:
            self.close()
            raise ItemError(Code.DECODER_STALLED, f"nothing after {self._longest:g} s") from None
        except ValueError:
            self.close()
            raise ItemError(Code.DECODER_CRASHED, "its answer is invalid") from None
        except BaseException:
            self.close()  # otherwise the next image would get this one's answer
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
        child.allow(self._longest, self._cpu_limit)
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
        self.close()  # its state is unknown
        return ItemError(Code.DECODER_OUT_OF_MEMORY, f"{self._memory >> 20} MiB are allowed")

    def _post_mortem(self, child: ChildProcess) -> ItemError:
        self._child = None
        status = child.last_status()
        # The system does so when memory is short, which need not be the image's fault.
        if status == -signal.SIGKILL:
            return ItemError(Code.OUT_OF_MEMORY, "the process that decoded it was killed")
        return ItemError(Code.DECODER_CRASHED, cause_of_death(status))


class Decoders:
    """Decodes for any number of threads; ``make`` creates another decoder when all are busy.

    The first one can start in the background, ``ahead`` of its first image. Each start takes a third of a
    second of a core, so that no other starts before there is an image for it.
    """

    def __init__(self, make: Callable[[], DecoderProcess], ahead: bool = False) -> None:
        self._make = make
        self._idle = [make()] if ahead else []
        self._closed = False
        with suppress(SmartSightError):  # a failed start is repeated at the first image
            for decoder in self._idle:
                decoder.start()

    def await_ready(self) -> None:
        """Wait until the one that was started ahead is ready; raise ``SmartSightError`` if it fails."""
        for decoder in self._idle:
            decoder.await_ready()

    def decode(self, data: bytes, side: int, crop: float, limits: Limits) -> Picture:
        """Decode with a free decoder; raise as ``DecoderProcess.decode`` does."""
        decoder = self._take()
        try:
            return decoder.decode(data, side, crop, limits)
        finally:
            self._idle.append(decoder)
            if self._closed:
                self.close()

    def close(self) -> None:
        """End the processes; a busy one ends after its image."""
        self._closed = True
        while self._idle:
            self._take().close()

    def _take(self) -> DecoderProcess:
        try:
            return self._idle.pop()  # the one used last, whose memory is still in the CPU caches
        except IndexError:
            return self._make()
