"""A private nginx in front of a service: in a folder of its own, on a port of its own, as any user."""

import getpass
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.binaries import nginx_program
from tests.servers.ports import free_port, is_free
from tests.servers.processes import check_runs, end
from tests.servers.waiting import wait_until

_PATIENCE = 30
_DOCS = Path(__file__).parents[2] / "docs" / "proxies.md"

#: Where nginx calls the service from.
ADDRESS = "127.0.0.2"
_CONFIGURATION = """\
daemon off;
user {user};
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_bind {address};  # that of a proxy elsewhere
        {locations}
    }}
}}
"""


def documented_location(upstream: str) -> str:
    """Return nginx's configuration as our documentation has it, for the service at a URL."""
    found = re.search(r"```nginx\n(.*?)```", _DOCS.read_text("utf-8"), re.DOTALL)
    assert found
    assert "http://127.0.0.1:8000" in found[1]
    return found[1].replace("http://127.0.0.1:8000", upstream)


@contextmanager
def nginx(folder: Path, locations: str) -> Iterator[str]:
    """Yield the URL of an nginx with these locations."""
    port, log = free_port(), folder / "log"
    configuration = folder / "nginx.conf"
    values = {"folder": folder, "port": port, "locations": locations, "address": ADDRESS}
    configuration.write_text(_CONFIGURATION.format(user=getpass.getuser(), **values))
    log.touch()
    process = subprocess.Popen(
        [nginx_program(), "-p", folder, "-e", log, "-c", configuration],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # it goes to the log
        start_new_session=True,
    )

    def listens() -> bool:
        check_runs(process, log)
        return not is_free(port)

    try:
        wait_until(listens, _PATIENCE, "nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process, signal.SIGTERM)
