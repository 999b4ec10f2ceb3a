"""Tables of figures, as text for a terminal and as Markdown.

`python -m benchmarks.tables results.json [--into docs/performance.md]` prints those of a run, or
puts them into a page between its two marks.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import orjson

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


@dataclass
class Table:
    """The first column names a row, the others are figures."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        grid = [[self.title, *self.columns[1:]], *self.rows]
        widths = [max(len(row[index]) for row in grid) for index in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in grid
        ]
        return "\n".join([*lines, *self.notes])

    def markdown(self) -> str:
        marks = ["---", *["---:"] * (len(self.columns) - 1)]
        grid = [self.columns, marks, *self.rows]
        lines = [f"| {' | '.join(row)} |" for row in grid]
        notes = ["", *self.notes] if self.notes else []
        return "\n".join([f"### {self.title}", "", *lines, *notes])


def put_into(page: str, tables: str) -> str:
    """The page with the tables between its marks. Raises ValueError if it hasn't both."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def main() -> None:
    from benchmarks.report import describe  # Late: it makes its tables of the class above.

    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m benchmarks --json` has written")
    parser.add_argument("--into", type=Path, help="the page to put them into")
    options = parser.parse_args()
    results = orjson.loads(options.results.read_bytes())
    tables = describe(results)
    if options.into is None:
        print(tables)
    else:
        options.into.write_text(put_into(options.into.read_text(), tables))


if __name__ == "__main__":
    main()
