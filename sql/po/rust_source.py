"""Rust sources as tokens, as far as finding messages needs it: no types, no macros of one's own."""

import bisect
import re

TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>[bc]?r(?P<hashes>\#*)")
    | (?P<string>[bc]?")
    | (?P<char>b?'(?:[^'\\\n]|\\(?:x..|u\{[^}]*\}|.))')
    | (?P<life>'\w+)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<number>\d[\w.]*?(?=\.\.|\.[a-z_]|[^\w.]|$))
    | (?P<mark>=>|->|::|==|!=|<=|>=|&&|\|\||\.\.=|\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
OPENS, CLOSES = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}


class Token:
    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line

    def __repr__(self):
        return f"{self.kind}:{self.text!r}"


def read_string(source, at):
    """The value of the string whose text begins at `at`, and where it ends."""
    value = []
    while True:
        char = source[at]
        if char == '"':
            return "".join(value), at + 1
        if char != "\\":
            value.append(char)
            at += 1
            continue
        char = source[at + 1]
        at += 2
        if char == "\n":
            # A line that goes on: the blanks at the next line's beginning are not part of the text.
            while source[at].isspace():
                at += 1
        elif char == "u":
            end = source.index("}", at)
            value.append(chr(int(source[at + 1 : end].replace("_", ""), 16)))
            at = end + 1
        elif char == "x":
            value.append(chr(int(source[at : at + 2], 16)))
            at += 2
        else:
            value.append(ESCAPES[char])


def tokens_of(source):
    """Tokens without blanks and comments; a string's text is its value."""
    starts = [0] + [m.end() for m in re.finditer("\n", source)]
    found, at = [], 0
    while at < len(source):
        match = TOKEN.match(source, at)
        kind, text, line = match.lastgroup, match.group(), bisect.bisect_right(starts, at)
        if match.group("raw"):
            end = source.index('"' + match.group("hashes"), match.end())
            found.append(Token("string", source[match.end() : end], line))
            at = end + 1 + len(match.group("hashes"))
            continue
        at = match.end()
        if kind == "string":
            value, at = read_string(source, at)
            found.append(Token("string", value, line))
        elif kind == "block":
            depth = 1
            while depth:
                mark = re.compile(r"/\*|\*/").search(source, at)
                depth += 1 if mark.group() == "/*" else -1
                at = mark.end()
        elif kind not in ("space", "line"):
            found.append(Token(kind, text, line))
    return found


def pairs_of(tokens):
    """For each bracket the place of the one that goes with it."""
    pairs, open_ = {}, []
    for i, token in enumerate(tokens):
        if token.kind != "mark":
            continue
        if token.text in OPENS:
            open_.append(i)
        elif token.text in CLOSES:
            start = open_.pop()
            pairs[start], pairs[i] = i, start
    return pairs


def without_tests(tokens):
    """The tokens without what is only compiled for tests."""
    pairs, kept, i = pairs_of(tokens), [], 0
    while i < len(tokens):
        if [t.text for t in tokens[i : i + 7]] == list("#[") + ["cfg", "(", "test", ")", "]"]:
            i += 7
            while tokens[i].text not in "{;" or tokens[i].kind != "mark":
                i = pairs[i] if tokens[i].text in ("(", "[") and tokens[i].kind == "mark" else i
                i += 1
            i = (pairs[i] if tokens[i].text == "{" else i) + 1
        else:
            kept.append(tokens[i])
            i += 1
    return kept


class Function:
    """A function, or a closure that has a name: its parameters in order (without self), what it answers, and its body's tokens."""

    def __init__(self, file, name, parameters, answers, start, end, closure=False):
        self.file, self.name, self.parameters, self.answers = file, name, parameters, answers
        self.start, self.end, self.closure = start, end, closure
        self.outer, self.type = None, None


class File:
    """A source file: tokens, pairs of brackets, functions."""

    def __init__(self, path, source):
        self.path = path
        self.tokens = without_tests(tokens_of(source))
        self.pairs = pairs_of(self.tokens)
        self.functions = sorted([*self._functions(), *self._closures()], key=lambda f: (f.start, -f.end))
        # Where each word stands.
        self.places = {}
        for i, token in enumerate(self.tokens):
            if token.kind == "word":
                self.places.setdefault(token.text, []).append(i)
        # The innermost function of each token.
        self.owner = [None] * len(self.tokens)
        for function in self.functions:
            function.outer = self.owner[function.start] if function.start < len(self.owner) else None
            self.owner[function.start : function.end] = [function] * (function.end - function.start)

        for start, end, name in self._implementations():
            for function in self.functions:
                if start <= function.start < end:
                    function.type = name
        self.taken_over = self._uses()

    def _implementations(self):
        """`impl TYPE { .. }` and `impl TRAIT for TYPE { .. }`, as (start, end, type)."""
        for i in self.places.get("impl", []):
            at, name = i + 1, None
            while at < len(self.tokens) and not (self.tokens[at].kind == "mark" and self.tokens[at].text in "{;()"):
                if self.is_mark(at, "<"):
                    at = self._past_generics(at)
                    continue
                name = self.tokens[at].text if self.tokens[at].kind == "word" else name
                at += 1
            if self.is_mark(at, "{"):
                yield at, self.pairs[at], name

    def _uses(self):
        """The words of each `use` statement."""
        uses = []
        for i in self.places.get("use", []):
            end = next((k for k in range(i, len(self.tokens)) if self.is_mark(k, ";")), i)
            uses.append({t.text for t in self.tokens[i:end] if t.kind == "word" or t.text == "*"})
        return uses

    def is_mark(self, i, text):
        return i < len(self.tokens) and self.tokens[i].kind == "mark" and self.tokens[i].text == text

    def split(self, start, end, mark=","):
        """The pieces between the marks of this level, as (start, end)."""
        pieces, first, i = [], start, start
        while i < end:
            if self.tokens[i].kind == "mark":
                if self.tokens[i].text in OPENS:
                    i = self.pairs[i]
                elif self.tokens[i].text == mark:
                    pieces.append((first, i))
                    first = i + 1
            i += 1
        if first < end:
            pieces.append((first, end))
        return pieces

    def _functions(self):
        for i, token in enumerate(self.tokens):
            if token.kind != "word" or token.text != "fn" or self.tokens[i + 1].kind != "word":
                continue
            name, at = self.tokens[i + 1].text, i + 2
            if self.is_mark(at, "<"):
                at = self._past_generics(at)
            if not self.is_mark(at, "("):
                continue
            parameters = []
            for first, last in self.split(at + 1, self.pairs[at]):
                # A piece without a colon is `self`, or what follows a comma between < and >.
                colon = next((k for k in range(first, last) if self.is_mark(k, ":")), None)
                if colon is not None and self.tokens[colon - 1].text != "self":
                    parameters.append(self.tokens[colon - 1].text)
            at = self.pairs[at] + 1
            first = at
            while not (self.is_mark(at, "{") or self.is_mark(at, ";")):
                at = self.pairs[at] if self.tokens[at].kind == "mark" and self.tokens[at].text in "([" else at
                at += 1
            answers = " ".join(t.text for t in self.tokens[first:at])
            if self.is_mark(at, "{"):
                yield Function(self, name, parameters, answers, at + 1, self.pairs[at])

    def _closures(self):
        """`let NAME = |PARAMETERS| BODY;`"""
        for i, token in enumerate(self.tokens):
            if token.kind != "word" or token.text != "let":
                continue
            i += self.tokens[i + 1].text == "mut"
            if not self.is_mark(i + 2, "="):
                continue
            at = i + 3
            if self.tokens[at].text == "move":
                at += 1
            if self.is_mark(at, "||"):
                parameters, at = [], at + 1
            elif self.is_mark(at, "|"):
                last = at + 1
                while not self.is_mark(last, "|"):
                    last = self.pairs[last] + 1 if self.tokens[last].text in OPENS and self.tokens[last].kind == "mark" else last + 1
                parameters = [self._pattern_name(*piece) for piece in self.split(at + 1, last)]
                at = last + 1
            else:
                continue
            end = at
            while not self.is_mark(end, ";"):
                end = self.pairs[end] if self.tokens[end].kind == "mark" and self.tokens[end].text in OPENS else end
                end += 1
            yield Function(self, self.tokens[i + 1].text, parameters, "str", at, end, closure=True)

    def _pattern_name(self, first, last):
        for k in range(first, last):
            if self.is_mark(k, ":"):
                return self.tokens[k - 1].text
        return self.tokens[last - 1].text

    def _past_generics(self, at):
        depth = 0
        while True:
            depth += {"<": 1, ">": -1}.get(self.tokens[at].text, 0)
            at += 1
            if depth == 0:
                return at
