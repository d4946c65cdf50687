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


def test_the_changelog_is_in_order() -> None:
    """As Keep a Changelog has it: the newest version first, and its kinds of changes in this order."""
    kinds = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    versions = re.split(r"^## ", (_ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert versions[0].startswith("Unreleased\n")
    for version in versions:
        title, _, content = version.partition("\n")
        found = re.findall(r"^### (.*)$", content, re.MULTILINE)
        assert found == sorted(found, key=kinds.index), title
        assert len(found) == len(set(found)), title
        assert content.lstrip().startswith("### "), f"{title} has changes of no kind"
    dates = [one.split(" - ")[1][:10] for one in versions[1:]]
    assert dates == sorted(dates, reverse=True)
