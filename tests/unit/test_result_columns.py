"""The table of result columns: what is said of each, and the pages that are made from it."""

from pathlib import Path

import pytest

from results_api.service.result_models import ItemResult
from shared.store.result_columns import COLUMNS, NAMES, ResultColumn, as_markdown
from shared.store.result_frames import schema
from shared.store.schema import items, results

_DOCS = Path(__file__).parents[2] / "docs"
each = pytest.mark.parametrize("column", COLUMNS, ids=NAMES)


def test_the_page_of_columns_is_up_to_date() -> None:
    assert (_DOCS / "result-columns.md").read_text("utf-8") == as_markdown(), "run `make docs`"


@each
def test_each_column_is_explained_by_one_sentence(column: ResultColumn) -> None:
    assert column.about[0].isupper() or column.about[0] == "`"
    assert column.about.endswith(".")
    assert "\n" not in column.about


@each
def test_what_a_column_needs_is_in_the_tables(column: ResultColumn) -> None:
    assert all(name in results.c or name in items.c for name in column.needs)
    assert (column.stored is None) or results.c[column.name] is column.stored


def test_every_format_has_the_columns_in_this_order() -> None:
    assert tuple(schema()) == NAMES
    assert tuple(ItemResult.model_fields) == NAMES


def test_the_examples_are_a_result() -> None:
    ItemResult.model_validate({column.name: column.example for column in COLUMNS})
