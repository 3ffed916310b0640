"""Texts as msgids: placeholders, and what is no message."""

import re


def pattern(literal):
    """A format string as a msgid, and the names in its placeholders."""
    text, names, holes, i = [], [], 0, 0
    while i < len(literal):
        two, char = literal[i : i + 2], literal[i]
        if two in ("{{", "}}"):
            text.append(two[0])
            i += 2
        elif char == "{":
            end = literal.index("}", i)
            name = literal[i + 1 : end].split(":")[0].strip()
            names.append(name)
            text.append(None)
            holes += 1
            i = end + 1
        else:
            text.append("%%" if char == "%" else char)
            i += 1
    numbered, place = [], 0
    for piece in text:
        if piece is None:
            place += 1
            piece = "%s" if holes == 1 else f"%{place}$s"
        numbered.append(piece)
    return "".join(numbered), names


def plain(literal):
    """A text without placeholders as a msgid."""
    return literal.replace("%", "%%")


# Single words that stand in sentences. Other single words are names of options, functions and values: they stay as they are.
WORDS = {"row", "test", "validation", "canceled"}
# Names, examples of calls and of JSON.
NAME = re.compile(r"[\w.:\[\]/()%$+-]+|insight_\w+\(.*\)|\{.*\}|\"\w+\": \"\w+\"")
SQL = re.compile(
    r"""^[\s,(%$\ds]*(SELECT|INSERT\ INTO|UPDATE|DELETE\ FROM|WITH\ \w+\ AS|CREATE\ TABLE\ (insight|%)|CREATE\ INDEX|ALTER\ TABLE|DROP\ TABLE
        |LOCK\ TABLE|REVOKE|COMMENT\ ON|CASE|WHEN|NOT\ (NULL|EXISTS)|AND|LIMIT|(LEFT\ )?JOIN|FROM|WHERE|ORDER\ BY|DISTINCT
        |coalesce|max|min|count|extract)\b
      | pg_catalog\.[%\w] | ::(int|float8|interval|timestamptz)\b | \ AS\ (%|source) | base\ t$ | ^%\d\$s\ IN\ \( | (^|\ )DESC$
      | \ FILTER\ \( | <\w+\ """,
    re.VERBOSE,
)
# Comments on columns, names of types and portals, defaults, and what is looked for in other texts.
NO_MESSAGE = re.compile(
    r"double precision|timestamp with time zone|insight (key|rows|generated rows)|(time|key) as text|\d+ days| repeat |left out|class balance"
    r"|become the median|.*\(classification\)|the (model that predicted|version of the model)|when the row .*|what insight_predict answers: .*"
    # What insight_reproduce and insight_rfm answer.
    r"|a GPU adds up.*|insight .* then, .*|the data is not the same: .*|same data and options.*|every prepared column.*|as many rows as then.*"
    r"|settings or defaults differ|max_seconds ended the training, and.*|about to sleep|at risk|cannot lose them|need attention|potential loyalists"
    r"|the key of the row that was scored|predictions of the model .* written by insight_score|insight\.key_(file|command).*: %.*"
)


def says_something(msgid):
    """Whether there is something to translate."""
    if msgid in WORDS:
        return True
    if NAME.fullmatch(msgid) or SQL.search(msgid) or NO_MESSAGE.fullmatch(msgid):
        return False
    return re.search(r"[A-Za-z]{2}", re.sub(r"%(\d+\$)?s", " ", msgid)) is not None
