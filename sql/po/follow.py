"""Follows a text that users read back to where it is written: through variables, parameters, fields, functions and constants.

By name, for there are no types here: what has a common name is not followed.
"""

import re
from texts import pattern, plain, says_something

# Methods and macros whose arguments do not become part of what is said.
NOT_SAID = set(
    "join replace get get_mut contains contains_key starts_with ends_with split splitn split_once strip_prefix strip_suffix find eq "
    "trim_start_matches trim_end_matches trim_matches matches rsplit_once select position update query replacen expect remove "
    "assert assert_eq debug_assert vec_of filter any all is_some_and is_none_or debug_assert_eq env var".split()
)
# Functions, variables and fields that many things have: following them by name would lead anywhere.
NOT_FOLLOWED = set(
    "new name names to_string as_str into clone from map default iter push format path key value column columns option text sql "
    "model label labels file e error err of kind unit class metric count of_value get next parse read apply describe_value "
    "self id role user main run write first last min max title data list rows row line lines field fields part parts word "
    "words code json encode decode bytes table relation target reference version status schema what_for string group target_name "
    "feature features index number from_str open task quoted quote literal identifier fmt check fit train".split()
)
# What is called with a message, and the place of the argument.
CONSTRUCTORS = {("Error", "new"): 1, ("FitError", "new"): 1}
TEXT_TYPE = re.compile(r"\bString\b|\bstr\b|\bCow\b|\b\w*Error\b")


class Follower:
    def __init__(self, files):
        self.files = files
        self.found = {}  # msgid -> [(path, line)]
        self.unread = []  # places whose message could not be read
        self.done = set()
        self.todo = []
        self.by_name = {}
        for file in files:
            for function in file.functions:
                self.by_name.setdefault(function.name, []).append(function)
        self.fields_done, self.calls_done = set(), set()

    def add(self, msgid, file, line):
        if not (says_something(msgid) or self.is_frame(msgid)):
            return False
        if file.path.startswith("src/engine/clean/") and msgid.startswith("rows "):
            # A number stands before it, see src/engine/clean/report.rs.
            self.add(msgid.removeprefix("rows "), file, line)
        place = (file.path, line)
        places = self.found.setdefault(msgid, [])
        if place not in places:
            places.append(place)
        return True

    @staticmethod
    def is_frame(msgid):
        """Several placeholders with nothing but marks between them: what stands in them may be known."""
        return msgid.count("%") > 1 and (" (" in msgid or ' "' in msgid) and re.search("[A-Za-z]{2}|SELECT", re.sub(r"%\d\$s", "", msgid)) is None

    @staticmethod
    def field_end(file, start):
        pieces_end = start
        while not (file.tokens[pieces_end].kind == "mark" and file.tokens[pieces_end].text in (",", "}", ";")):
            if file.tokens[pieces_end].kind == "mark" and file.tokens[pieces_end].text in ("(", "[", "{"):
                pieces_end = file.pairs[pieces_end]
            pieces_end += 1
        return pieces_end

    def say(self, file, start, end):
        """Notes the texts in an expression and follows what else enters it. True where anything was noted or is followed."""
        if (file.path, start, end) in self.done:
            return True
        self.done.add((file.path, start, end))
        tokens, any_, i = file.tokens, False, start
        # The text of an error's variant has placeholders, too.
        is_format = start >= 2 and tokens[start - 2].text == "error" and file.is_mark(start - 1, "(")
        while i < end:
            token = tokens[i]
            if token.kind == "string":
                if self.is_value(file, i, start, end):
                    any_ |= self.literal(file, i, is_format and i == start)
            elif token.kind == "word":
                step = self.word(file, i, start, end)
                if step is not None:
                    any_ |= step[0]
                    i = step[1]
                    continue
            elif token.kind == "mark" and token.text == "[" and i > start and (tokens[i - 1].kind == "word" or tokens[i - 1].text in (")", "]")):
                i = file.pairs[i]
            i += 1
        return any_

    def literal(self, file, i, as_format):
        text = file.tokens[i].text
        if as_format:
            msgid, names = pattern(text)
            followed = False
            for name in names:
                name = re.match(r"\w*", name).group()
                if name and not name.isdigit():
                    followed |= self.variable(file, i, name)
            return self.add(msgid, file, file.tokens[i].line) | followed
        return self.add(plain(text), file, file.tokens[i].line)

    @staticmethod
    def is_value(file, i, start, end):
        """Not a pattern, nor compared with."""
        after, before = file.tokens[i + 1] if i + 1 < len(file.tokens) else None, file.tokens[i - 1]
        if after is not None and after.kind == "mark" and after.text in ("=>", "|", "==", "!="):
            return False
        if before.kind == "mark" and before.text in ("==", "!=", "|"):
            return False
        # `"a" if condition =>`
        if after is not None and after.kind == "word" and after.text == "if":
            return False
        # ("a", _) => and [.., "a"] => and Some("a") =>
        k = i
        while True:
            k = k + 1
            while k < len(file.tokens) and not (file.tokens[k].kind == "mark" and file.tokens[k].text in ")]};"):
                if file.tokens[k].kind == "mark" and file.tokens[k].text in "([{":
                    k = file.pairs[k]
                k += 1
            if k >= len(file.tokens) or file.tokens[k].text in ("}", ";"):
                return True
            after = file.tokens[k + 1]
            if after.kind == "mark" and after.text in ("=>", "|"):
                return False

    def word(self, file, i, start, end):
        """Answers (said, where to go on), or None to go on with the next token."""
        tokens, text = file.tokens, file.tokens[i].text
        macro = file.is_mark(i + 1, "!") and (file.is_mark(i + 2, "(") or file.is_mark(i + 2, "["))
        if macro:
            inside, close = i + 3, file.pairs[i + 2]
            if text in ("matches", "assert", "debug_assert"):
                return False, close + 1
            if text in ("format", "format_args", "write", "writeln"):
                arguments = file.split(inside, close)
                if text in ("write", "writeln"):
                    arguments = arguments[1:]
                said = False
                for n, (first, last) in enumerate(arguments):
                    if n == 0 and tokens[first].kind == "string":
                        said |= self.literal(file, first, True)
                    else:
                        said |= self.say(file, first, last)
                return said, close + 1
            return None
        if file.is_mark(i + 1, "::") and file.is_mark(i + 2, "<"):
            return None
        if file.is_mark(i + 1, "("):
            close = file.pairs[i + 1]
            if text in NOT_SAID:
                return False, close + 1
            if (tokens[i - 2].text if file.is_mark(i - 1, "::") else None, text) in CONSTRUCTORS:
                return True, close + 1
            said = self.call(file, i, text)
            around = self.enclosing(file, i)
            if not said and around is not None and text in around.parameters:
                said = self.variable(file, i, text)
            return (said, i + 2) if said else None
        if file.is_mark(i - 1, ".") and i > start:
            return (self.field(text), i + 1)
        if text.isupper():
            return self.constant(text), i + 1
        if file.is_mark(i + 1, "::") or text[0].isupper():
            return None
        return self.variable(file, i, text), i + 1

    @staticmethod
    def enclosing(file, i):
        return file.owner[i]

    def call(self, file, i, name):
        if name in NOT_FOLLOWED:
            return False
        known = [f for f in self.by_name.get(name, []) if not f.closure or f.file is file]
        candidates = [f for f in known if f.file is file] or [f for f in known if self.imports(file, f)] or known
        candidates = [f for f in candidates if TEXT_TYPE.search(f.answers)]
        if len(candidates) > 4:
            candidates = [f for f in candidates if f.file.path.rpartition("/")[0] == file.path.rpartition("/")[0]]
        if not candidates or len(candidates) > 4:
            return False
        for function in candidates:
            self.body(function)
        return True

    @staticmethod
    def imports(file, function):
        """Whether the file calls the function by its module, or takes it over from there."""
        parts = function.file.path.removesuffix(".rs").removesuffix("/mod").split("/")
        own = file.path.removesuffix(".rs").removesuffix("/mod").split("/")
        module, name = parts[-1], function.name
        if any(file.is_mark(i - 1, "::") and file.tokens[i - 2].text == module for i in file.places.get(name, [])):
            return True
        above = own[: len(parts)] == parts and len(own) == len(parts) + 1
        beside = own[:-1] == parts[:-1] and len(own) > 1
        return any(
            name in words and (module in words or (above or beside) and "super" in words) or module in words and "*" in words
            for words in file.taken_over
        )

    def body(self, function):
        key = (function.file.path, function.start, "body")
        if key in self.done:
            return
        self.done.add(key)
        self.todo.append(lambda: self.say_body(function))

    def say_body(self, function):
        # Only what is answered: the last expression, what is returned, and errors on the way.
        file = function.file
        statements = file.split(function.start, function.end, ";")
        if statements:
            self.say(file, *statements[-1])
        for i in range(function.start, function.end):
            if file.tokens[i].kind != "word":
                continue
            text = file.tokens[i].text
            if text == "return":
                self.say(file, i + 1, self.field_end(file, i + 1))
            elif text in ("Err", "ok_or", "ok_or_else", "map_err") and file.is_mark(i + 1, "("):
                if re.search(r"\bResult\b.*\b(String|str)\b", function.answers):
                    self.say(file, i + 2, file.pairs[i + 1])

    def variable(self, file, i, name):
        function, said = self.enclosing(file, i), False
        while function is not None and not said:
            said = self.variable_of(function, i, name)
            function = function.outer
        return said

    def variable_of(self, function, i, name):
        file, said = function.file, False
        if name in function.parameters:
            self.calls(function, function.parameters.index(name))
            return True
        tokens = file.tokens
        for k in file.places.get(name, []):
            if not function.start <= k < function.end:
                continue
            if file.is_mark(k + 1, ".") and tokens[k + 2].text in ("push", "extend", "insert"):
                said |= self.say(file, k + 4, file.pairs[k + 3])
            elif file.is_mark(k - 1, "|") and file.is_mark(k + 1, "|") and file.is_mark(k - 2, "(") and k < i:
                said |= self.failure(file, k - 3)
            else:
                bound = self.binding(file, k, function)
                if bound:
                    said |= self.say(file, *bound)
        return said

    def failure(self, file, i):
        """What the error says of a call that `.map_err(|why| ..)` at i follows."""
        if file.tokens[i].text not in ("map_err", "unwrap_or_else", "or_else") or not file.is_mark(i - 2, ")"):
            return False
        called = file.pairs[i - 2] - 1
        return file.tokens[called].kind == "word" and self.call(file, called, file.tokens[called].text)

    @staticmethod
    def binding(file, k, function):
        """The expression of `let .. NAME .. = EXPRESSION` or `for .. NAME .. in EXPRESSION` whose pattern holds token k."""
        tokens, at = file.tokens, k - 1
        while at >= function.start and k - at < 40:
            token = tokens[at]
            if token.kind == "word" and token.text in ("let", "for"):
                break
            if token.kind == "mark" and token.text in (";", "=", "=>", "{", "}", ".", "!", "?"):
                if token.text == "{" and tokens[at - 1].kind == "word" and tokens[at - 1].text[0].isupper():
                    at -= 1
                    continue
                return None
            at -= 1
        else:
            return None
        stop = "in" if tokens[at].text == "for" else "="
        first = k + 1
        while first < function.end and tokens[first].text != stop:
            if tokens[first].kind == "mark" and tokens[first].text in (";", "{", "=>"):
                return None
            first += 1
        first += 1
        last = first
        while last < function.end:
            token = tokens[last]
            if token.kind == "mark" and token.text in ("(", "[", "{"):
                # A block ends the expression of `for`, `if let` and `while let`.
                if token.text == "{" and (stop == "in" or tokens[at - 1].text in ("if", "while", "&&")):
                    break
                last = file.pairs[last]
            elif token.kind == "mark" and token.text in (";", ")", "}"):
                break
            last += 1
        return first, last

    def constant(self, name):
        said = False
        for file in self.files:
            for i in file.places.get(name, []):
                if file.tokens[i - 1].text == "const":
                    equals = next(k for k in range(i, len(file.tokens)) if file.is_mark(k, "="))
                    if any(t.text == "str" for t in file.tokens[i:equals]):
                        said |= self.say(file, equals + 1, self.field_end(file, equals + 1))
        return said

    def field(self, name):
        """What a field of that name is given, wherever it is."""
        if name in NOT_FOLLOWED:
            return False
        if name not in self.fields_done:
            self.fields_done.add(name)
            self.todo.append(lambda: self.say_field(name))
        return True

    def say_field(self, name):
        for file in self.files:
            tokens = file.tokens
            for i in file.places.get(name, []):
                if i == 0:
                    continue
                if file.is_mark(i + 1, ":") and tokens[i - 1].text in ("{", ",") and tokens[i - 1].kind == "mark" and self.enclosing(file, i):
                    self.say(file, i + 2, self.field_end(file, i + 2))
                elif tokens[i - 1].text in ("{", ",") and tokens[i + 1].text in (",", "}") and self.enclosing(file, i):
                    if self.enclosing(file, i).start < i:
                        self.variable(file, i, name)
                elif file.is_mark(i + 1, ".") and tokens[i + 2].text in ("push", "extend", "insert") and file.is_mark(i + 3, "("):
                    self.say(file, i + 4, file.pairs[i + 3])
                elif file.is_mark(i + 1, "=") and file.is_mark(i - 1, "."):
                    self.say(file, i + 2, self.field_end(file, i + 2))

    def calls(self, function, place):
        """What a function's parameter is given, wherever it is called."""
        key = (function.file.path, function.start, place)
        if key in self.calls_done:
            return
        self.calls_done.add(key)
        self.todo.append(lambda: self.say_calls(function, place))

    @staticmethod
    def is_of_type(file, i, function):
        """Whether a call names the function's type, or is a call of a method with as many arguments."""
        if file.is_mark(i - 1, "."):
            beside = file.path.rpartition("/")[0] == function.file.path.rpartition("/")[0]
            return beside and function.type and len(file.split(i + 2, file.pairs[i + 1])) == len(function.parameters)
        return function.type and file.is_mark(i - 1, "::") and file.tokens[i - 2].text == function.type

    @staticmethod
    def sees(closure, i):
        return closure.outer is None or closure.outer.start <= i < closure.outer.end

    def say_calls(self, function, place):
        several = len(self.by_name.get(function.name, [])) > 1
        for file in [function.file] if function.closure else self.files:
            elsewhere = several and file is not function.file
            by_type = elsewhere and not self.imports(file, function)
            for i in file.places.get(function.name, []):
                if not file.is_mark(i + 1, "("):
                    continue
                if by_type and not self.is_of_type(file, i, function):
                    continue
                if function.closure and (file.is_mark(i - 1, ".") or not self.sees(function, i)):
                    continue
                if file.tokens[i - 1].kind == "word" and file.tokens[i - 1].text == "fn":
                    continue
                arguments = file.split(i + 2, file.pairs[i + 1])
                if place < len(arguments):
                    self.say(file, *arguments[place])
