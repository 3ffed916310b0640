"""Catalogues of messages in gettext's text format, as far as they are used here: no plurals, no contexts."""

import re


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def unquoted(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m.group(1), m.group(1)), text)


def write_po(header, found, entries):
    """`found`: msgids and where each is said; `entries`: their translations."""
    lines = ['msgid ""', 'msgstr ""', *(quoted(f"{key}: {value}\n") for key, value in header.items()), ""]
    for msgid, places in found.items():
        # Without line numbers: they change with every line of code.
        lines += [f"#: {path}" for path in dict.fromkeys(path for path, _ in places)]
        if "%" in msgid:
            lines.append("#, c-format")
        lines += [f"msgid {quoted(msgid)}", f"msgstr {quoted(entries.get(msgid, ''))}", ""]
    return "\n".join(lines)


def read_po(text):
    """The header, and each msgid with its translation."""
    entries, keys, current = {}, {"msgid": "", "msgstr": ""}, None

    def done():
        if current == "msgstr":
            entries[keys["msgid"]] = keys["msgstr"]

    for line in text.splitlines():
        match = re.match(r'(msgid|msgstr)?\s*"(.*)"$', line)
        if match is None:
            continue
        if match.group(1):
            if match.group(1) == "msgid":
                done()
            current = match.group(1)
            keys[current] = ""
        keys[current] += unquoted(match.group(2))
    done()
    header = dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "") for line in entries.pop("", "").splitlines())
    return header, entries
