"""A line a picture on standard output, for people."""

from commands.stdout import show
from results_api.rows import Row

_REF_WIDTH = 32


class Lines:
    """Writes the best class and its score behind each reference."""

    def write(self, rows: list[Row]) -> None:
        """See ``RowWriter``."""
        show(*(line_of(row) for row in rows))

    def finish(self) -> None:
        """See ``RowWriter``."""


def line_of(row: Row) -> str:
    """Return the line of one row."""
    ref = f"{row['ref']:<{_REF_WIDTH}}"
    if row["predictions"]:
        best = row["predictions"][0]
        return f"{ref}  {best['score']:.3f}  {best['class']}"
    return f"{ref}  {row['state']}  {row['code']}: {row['message']}"
