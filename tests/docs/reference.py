"""sql/reference.md, from what the installed extension says of itself through insight_help's own source."""

import json
import re
from itertools import groupby

HEAD = """# Functions, views and settings

Written by `tests/docs/run --reference` from the comments of the installed extension, which `insight_help` shows, too. How they are used says
[README](../README.md); begin with the [tutorial](tutorial.md).
"""


def made(psql) -> str:
    """The page; psql answers what a script prints."""
    printed = psql(
        "SELECT insight_version() \\g /dev/null\n"
        "\\pset tuples_only on\n\\pset format unaligned\n"
        "SELECT json_agg(h ORDER BY h.position, h.name COLLATE \"C\") FROM insight.help_texts() h;\n"
    )
    topics = json.loads(printed)
    families = [(family, list(group)) for family, group in groupby(topics, lambda topic: topic["family"])]
    lines = [HEAD, " · ".join(f"[{family}](#{anchor(family)})" for family, _ in families)]
    for family, group in families:
        lines.append(f"\n## {family}")
        for topic in group:
            # What a setting is now is this server's business.
            body = re.sub(r"Now: '[^']*'\. ", "", topic["body"])
            lines.append(f"\n### {topic['name']}\n\n{markdown(body)}")
    return "\n".join(lines) + "\n"


def anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def markdown(body: str) -> str:
    """Signatures and examples as blocks, the rest as text."""
    parts = body.split("\n\n")
    if "returns " not in parts[0]:
        # A view or a setting: its name is the heading already.
        return "\n\n".join(parts[1:])
    signature, comment, *example = parts
    blocks = [f"```\n{signature}\n```", comment]
    blocks += ["```\n" + part.removeprefix("Example:\n").strip() + "\n```" for part in example]
    return "\n\n".join(blocks)
