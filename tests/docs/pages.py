"""Pages of Markdown: their blocks of SQL, the text that each should print, and whether a text is what a page says."""

import re
from dataclasses import dataclass

ANY = "…"
# Figures may differ by so much: other processors round otherwise.
RELATIVE, ABSOLUTE = 0.05, 0.02
# Columns that are never the same twice. --write puts ANY into their cells.
CHANGING = re.compile(r"(seconds|job|pid|bytes|since|phases|\w+_(at|seconds|bytes)|rows_per_second|data_fingerprint)$")
RULE = re.compile(r"[-+]+$")
TOKEN = re.compile(
    r"(?P<any>…)"
    r"|(?P<day>\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d)?)?)"
    r"|(?P<number>(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?(?![\w]))"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.S,
)


@dataclass
class Block:
    """Statements, the line they begin at, and the lines of the text that follows them, if one does."""

    sql: str
    line: int
    text: str | None = None
    text_lines: tuple[int, int] | None = None


def blocks(page: str) -> list[Block]:
    """Blocks of ```sql with the ```text that comes next, before any other block."""
    found, lines, at = [], page.split("\n"), 0
    after_sql = False
    while at < len(lines):
        if not lines[at].startswith("```"):
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end] != "```":
            end += 1
        if end == len(lines):
            raise ValueError(f"the block at line {at + 1} does not end")
        content = "\n".join(lines[at + 1 : end])
        if lines[at] == "```sql":
            found.append(Block(content, at + 2))
        elif lines[at] == "```text" and after_sql:
            found[-1].text, found[-1].text_lines = content, (at + 1, end)
        after_sql = lines[at] == "```sql"
        at = end + 1
    return found


def heredocs(page: str) -> list[Block]:
    """What shell commands of a page give to psql between <<'END' and END."""
    return [
        Block(found[1], page[: found.start(1)].count("\n") + 1)
        for found in re.finditer(r"<<'END'\n(.*?)\nEND\n", page, re.S)
    ]


def trimmed(text: str) -> list[str]:
    """Lines without blanks at their ends, without blank lines at the text's ends."""
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def difference(expected: str, got: str) -> str | None:
    """The first line that is not as expected, or None."""
    wanted, had = trimmed(expected), trimmed(got)
    for number, (one, other) in enumerate(zip(wanted, had)):
        if not same_line(one, other):
            return f"line {number + 1}\n  expected: {one}\n  got:      {other}"
    if len(wanted) != len(had):
        return f"{len(wanted)} lines were expected, there are {len(had)}:\n" + "\n".join(had[:12])
    return None


def same_line(expected: str, got: str) -> bool:
    """Equal but for blanks, for figures within the tolerance, and for what ANY stands for."""
    if RULE.match(expected.strip()) and RULE.match(got.strip()):
        # The widths of a table's columns follow its values.
        return expected.count("+") == got.count("+")
    pattern, numbers = [], []
    for token in TOKEN.finditer(expected.strip()):
        kind, text = token.lastgroup, token.group()
        if kind == "any":
            pattern.append(".*?")
        elif kind == "number":
            pattern.append(r"(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)")
            numbers.append(text)
        elif kind == "space":
            pattern.append(r"\s+")
        else:
            pattern.append(re.escape(text))
    found = re.fullmatch("".join(pattern), got.strip())
    return bool(found) and all(map(close, numbers, found.groups()))


def close(expected: str, got: str) -> bool:
    a, b = (float(text.replace(",", "")) for text in (expected, got))
    return abs(a - b) <= max(ABSOLUTE, RELATIVE * abs(a))


def masked(got: str, before: str | None) -> str:
    """What --write puts into a page: ANY where values change from run to run. Lines of before that still hold stay as they are,
    so that an ANY set by hand stays, too."""
    lines, columns = trimmed(got), []
    for at, line in enumerate(lines):
        if at + 1 < len(lines) and RULE.match(lines[at + 1].strip()):
            columns = [bool(CHANGING.match(cell.strip())) for cell in line.split("|")]
        elif RULE.match(line.strip()) or line.startswith("("):
            continue
        elif any(columns) and line.count("|") + 1 == len(columns):
            cells = line.split("|")
            lines[at] = "|".join(blank(cell) if change else cell for cell, change in zip(cells, columns)).rstrip()
        elif not line.strip():
            columns = []
    # Days as such may be data; with a time they are when something ran.
    lines = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+\d\d", ANY, line) for line in lines]
    lines = [re.sub(r"\b\d+(\.\d+)?(?= (seconds|ms)\b)", ANY, line) for line in lines]
    old = trimmed(before) if before else []
    if len(old) == len(lines):
        lines = [one if ANY in one and same_line(one, other) else other for one, other in zip(old, lines)]
    return "\n".join(lines)


def blank(cell: str) -> str:
    """A cell with ANY in place of its value; NULL stays."""
    value = cell.strip()
    return cell.replace(value, ANY + " " * (len(value) - 1), 1) if value else cell
