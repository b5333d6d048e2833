"""Tables to lines: each row with all its columns, under the names that the table gives them."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_FEWEST: Final = 2
"""Rows and columns of a table that can have a header; with so many columns a name may stand before each value."""
_PROBED: Final = 20
_MOST_FULL: Final = 2 / 3
"""Of a header's cells; one with fewer names is no header."""
_NUMBER: Final = re.compile(r"[^\w]*\d[\d.,:/\s%-]*\W*\w{0,3}\W*")
_YEAR: Final = re.compile(r"(?:FY ?|Q[1-4][ /]?)?(?:19|20)\d\d(?:[-/]\d\d(?:\d\d)?)?")


class Cell(NamedTuple):
    """What stands in a cell, and over how many columns and rows it reaches."""

    text: str
    columns: int = 1
    rows: int = 1


class Table(NamedTuple):
    """A table with one row of names, if it has any; `titles` stood above all of it, each in a row of its own."""

    titles: list[str]
    names: list[str]
    rows: list[list[str]]

    def lines(self) -> list[str]:
        """Each row as a line, as in Markdown; the line under the first says that it names the columns."""
        written = [f"| {' | '.join(map(_one_line, row))} |" for row in ([self.names] if self.names else []) + self.rows]
        if self.names:
            written.insert(1, "|" + " --- |" * len(self.names))
        return written


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "¦")


def read_table(rows: Sequence[Sequence[Cell | str]], headers: int | None = None) -> Table:
    """Find out what names the columns, if it is not known in how many rows that is done."""
    titles, cells = _without_titles([[one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows])
    # The first rows alone first: most tables differ there, and some are very long.
    if headers is None and all(_are_names_in_two_rows(_spread(part)) for part in (cells[:_PROBED], cells)):
        cells = [_reaching_over_blanks(cells[0]), *cells[1:]]
        headers = _FEWEST + len(titles)
    known = 0 if headers is None else max(0, headers - len(titles))
    count = max(known, _headers(cells)) if known or headers is None or titles else 0
    lines = _spread(cells, names=count)
    if any(cell.columns > 1 for row in cells for cell in row):  # some pages have columns for gaps alone
        kept = [at for at in range(max(map(len, lines), default=0)) if any(line[at].strip() for line in lines)]
        lines = [[line[at] for at in kept] for line in lines]
    above = zip(*lines[:count], strict=True)
    names = [" ".join(dict.fromkeys(filter(None, map(str.strip, column)))) for column in above]
    return Table(titles, names, lines[count:])


def _without_titles(rows: Sequence[Sequence[Cell]]) -> tuple[list[str], Sequence[Sequence[Cell]]]:
    """What stands alone in each of the first rows, above a table that has more columns; and that table."""
    held = [[cell for cell in row if cell.text.strip()] for row in rows]
    width = max(map(len, rows), default=0)
    titles: list[str] = []
    if any(len(row) > 1 for row in held):
        for number, row in enumerate(held):
            is_name = width == _FEWEST and row and row[0] is not rows[number][0]  # of the second column
            if len(row) > 1 or is_name or any(cell.rows > 1 for cell in row):
                return titles, rows[number:]
            titles += [cell.text.strip() for cell in row]
    return titles, rows


def _are_names_in_two_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Whether words stand in the second row, such as units or parts of a year, where all rows below have numbers.

    One of the two rows says nothing in the first column; else the second could be a row like those below it.
    """
    if len(rows) <= _FEWEST or len(rows[0]) <= _FEWEST:
        return False
    above, names, *below = ([cell.strip() for cell in row] for row in rows)
    told = [at for at, name in enumerate(names) if name and at]
    if bool(above[0]) == bool(names[0]) or len(told) < _FEWEST or any(map(is_number, [*above, *names])):
        return False
    if not all(name or other for name, other in zip(above[1:], names[1:], strict=True)):
        return False
    columns = [column for at in told if (column := list(filter(None, (row[at] for row in below))))]
    return 2 * len(columns) > len(told) and all(all(map(_NUMBER.fullmatch, column)) for column in columns)


def _reaching_over_blanks(row: Sequence[Cell]) -> list[Cell]:
    """A row of names in which each stands for the blank columns behind it, too, as if it were merged with them."""
    cells: list[Cell] = []
    for cell in row:
        if cells and cells[-1].text.strip() and not cell.text.strip() and cells[-1].rows == cell.rows == 1:
            cells[-1] = cells[-1]._replace(columns=cells[-1].columns + cell.columns)
        else:
            cells.append(cell)
    return cells


def _spread(rows: Sequence[Sequence[Cell]], *, names: int = 0) -> list[list[str]]:
    """The rows that are not blank, all of one width.

    What reaches over rows stands in each of them; what reaches over columns in the first, but a name in each.
    """
    widest = max((len(row) for row in rows), default=0)
    reaching: dict[int, tuple[str, int]] = {}  # by column: what, and over how many more rows
    lines: list[dict[int, str]] = []
    for row in rows:
        line = {at: text for at, (text, _) in reaching.items()}
        reaching = {at: (text, left - 1) for at, (text, left) in reaching.items() if left > 1}
        at = 0
        for cell in row:
            while at in line:
                at += 1
            # None reaches over more columns than there can be: for all of them, some pages say 100 or 1000.
            for place in range(at, at + max(1, min(cell.columns, widest))):
                line[place] = cell.text if place == at or len(lines) < names else ""
                if cell.rows > 1:
                    reaching[place] = (line[place], cell.rows - 1)
        if any(cell.text.strip() for cell in row):
            lines.append(line)
    width = max((max(line, default=-1) + 1 for line in lines), default=0)
    return [[line.get(at, "") for at in range(width)] for line in lines]


def _headers(rows: Sequence[Sequence[Cell]]) -> int:
    """How many rows name the columns, by what they look like."""
    plain, named = _spread(rows), _spread(rows, names=1)
    if len(plain) > _FEWEST:
        # A name that reaches over several columns has others below it, which tell those apart.
        wide = {
            place
            for at, (one, other) in enumerate(zip(plain[0], named[0], strict=True))
            if one != other
            for place in (at - 1, at)
        }
        if wide and all(plain[1][at].strip() for at in wide) and not any(map(is_number, plain[1])):
            return _FEWEST
        # Without merged cells, such as in separated values, the name of several columns stands in each of them.
        _, *above = plain[0]
        first, *below = map(str.strip, plain[1])
        pairs = set(zip(above, below, strict=True))
        if not first and all(below) and len(set(above)) < len(above) == len(pairs) and plain[2][0].strip():
            return _FEWEST
    return int(looks_like_header(plain))


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it is full, has no numbers, and is not itself a name and its value.

    The name of the first column may be missing, and some of the others where numbers stand under those that are there.
    """
    first = [cell.strip() for cell in rows[0]] if rows else []
    named = [at for at, cell in enumerate(first) if cell]
    if len(rows) < _FEWEST or len(first) < _FEWEST or any(map(is_number, first)):
        return False
    below = [[row[at].strip() if at < len(row) else "" for row in rows[1:]] for at in range(len(first))]
    if any(_YEAR.fullmatch(first[at]) and any(map(_YEAR.fullmatch, below[at])) for at in named):
        return False  # a row of years like those below it
    counted = [at for at in named if (under := list(filter(None, below[at]))) and all(map(_NUMBER.fullmatch, under))]
    if len(named) < len(first):
        return len(named) > _MOST_FULL * (len(first) - 1) and bool(counted)
    return len(first) > _FEWEST or 1 in counted


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text.strip())) and not _YEAR.fullmatch(text.strip())
