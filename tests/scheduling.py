"""Which tests stay together in one of the processes of a test run, and which of them come first."""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

#: Folders where each test is given to whichever process is free; elsewhere a file's tests stay together.
_APART = ("faults", "e2e")
#: Files that share a server to be killed, or TensorFlow, which takes seconds to load.
_TOGETHER = {
    "tests/faults/test_broker_away.py": "mortal broker",
    "tests/faults/test_random.py": "mortal broker",
    "tests/integration/test_servers.py": "mortal broker",
    "tests/faults/test_database_away.py": "mortal database",
    "tests/integration/test_database.py": "mortal database",
    "tests/e2e/test_model.py": "tensorflow",
    "tests/contract/test_engines.py": "tensorflow",
}
#: Long tests come first, so that no process is left with one of them when the others have ended.
_ORDER = ("faults", "browser", "e2e", "integration", "contract", "unit")


def group_of(test: str) -> str:
    """Name the tests that stay together with this one."""
    path = test.partition("::")[0]
    return _TOGETHER.get(path) or (test if _folder(path) in _APART else path)


def place_of(test: str) -> tuple[bool, int]:
    """Return what to sort tests by: groups of several files, then folder by folder."""
    path = test.partition("::")[0]
    return path not in _TOGETHER, _ORDER.index(_folder(path))


def _folder(path: str) -> str:
    return PurePath(path).parts[1]


class Scheduling(LoadScopeScheduling):
    """Gives groups to processes, one after another."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
