"""The tests' web for a process that is started with this folder on its path: names lead there.

SMARTSIGHT_TEST_WEB names a JSON file: ``hosts``, what a resolver answers by name, and ``open``, the pairs of
address and port that the guard lets through besides its own. Nothing happens before the guard is imported.
"""

import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_GUARD = "shared.fetching.guard"


class _GuardFinder(MetaPathFinder):
    """Finds the guard as others would, once, and sees to it that it is changed right after it ran."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _GUARD:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_open(module: ModuleType) -> None:
                run(module)
                _open(module)

            spec.loader.exec_module = run_and_open  # type: ignore[method-assign]
        return spec


def _open(guard: Any) -> None:
    from tests.servers.opening import opened

    web = json.loads(Path(os.environ["SMARTSIGHT_TEST_WEB"]).read_text("utf-8"))

    @cache  # one for the process, so that a name has one first answer
    def resolver() -> Any:
        from tests.servers.names import FakeResolver

        return FakeResolver(web["hosts"])

    guard.system_resolver = resolver
    guard.Guard.allows = opened(guard.Guard.allows, web["open"])


if os.environ.get("SMARTSIGHT_TEST_WEB"):
    sys.meta_path.insert(0, _GuardFinder())
