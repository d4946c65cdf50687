"""What the pages for people say about the tree: every path and link that they name exists."""

import re
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGES = sorted(
    path.relative_to(_ROOT)
    for path in (*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob("benchmarks/*.md"))
)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_IMAGE = re.compile(r'src="([^"]+)"')
#: What names something below one of our folders.
_FOLDERS = "api_client|benchmarks|commands|deploy|docs|producer|results_api|samples|shared|tests|tools|worker"
_PATH = re.compile(rf"(?<![\w/.:-])((?:{_FOLDERS})/[\w./-]*[\w/])")


@pytest.mark.parametrize("page", _PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    text = (_ROOT / page).read_text()
    targets = {link for link in _LINK.findall(text) + _IMAGE.findall(text) if "://" not in link}

    missing = {target for target in targets if not (_ROOT / page.parent / target).exists()}

    assert not missing


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "NOTICE"])
def test_paths_that_are_named_exist(page: str) -> None:
    named = set(_PATH.findall((_ROOT / page).read_text()))

    assert not {path for path in named if not (_ROOT / path).exists()} - {"tests/browser/screenshots"}


def test_licence_files_that_are_shipped_exist() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]

    assert project["license"] == "Apache-2.0"
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert {path for path in project["license-files"] if (_ROOT / path).is_file()} == set(
        project["license-files"]
    )
