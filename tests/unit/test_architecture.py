"""The rules of the house, read off the source: who may import whom, where each technology lives."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_ROLES = ("producer", "worker", "results_api")
_PACKAGES = (*_ROLES, "shared", "commands", "api_client")

#: Which modules alone may import a technology.
_HOMES = {
    "PIL": ("shared.images",),
    "pi_heif": ("shared.images",),
    "sqlalchemy": ("shared.store",),
    "alembic": ("shared.store",),
    "sqlite3": ("shared.store",),
    "psycopg": ("shared.store",),
    "ai_edge_litert": ("shared.classifier",),
    "tensorflow": ("shared.classifier",),
    "keras": ("shared.classifier",),
    "aiohttp": ("shared.fetching",),
    "yarl": ("shared.fetching", "worker"),
    "protego": ("shared.fetching.robots",),
    "fastapi": ("results_api.service",),
    "starlette": ("results_api.service",),
    "pydantic": ("results_api.service",),
    "httpx2": ("api_client",),
    "polars": ("shared.store", "results_api"),
    "pyarrow": ("shared.store", "results_api.encoders", "producer"),
    "orjson": ("results_api",),
    "standardwebhooks": ("results_api.webhooks",),
    "uvicorn": ("commands.serving", "commands.connections"),
    "uvloop": ("commands.serving",),
    "jinja2": ("results_api.report.page", "results_api.service.pages"),
    "pika": ("shared.rabbitmq",),
    "prometheus_client": ("commands.metrics",),
    "pythonjsonlogger": ("commands.terminal",),
    "tqdm": ("commands.progress",),
    "shtab": ("commands.installation",),
    "warcio": ("shared.warc",),
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text("utf-8"))
    yield "smartsight", ast.parse((_ROOT / "smartsight.py").read_text("utf-8"))


@cache
def _trees() -> dict[str, ast.Module]:
    return dict(_modules())


@cache
def _imports(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_trees()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
    return found


def _package(name: str) -> str:
    return name.partition(".")[0]


def _is_in(name: str, homes: tuple[str, ...]) -> bool:
    return any(name == home or name.startswith(home + ".") for home in homes)


def test_roles_do_not_import_one_another() -> None:
    for name in _trees():
        others = {_package(module) for module in _imports(name)} & set(_ROLES) - {_package(name)}
        if _package(name) in _ROLES:
            assert not others, f"{name} imports {others}"
        if _package(name) == "shared":
            reached = others | ({_package(module) for module in _imports(name)} & {"commands", "smartsight"})
            assert not reached, f"{name} imports {reached}"


def test_each_technology_has_one_home() -> None:
    for name in _trees():
        if "migrations" in name:
            continue
        for module in _imports(name):
            homes = _HOMES.get(_package(module))
            assert homes is None or _is_in(name, homes), f"{name} imports {module}"


#: What stands behind a boundary is put there by commands; whoever uses the boundary uses it.
_ADAPTERS = {"shared.rabbitmq": "shared.broker", "shared.decoding": "shared.images"}


def test_what_is_shared_is_used_by_two() -> None:
    """A part of `shared` that one role alone needs belongs to that role."""
    uses = {name: _reached(name) for name in _trees() if _package(name) != "shared"}
    parts = {".".join(name.split(".")[:2]) for name in _trees() if name.startswith("shared.")}
    for part in {_ADAPTERS.get(part, part) for part in parts}:
        users = {_package(user) for user, reached in uses.items() if part in reached}
        assert len(users) >= 2, f"{part} is used by {users or 'nobody'} alone"


def _reached(name: str) -> set[str]:
    """The modules of this project that a module imports, and those that they import."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for module in _imports(waiting.pop()):
            parents = {module.rsplit(".", depth)[0] for depth in range(module.count(".") + 1)}
            for found in parents & _trees().keys() - reached:
                reached.add(found)
                waiting.append(found)
    return reached


def test_no_function_or_module_is_too_long() -> None:
    for name, tree in _trees().items():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (function.end_lineno or 0) - function.lineno + 1
                assert length <= 60, f"{name}.{function.name} has {length} lines"
        last = max((getattr(node, "end_lineno", 0) or 0 for node in tree.body), default=0)
        assert last <= 500, f"{name} has {last} lines"


def test_importing_everything_is_light() -> None:
    """No heavy library is loaded before it is needed."""
    laden = ("producer.parquet_rows", "results_api.service", "shared.rabbitmq", "commands.connections")
    laden += ("commands.serving", "shared.store.migrations", "shared.store.postgres")
    laden += ("shared.fetching.http_protocol",)
    light = [name for name in _trees() if not name.startswith(laden)]
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        "heavy = {'tensorflow', 'keras', 'ai_edge_litert', 'aiohttp', 'pyarrow', 'alembic', 'tqdm'}\n"
        "heavy |= {'fastapi', 'pydantic', 'httpx2', 'uvicorn', 'polars'}\n"
        "heavy |= {'pika', 'psycopg', 'prometheus_client', 'warcio', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True)


def test_no_module_reads_the_environment_when_it_is_imported() -> None:
    for name, tree in _trees().items():
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                names = {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
                assert not names & {"environ", "getenv", "connect", "create_engine"}, name


def test_the_package_names_are_ours_alone() -> None:
    """The folders are top-level packages: a stranger of the same name would hide one of them."""
    distributions = packages_distributions()
    for package in _PACKAGES:
        assert set(distributions[package]) == {"smartsight"}
