"""Decoding in a process of its own: real processes, real limits, and images that kill them."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.confined_process import PYTHON
from shared.decoding.child import ANSWER_SIZE, DecodeRequest, pack_request, unpack_error, unpack_head
from shared.decoding.decoder import DecoderProcess, Decoders, memory_for
from shared.decoding.process import ChildProcess
from shared.errors import Code, ItemError, ResourceError
from shared.images import Decode, Limits, decode
from tests.servers.processes import cpu_seconds, is_alive
from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_FAULTY = (*PYTHON, str(_ROOT / "tests" / "decoders" / "faulty.py"))
_HOLDER = _ROOT / "tests" / "decoders" / "holder.py"
_LIMITS = Limits()
_MEMORY = memory_for(_LIMITS)
#: Seconds; never reached by a test that passes.
_PATIENCE = 60.0
#: More processor seconds than the start of a process takes.
_START = 2.0

Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    with closing(DecoderProcess(_MEMORY)) as decoder:
        yield decoder


@pytest.fixture
def faulty() -> Iterator[DecoderProcess]:
    with closing(DecoderProcess(_MEMORY, _FAULTY)) as decoder:
        yield decoder


@pytest.fixture
def image(samples: Path) -> bytes:
    return (samples / "rocket.jpg").read_bytes()


def _outcome(decode: Decode, data: bytes, limits: Limits = _LIMITS) -> object:
    """What there is to compare of a picture, or of the reason why there is none."""
    try:
        picture = decode(data, 224, 0.875, limits)
    except ItemError as error:
        return error.code, error.detail
    assert picture.pixels.dtype == np.uint8
    return sha256(picture.pixels).hexdigest(), picture.width, picture.height, picture.format


def _error(decoder: DecoderProcess, data: bytes, limits: Limits = _LIMITS) -> ItemError:
    with pytest.raises(ItemError) as caught:
        decoder.decode(data, 32, 1.0, limits)
    return caught.value


def _pid_that_decodes(decoder: DecoderProcess, image: bytes) -> int:
    """Have a good image decoded, and return which process did it."""
    assert decoder.decode(image, 32, 1.0, _LIMITS).format == "JPEG"
    assert decoder.pid is not None
    return decoder.pid


def test_pictures_are_the_same_as_in_process(decoder: DecoderProcess, samples: Path) -> None:
    for path in samples.glob("*.*g"):
        data = path.read_bytes()
        for side, crop in ((224, 0.875), (17, 1.0)):
            ours, theirs = decode(data, side, crop, _LIMITS), decoder.decode(data, side, crop, _LIMITS)
            assert np.array_equal(ours.pixels, theirs.pixels)
            assert (ours.width, ours.height, ours.format) == (theirs.width, theirs.height, theirs.format)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF"])
def test_every_format_is_decoded_within_the_limits(
    format: str, decoder: DecoderProcess, halves: Image.Image, encoded: Encode
) -> None:
    data = encoded(halves, format)
    limits = Limits(tiff=True)
    assert _outcome(decoder.decode, data, limits) == _outcome(decode, data, limits)


def test_every_refusal_comes_through(decoder: DecoderProcess, image: bytes) -> None:
    cases = [
        (b"", _LIMITS, Code.EMPTY_FILE),
        (b"just words", _LIMITS, Code.NOT_AN_IMAGE),
        (b"%PDF-1.7\n", _LIMITS, Code.UNSUPPORTED_FORMAT),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, _LIMITS, Code.IMAGE_CORRUPT),
        (image[:2000], _LIMITS, Code.IMAGE_TRUNCATED),
        (image, Limits(max_bytes=100), Code.TOO_MANY_BYTES),
        (image, Limits(max_pixels=100), Code.TOO_MANY_PIXELS),
    ]
    for data, limits, code in cases:
        error = _error(decoder, data, limits)
        assert error.code is code
        assert (error.code, error.detail) == _outcome(decode, data, limits)
    _pid_that_decodes(decoder, image)


def test_a_file_larger_than_any_pipe_comes_through(
    decoder: DecoderProcess, image: bytes, samples: Path
) -> None:
    data = image + np.random.default_rng(0).bytes(9_000_000)
    assert _outcome(decoder.decode, data) == _outcome(decode, data)


@pytest.mark.timeout(120)
def test_hostile_images_get_the_same_verdict(decoder: DecoderProcess, test_data: Path) -> None:
    limits = Limits(max_pixels=50_000_000, tiff=True)
    files = [path for path in (test_data / "hostile").iterdir() if path.suffix != ".tsv"]
    assert len(files) > 100
    pid = None
    for path in files:
        data = path.read_bytes()
        assert _outcome(decoder.decode, data, limits) == _outcome(decode, data, limits), path.name
        assert decoder.pid == (pid or decoder.pid), f"the process died of {path.name}"
        pid = decoder.pid


@pytest.mark.parametrize(
    ("deed", "code", "detail"),
    [
        (b"abort", Code.DECODER_CRASHED, "SIGABRT"),
        (b"segmentation fault", Code.DECODER_CRASHED, "SIGSEGV"),
        (b"exit", Code.DECODER_CRASHED, "exit status 3"),
        (b"fall silent", Code.DECODER_CRASHED, "closed its pipes"),
        (b"talk nonsense", Code.DECODER_CRASHED, "its answer is invalid"),
        (b"take all memory", Code.DECODER_OUT_OF_MEMORY, "1308 MiB are allowed"),
    ],
)
def test_a_process_that_dies_costs_one_image(
    deed: bytes, code: Code, detail: str, faulty: DecoderProcess, image: bytes
) -> None:
    before = _pid_that_decodes(faulty, image)
    error = _error(faulty, deed)
    assert (error.code, error.detail) == (code, detail)
    assert not error.code.transient
    assert _pid_that_decodes(faulty, image) != before
    assert not is_alive(before)


def test_an_image_that_takes_too_much_processor_time_is_given_up_for_good(image: bytes) -> None:
    with closing(DecoderProcess(_MEMORY, _FAULTY, cpu_limit=0.5)) as decoder:
        pid = _pid_that_decodes(decoder, image)
        error = _error(decoder, b"spin")
        assert (error.code, error.detail) == (Code.DECODER_TIMEOUT, "0.5 s of CPU time")
        assert not error.code.transient
        assert not is_alive(pid)
        _pid_that_decodes(decoder, image)


def test_time_without_a_core_is_not_held_against_an_image(image: bytes) -> None:
    """Nor is the processor time of what came before it: to start took more than is allowed here."""
    with closing(DecoderProcess(_MEMORY, _FAULTY, cpu_limit=0.05)) as decoder:
        pid = _pid_that_decodes(decoder, image)
        assert cpu_seconds([pid]) > 0.05
        assert _error(decoder, b"rest").code is Code.NOT_AN_IMAGE
        assert _pid_that_decodes(decoder, image) == pid


@pytest.mark.parametrize("deed", [b"sleep", b"claim pixels"])
def test_a_process_that_comes_to_a_standstill_is_killed_and_its_image_tried_again(
    deed: bytes, image: bytes
) -> None:
    with closing(DecoderProcess(_MEMORY, _FAULTY, longest=0.5)) as decoder:
        error = _error(decoder, deed)
        assert (error.code, error.detail) == (Code.DECODER_STALLED, "nothing after 0.5 s")
        assert error.code.transient
    with closing(DecoderProcess(_MEMORY, _FAULTY)) as decoder:
        _pid_that_decodes(decoder, image)


def test_a_process_that_does_not_take_its_image_is_killed(image: bytes) -> None:
    with closing(DecoderProcess(_MEMORY, longest=2.0)) as decoder:
        pid = _pid_that_decodes(decoder, image)
        os.kill(pid, signal.SIGSTOP)
        assert _error(decoder, image + bytes(5_000_000)).code is Code.DECODER_STALLED
        assert not is_alive(pid)


def test_a_picture_that_takes_more_memory_than_is_allowed_costs_itself(encoded: Encode, image: bytes) -> None:
    large = encoded(Image.new("RGBA", (6000, 6000)), "PNG")
    with closing(DecoderProcess(200 << 20)) as decoder:
        assert _error(decoder, large).code is Code.DECODER_OUT_OF_MEMORY
        _pid_that_decodes(decoder, image)
    with closing(DecoderProcess(_MEMORY)) as decoder:
        assert decoder.decode(large, 32, 1.0, _LIMITS).width == 6000


def test_the_largest_picture_that_the_limits_allow_has_room(encoded: Encode) -> None:
    limits = Limits(max_pixels=25_000_000)
    largest = encoded(Image.new("RGBA", (5000, 5000)), "WEBP", method=0)
    with closing(DecoderProcess(memory_for(limits))) as decoder:
        assert decoder.decode(largest, 32, 1.0, limits).width == 5000


def test_an_image_is_not_blamed_for_a_process_that_somebody_killed(
    faulty: DecoderProcess, image: bytes
) -> None:
    error = _error(faulty, b"be killed")
    assert error.code is Code.OUT_OF_MEMORY
    assert error.code.transient
    pid = _pid_that_decodes(faulty, image)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), _PATIENCE, "the end of the process")
    _pid_that_decodes(faulty, image)


def test_signals_for_everybody_do_not_end_it(decoder: DecoderProcess, image: bytes) -> None:
    pid = _pid_that_decodes(decoder, image)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert _pid_that_decodes(decoder, image) == pid
    assert os.getsid(pid) == pid


def test_what_it_may_do(
    faulty: DecoderProcess, image: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMARTSIGHT_DATABASE_URL", "postgresql://user:password@host/db")
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        pid = _pid_that_decodes(faulty, image)
        links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    assert not any("open" in link for link in links)
    assert len(links) == 3
    assert b"password" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert _error(faulty, b"write").detail == "File too large"
    hard = {what: resource.prlimit(pid, what)[1] for what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC)}
    assert hard == {resource.RLIMIT_AS: _MEMORY, resource.RLIMIT_NPROC: 0}


@pytest.mark.parametrize("work", ["spin", "nothing, so that it soon waits for the next"])
def test_it_ends_with_its_parent(work: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, str(_HOLDER), work, *_FAULTY]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        if work == "spin":
            wait_until(lambda: cpu_seconds([pid]) > _START, _PATIENCE, "the process to be busy")
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid), _PATIENCE, "the end of the process")


def test_what_is_sent_while_it_decodes_does_not_end_it() -> None:
    request = pack_request(DecodeRequest(b"dawdle" + bytes(200_000), 32, 1.0, _LIMITS))
    child = ChildProcess([*_FAULTY, str(_MEMORY)])
    with ExitStack() as stack:
        stack.callback(child.end)
        child.await_ready()
        child.allow(_PATIENCE)
        child.send(request * 20)  # more than the pipe holds
        for _ in range(20):
            head = unpack_head(child.receive(ANSWER_SIZE))
            assert unpack_error(child.receive(head.text).decode()).code is Code.NOT_AN_IMAGE


def test_what_it_says_on_standard_error_holds_nothing_up(faulty: DecoderProcess, image: bytes) -> None:
    for _ in range(3):
        assert _error(faulty, b"complain").code is Code.NOT_AN_IMAGE
    assert faulty.decode(image, 32, 1.0, _LIMITS).format == "JPEG"


def test_after_its_lifetime_another_takes_its_place(image: bytes) -> None:
    with closing(DecoderProcess(_MEMORY, lifetime=2)) as decoder:
        pids = [_pid_that_decodes(decoder, image) for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    wait_until(lambda: not any(map(is_alive, pids)), _PATIENCE, "the end of the processes")


def test_threads_do_not_wait_for_one_another(image: bytes, samples: Path) -> None:
    made: list[DecoderProcess] = []

    def make() -> DecoderProcess:
        made.append(DecoderProcess(_MEMORY, _FAULTY, cpu_limit=_PATIENCE))
        return made[-1]

    with closing(Decoders(make)) as decoders, ThreadPoolExecutor(2) as threads:
        stuck = threads.submit(decoders.decode, b"spin", 32, 1.0, _LIMITS)
        assert decoders.decode(image, 32, 1.0, _LIMITS).format == "JPEG"
        assert not stuck.done()
        wait_until(lambda: all(decoder.pid for decoder in made), _PATIENCE, "both processes")
        pids = [decoder.pid or 0 for decoder in made]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert isinstance(stuck.exception(), ItemError)
        wait_until(lambda: not any(map(is_alive, pids)), _PATIENCE, "the end of the processes")
        data = [path.read_bytes() for path in samples.glob("*.*g")] * 4
        outcomes = list(threads.map(lambda one: _outcome(decoders.decode, one), data))
    assert outcomes == [_outcome(decode, one) for one in data]
    assert len(made) == 2
    assert [decoder.pid for decoder in made] == [None, None]


def test_one_can_be_started_before_the_first_image(image: bytes) -> None:
    made: list[DecoderProcess] = []

    def make() -> DecoderProcess:
        made.append(DecoderProcess(_MEMORY))
        return made[-1]

    with closing(Decoders(make, ahead=True)) as decoders:
        (pid,) = [decoder.pid for decoder in made]
        assert pid
        decoders.await_ready()
        decoders.decode(image, 32, 1.0, _LIMITS)
        assert [decoder.pid for decoder in made] == [pid]
    assert not is_alive(pid)


def test_one_that_is_busy_when_all_are_closed_ends_with_its_image(image: bytes) -> None:
    started, made = threading.Event(), DecoderProcess(_MEMORY, _FAULTY, cpu_limit=0.5)

    def make() -> DecoderProcess:
        started.set()
        return made

    decoders = Decoders(make)
    with ThreadPoolExecutor(1) as thread:
        stuck = thread.submit(decoders.decode, b"spin", 32, 1.0, _LIMITS)
        assert started.wait(_PATIENCE)
        decoders.close()
        assert isinstance(stuck.exception(), ItemError)
    assert made.pid is None


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (("/no/such/program",), "No such file or directory"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "exit status 3"),
        ((sys.executable, "-c", "print('hello')"), "exit status 0"),
    ],
)
def test_a_process_that_cannot_be_started_is_not_the_images_fault(
    command: tuple[str, ...], detail: str, image: bytes
) -> None:
    with closing(Decoders(lambda: DecoderProcess(_MEMORY, command), ahead=True)) as decoders:
        with pytest.raises(ResourceError) as caught:
            decoders.decode(image, 32, 1.0, _LIMITS)
        assert (caught.value.code, caught.value.detail) == (Code.DECODER_UNAVAILABLE, detail)
        with pytest.raises(ResourceError):
            decoders.await_ready()


def test_a_process_that_cannot_be_started_for_the_moment_is_tried_again(image: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(DecoderProcess(_MEMORY)) as decoder:
        # Nothing can be opened: whatever other tests left open, the lowest free number is beyond the limit.
        lowest_free = os.dup(2)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            error = _error(decoder, image)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (error.code, error.code.transient) == (Code.OUT_OF_MEMORY, True)
        _pid_that_decodes(decoder, image)


def test_the_process_loads_what_it_needs_and_no_more() -> None:
    code = "import sys, shared.decoding.child; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert {"numpy", "PIL"} <= loaded
    assert not loaded & {
        "sqlalchemy",
        "asyncio",
        "aiohttp",
        "tensorflow",
        "ai_edge_litert",
        "pika",
    }
