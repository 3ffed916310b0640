"""Finds the texts that users read: errors, their details and hints, notices and warnings."""

from follow import CONSTRUCTORS, Follower
from rust_source import File
from texts import pattern

# What else is called with a message, and the fields of errors.
METHODS = {"detail", "hint", "set_detail", "set_hint"}
FIELDS = {"message", "hint", "detail"}
FUNCTIONS = {"notice", "warning", "warn"}


class Finder(Follower):
    def run(self):
        for file in self.files:
            for i in range(len(file.tokens)):
                for start, end in self.beginnings(file, i):
                    before = len(self.found), sum(map(len, self.found.values()))
                    known = self.say(file, start, end)
                    if not known and (len(self.found), sum(map(len, self.found.values()))) == before:
                        self.unread.append((file.path, file.tokens[i].line, " ".join(t.text for t in file.tokens[start:end])[:120]))
        while self.todo:
            self.todo.pop()()

    def beginnings(self, file, i):
        tokens, token = file.tokens, file.tokens[i]
        if token.kind != "word":
            return
        after = i + 1
        if file.is_mark(after, "("):
            if tokens[i - 1].kind == "word" and tokens[i - 1].text == "fn":
                return
            arguments = file.split(after + 1, file.pairs[after])
            path = (tokens[i - 2].text if file.is_mark(i - 1, "::") else None, token.text)
            method = file.is_mark(i - 1, ".")
            if path in CONSTRUCTORS and len(arguments) > CONSTRUCTORS[path]:
                yield arguments[CONSTRUCTORS[path]]
            elif method and token.text in METHODS and len(arguments) == 1:
                yield arguments[0]
            elif not method and token.text in FUNCTIONS and path[0] in (None, "messages"):
                yield from arguments
            elif token.text == "error" and file.is_mark(i - 1, "[") and file.is_mark(i - 2, "#") and arguments:
                if tokens[arguments[0][0]].kind == "string":
                    self.variant(file, file.pairs[after] + 2, tokens[arguments[0][0]].text)
                    yield arguments[0]
        elif file.is_mark(after, ":") and token.text in FIELDS and i and tokens[i - 1].text in ("{", ","):
            if self.in_error(file, i):
                yield after + 1, self.field_end(file, after + 1)

    def variant(self, file, i, text):
        """What the fields of an error's variant are given, which its text names."""
        while file.tokens[i].text in ("#", "pub", "struct", "derive"):
            i = file.pairs[i + 1] + 1 if file.tokens[i].text == "#" else i + 1
        name = file.tokens[i].text
        for hole in pattern(text)[1]:
            hole = hole.split(".")[0]
            if hole.isdigit():
                self.todo.append(lambda: self.say_variant(name))
            elif hole:
                self.field(hole)

    def say_variant(self, name):
        for file in self.files:
            for i in file.places.get(name, []):
                if file.is_mark(i + 1, "(") and self.enclosing(file, i):
                    self.say(file, i + 2, file.pairs[i + 1])

    @staticmethod
    def in_error(file, i):
        """Whether the braces around belong to an error's literal."""
        depth = 0
        for k in range(i - 1, max(i - 400, 0), -1):
            if file.tokens[k].kind == "mark":
                if file.tokens[k].text == "}" or file.tokens[k].text == ")":
                    depth += 1
                elif file.tokens[k].text == "{" or file.tokens[k].text == "(":
                    if depth == 0:
                        name = file.tokens[k - 1].text
                        before = file.tokens[k - 2].text
                        return name.endswith("Error") and before not in ("struct", "for") and not file.is_mark(k - 2, "->")
                    depth -= 1
        return False


# Tests, what reports and tables of answers say, SQL that is put together, lines of the server's log, names in files.
LEFT_OUT = (
    "src/engine/report/", "src/engine/sample.rs", "src/engine/artifact/testing.rs", "src/engine/profile/advice.rs",
    "src/engine/segment/profile.rs", "src/engine/segment/words.rs", "src/relation/sources/sql.rs", "src/relation/sources/rows.rs",
    "src/relation/sources/features.rs", "src/relation/remote.rs", "src/store/audit.rs", "src/engine/export/layout.rs", "src/engine/export/weights.rs",
    "src/engine/export/onnx/answer.rs",
    "src/api/data.rs", "src/engine/recipe/describe.rs", "src/engine/synth/family/", "src/engine/privacy/pii/hints.rs",
    "src/engine/privacy/pii/people.rs",
)


def sources(root):
    for path in sorted((root / "src").rglob("*.rs")):
        name = path.relative_to(root).as_posix()
        tests = path.name.endswith("_test.rs") or path.name == "tests.rs" or "tests" in path.parts
        if not tests and not name.startswith(LEFT_OUT):
            yield File(name, path.read_text(encoding="utf-8"))
