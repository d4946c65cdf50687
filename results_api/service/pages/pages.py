"""Write the pages, every word of them escaped."""

from importlib.metadata import version
from pathlib import Path

from results_api.service.failures import status_of
from shared.errors import Code

#: Where these pages have their own styles and scripts.
ASSETS = Path(__file__).parent / "assets"
#: The package that brings Swagger UI along, so that nobody's browser asks a stranger for it.
SWAGGER = ("fastapi_offline", "static")


def docs_page(title: str) -> str:
    """Return the page on which Swagger UI shows the service's document."""
    return _render("docs.html.jinja", title=title, swagger=version(SWAGGER[0]))


def errors_page() -> str:
    """Return the page that explains every code, each at an anchor of its name."""
    return _render("errors.html.jinja", codes=list(Code), status_of=status_of)


def _render(template: str, **words: object) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(words, version=version("smartsight"))
