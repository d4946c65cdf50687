"""A RabbitMQ of one's own, to be killed, paused and emptied at will."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.servers.binaries import rabbitmq_program
from tests.servers.ports import free_port, is_free, speaks_amqp
from tests.servers.processes import check_runs, end
from tests.servers.waiting import wait_until

_PATIENCE = 90

_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = 512MB
raft.wal_max_size_bytes = 67108864
"""

# Quorum queues report their depth at every tick; 5 s, the default, is a long wait for a test. A scheduler
# that waits for work sleeps, instead of spinning on a core that a test could use.
_ERLANG = (
    "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none "
    "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 200"
)


class RabbitServer:
    """A private RabbitMQ node in a folder of its own, sharing nothing with other nodes on the machine."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="smartsight-rabbitmq-"))
        self.port = free_port()
        self._node = f"smartsight{self.port}@localhost"
        self._folder = folder
        self._data = folder / "data"
        self._output = folder / "output.log"
        self._epmd_port = free_port()
        self._environment = self._settings()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=self.port))
        (folder / "enabled_plugins").write_text("[].\n")

    def _settings(self) -> dict[str, str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ", "ERL"))
        }
        return inherited | {
            "HOME": str(self._folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._folder / "none.config"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            "RABBITMQ_CTL_ERL_ARGS": "-start_epmd false +S 1:1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(self._data),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            "detached": "true",  # the script gives way to the Erlang VM, so that signals reach it
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        """Start the node, on the data of its last run if there are any, and wait until it serves."""
        if self._process:
            raise RuntimeError("it runs already")
        self._start_epmd()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [rabbitmq_program("rabbitmq-server")],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._serves, _PATIENCE, f"RabbitMQ on port {self.port}")

    def _start_epmd(self) -> None:
        # The node would start one that outlives it and that nobody could tell from others.
        if self._epmd:
            return
        self._epmd = subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: not is_free(self._epmd_port), _PATIENCE, "epmd")

    def _serves(self) -> bool:
        check_runs(self._running, self._output)
        return speaks_amqp("127.0.0.1", self.port)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if not self._process:
            raise RuntimeError("it does not run")
        return self._process

    def revive(self) -> None:
        """See to it that the server runs, whatever was done to it."""
        if self._process:
            self.unpause()
        else:
            self.start()

    @property
    def pid(self) -> int:
        return self._running.pid

    def stop(self) -> None:
        """Stop the node in good order."""
        self.unpause()
        end(self._running, signal.SIGTERM)
        self._process = None

    def kill(self) -> None:
        """Kill the node as a power cut would, without a word to anyone."""
        os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()
        self._process = None
        wait_until(lambda: is_free(self.port), _PATIENCE, f"port {self.port} to be free")

    def pause(self) -> None:
        """Stop the node in its tracks: its connections stay open and nothing answers."""
        os.killpg(self._running.pid, signal.SIGSTOP)

    def unpause(self) -> None:
        os.killpg(self._running.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Remove the data of the stopped node: it comes back with nothing in it."""
        if self._process:
            raise RuntimeError("stop it first")
        shutil.rmtree(self._data)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl on this node and return what it printed."""
        finished = subprocess.run(
            [rabbitmq_program("rabbitmqctl"), "--quiet", "--node", self._node, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        if finished.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {finished.stdout}{finished.stderr}")
        return finished.stdout

    def close(self) -> None:
        """Kill whatever is left of the node and remove all that it left."""
        if self._process:
            self.kill()
        if self._epmd:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
        shutil.rmtree(self._folder, ignore_errors=True)
