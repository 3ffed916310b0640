"""Finds the messages of functions that are written in SQL: what they hand to insight.translated, a text or a format of one."""

import re
from texts import plain

CALL = re.compile(r"\binsight\.translated\(\s*(format\(\s*)?(?:'((?:[^']|'')*)'\s*[,)])?")
HOLE = re.compile(r"%(%|[sIL])")


def pattern(text):
    """What format() of SQL is given, as a msgid."""
    several = sum(hole[1] != "%" for hole in HOLE.finditer(text)) > 1
    places = iter(range(1, len(text)))
    numbered = lambda: f"%{next(places)}$s" if several else "%s"
    return HOLE.sub(lambda hole: "%%" if hole[1] == "%" else numbered(), text)


def messages(root):
    """Each message and where it stands: (msgid, path, line); the msgid is None where what is handed over is no text."""
    for path in sorted((root / "sql").glob("*.sql")):
        source = path.read_text(encoding="utf-8")
        for call in CALL.finditer(source):
            is_format, text = call[1], call[2]
            if text is not None:
                text = text.replace("''", "'")
                text = pattern(text) if is_format else plain(text)
            yield text, path.relative_to(root).as_posix(), source.count("\n", 0, call.start()) + 1
