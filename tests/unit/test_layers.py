"""The dependency rule of docs/architecture.md against the real includes, and what can be read off the text of the sources.

`base` <- `wire crypto merkle admin model` <- cores <- `ipc sandbox` <- `proc cli`; cores are siblings and pure: they do no I/O, read no
clock, draw no randomness, write no log. Run by meson; a violation is one line with file, line and the rule.
"""
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

LIBRARIES = {"wire", "crypto", "merkle", "admin", "model"}
CORES = {"alg", "carry", "firewall", "screen", "route", "esp", "ike", "keys", "ledger", "verify", "witness", "export", "resolve", "certify", "release", "ssh"}

# What a room may include beside itself. Exceptions stand here with their reason, nowhere else.
MAY = {
    "base": set(),
    "wire": {"base", "model/algorithms.h"},  # IANA's numbers
    "crypto": {"base", "model/algorithms.h"},  # the same numbers
    "admin": {"base", "crypto"},  # keys of administrators and what they sign
    "merkle": {"base", "crypto/hash.h", "crypto/ed25519.h"},  # hashing and the signature of a note
    "model": {"base", "admin"},  # administrators and their keys are compiled with the rest
    **{core: {"base"} | LIBRARIES for core in CORES},
    # a core of checks over what another core wrote: the table of entry types is the file format, not code
    "verify": {"base", "ledger"} | LIBRARIES,
    "release": {"base", "ledger/canonical.h"} | LIBRARIES,  # the reader of the one form that JSON of ours has
    # every child enters its sandbox first; two processes look names up and ask over HTTP, over sockets of the supervisor
    "ipc": {"base", "model", "sandbox/sandbox.h", "witness/names.h", "witness/http.h", "crypto/trust.h"},
    "sandbox": {"base"},
    "pki": {"base"},  # for `plaingate pki` alone
    "edit": {"base", "model"},  # the editor of `configure`
    "import": {"base", "admin", "model/applications.h"},  # whose names nobody else may have; for `plaingate import` alone
    "proc": {"base", "ipc", "sandbox"} | LIBRARIES | CORES,
    "cli": {"base", "model", "ipc", "verify", "release", "admin", "pki", "import", "edit/edit.h", "admin/administrators.h", "crypto/hash.h",
            "witness/configured.h",
            # `replay` runs the pipeline offline, confined, and reads and writes captures
            "proc/dataplane/offline.h", "sandbox/sandbox.h", "wire/pcapng.h", "wire/link_header.h"},  # `check` takes what a commit takes
}

# What a pure core may not name: input and output, clocks, chance, the log, the environment.
PURE = LIBRARIES - {"model"} | CORES | {"base"}
IMPURE = re.compile(
    r"\b(open|openat|read|write|pread|pwrite|fopen|fread|fwrite|fprintf|printf|puts|socket|sendto|recvfrom|sendmsg|recvmsg|ioctl|"
    r"time|gettimeofday|clock_gettime|clock_mono|clock_utc|sleep|usleep|nanosleep|getrandom|random|rand|srand|randombytes_buf|"
    r"RAND_bytes|log_(?:line|debug|info|warn|error)|getenv|system|popen|fork|pthread_create)\s*\(")
# base/log.c and base/clock.c are where the log and the clocks live, for shells only.
IMPURE_ALLOWED = {"base/log.c", "base/log.h", "base/clock.c", "base/clock.h"}

# What runs in the kernel includes its headers.
IN_THE_KERNEL = {"carry/kernel.h", "carry/carry.bpf.c"}

UNSAFE = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca|tmpnam|mktemp)\s*\(")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FILE_LINES_MAX = 900
LINE_COLUMNS_MAX = 150  # tables are wider than code


FUNCTION_LINES_MAX = 70
# The name of a limit in time, number or size, with a number for its value.
LIMIT = re.compile(r"#define\s+(\w+_(?:MAX|MIN|MS|NS|EVERY\w*|PER_SECOND|BYTES|WAIT\w*))\s+\(?\d")
NAMED_FILE = re.compile(r"(?<![\w/.<*-])[a-z]\w*(?:/\w+)*\.[ch]\b(?!>)")
LISTED_FILES = re.compile(r"[ /]\*\s+((?:\w+\.c(?:, | and )?)+)\s+\S")


def functions(text):
    """(line, name, lines of the body) of each function of a source that clang-format has set: braces of functions stand alone."""
    lines, begin = text.split("\n"), None
    for number, line in enumerate(lines):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            head = begin
            while head > 0 and lines[head - 1] and not lines[head - 1].startswith(("}", "#", " ", "/")):
                head -= 1
            name = re.search(r"(\w+)\s*\(", " ".join(lines[head:begin]))
            yield begin, name.group(1) if name else "?", number - begin - 1
            begin = None


def sources(*folders, endings=(".c", ".h")):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings and path.is_file():
                yield path


COMMENT_OR_LITERAL = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"')


def blank_comment(match):
    """In place of a comment of COMMENT_OR_LITERAL as many spaces; line feeds stay."""
    kept = match.group(0)
    return re.sub(r"[^\n]", " ", kept) if kept.startswith("/") else kept


def code(text):
    """The text without comments and without what stands in string and character literals; line numbers stay."""
    def blank(match):
        kept = blank_comment(match)
        return kept if kept.isspace() else kept[0] + re.sub(r"[^\n]", " ", kept[1:-1]) + kept[-1]
    return COMMENT_OR_LITERAL.sub(blank, text)


def room_of(path):
    return path.relative_to(SRC).parts[0]


class Layers(unittest.TestCase):
    def complain(self, wrong):
        self.assertEqual([], wrong, "\n" + "\n".join(wrong))

    def test_every_room_has_a_rule(self):
        rooms = {p.name for p in SRC.iterdir() if p.is_dir()}
        self.assertEqual(rooms, set(MAY))

    def test_includes(self):
        wrong, seen = [], 0
        for path in sources("src"):
            room, name = room_of(path), path.relative_to(ROOT)
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                if not match:
                    continue
                seen += 1
                target = match.group(1)
                if "/" not in target:
                    # what the build makes (a text as an array) has no room; a file of the same folder is named with its room
                    if (path.parent / target).exists():
                        wrong.append(f'{name}:{number}: "{target}": includes are named "room/file.h"')
                    continue
                other = target.split("/")[0]
                if other != room and other not in MAY[room] and target not in MAY[room]:
                    wrong.append(f"{name}:{number}: {room} may not include {target}")
                if room == "proc" and other == "proc" and target.split("/")[1] != path.relative_to(SRC).parts[1]:
                    wrong.append(f"{name}:{number}: a process does not include another's files: {target}")
                if not (SRC / target).exists():
                    wrong.append(f"{name}:{number}: {target} does not exist")
        self.assertGreater(seen, 100, "no includes found: the test looks in the wrong place")
        self.complain(wrong)

    def test_cores_do_not_include_system_interfaces(self):
        forbidden = re.compile(r"\s*#\s*include\s+<((?:sys/(?!types|param)|unistd|fcntl|poll|netdb|arpa/inet|pthread|signal|time|linux/|net/)"
                               r"[^>]*)>")
        wrong = []
        for path in sources(*(f"src/{room}" for room in sorted(CORES | {"merkle"}))):
            if str(path.relative_to(SRC)) in IN_THE_KERNEL:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = forbidden.match(line)
                if match:
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: a pure core includes <{match.group(1)}>")
        self.complain(wrong)

    def test_cores_are_pure(self):
        wrong = []
        for path in sources(*(f"src/{room}" for room in sorted(PURE))):
            if str(path.relative_to(SRC)) in IMPURE_ALLOWED:
                continue
            for number, line in enumerate(code(path.read_text(encoding="utf-8")).splitlines(), 1):
                match = IMPURE.search(line)
                # a member or a function of that name with a prefix (`f->read(…)`, `rd_read(…)`) is another thing
                if match and (match.start() == 0 or line[match.start() - 1] not in ".>"):
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {match.group(1)}() in a pure core")
        self.complain(wrong)


class Style(unittest.TestCase):
    complain = Layers.complain

    def test_no_unsafe_calls(self):
        wrong = []
        for path in sources("src"):
            for number, line in enumerate(code(path.read_text(encoding="utf-8")).splitlines(), 1):
                match = UNSAFE.search(line)
                if match:
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {match.group(1)}()")
        self.complain(wrong)

    def test_texts_are_ascii(self):
        """What is printed must be readable on every terminal: counters, errors, help and logs are string literals, or yang's."""
        wrong = [f"yang/{path.name}:{number}: {line.strip()}" for path in sorted((ROOT / "yang").glob("*.yang"))
                 for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if not line.isascii()]
        for path in sources("src"):
            text = path.read_text(encoding="utf-8")
            for literal in LITERAL.finditer(COMMENT_OR_LITERAL.sub(blank_comment, text)):
                if not literal.group(0).isascii():
                    wrong.append(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, literal.start()) + 1}: {literal.group(0)}")
        self.complain(wrong)

    def test_nothing_left_over(self):
        wrong = []
        for path in sources("src", "tests", "fuzz", "lab", "tools", "bench", endings=(".c", ".h", ".py", ".build", ".yang")):
            if path == Path(__file__).resolve():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = LEFT_OVER.search(line)
                if match:
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {match.group(1)}")
        self.complain(wrong)

    def test_files_are_readable(self):
        wrong = []
        for path in sources("src", "tests", "fuzz"):
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            if len(lines) > FILE_LINES_MAX:
                wrong.append(f"{path.relative_to(ROOT)}: {len(lines)} lines, at most {FILE_LINES_MAX}")
            if not text.endswith("\n"):
                wrong.append(f"{path.relative_to(ROOT)}: no line feed at the end")
            for number, line in enumerate(lines, 1):
                if len(line) > LINE_COLUMNS_MAX and not line.rstrip().endswith("\\") and '"' not in line:
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {len(line)} characters")
        self.complain(wrong)

    def test_headers_say_what_they_are(self):
        wrong = []
        for path in sources("src", endings=(".h",)):
            text = path.read_text(encoding="utf-8")
            if not text.startswith("/*"):
                wrong.append(f"{path.relative_to(ROOT)}: does not begin with a comment about its purpose")
            if not re.search(r"^#ifndef (\w+)\n#define \1\b", text, re.M):
                wrong.append(f"{path.relative_to(ROOT)}: no include guard")
        self.complain(wrong)


    def test_a_function_fits_a_screen(self):
        wrong = []
        for path in sources("src", "tests", "fuzz", "bench", endings=(".c",)):
            for line, name, length in functions(path.read_text(encoding="utf-8")):
                if length > FUNCTION_LINES_MAX:
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}() has {length} lines; {FUNCTION_LINES_MAX} fit a screen: divide it")
        self.complain(wrong)

    def test_limits_stand_in_headers(self):
        """A limit that only its file knows is found by nobody who asks what can grow, and meets no test."""
        wrong = []
        for path in sources("src", endings=(".c",)):
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                found = LIMIT.match(line)
                if found:
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {found.group(1)}: a limit stands in limits.h of its room, or in the header of its "
                                 "subject, with its reason")
        self.complain(wrong)

    def test_files_that_comments_name_exist(self):
        names = {path.name for path in sources("src", "tests", "fuzz", "bench")} | {path.name for path in (ROOT / "src").rglob("*.py")}
        wrong = []
        for path in sources("src", "tests", "fuzz", "bench"):
            text = path.read_text(encoding="utf-8")
            for comment in re.finditer(r"/\*.*?\*/", text, re.S):
                for found in NAMED_FILE.finditer(comment.group(0)):
                    name, place = found.group(0), comment.start() + found.start()
                    if not (any((folder / name).is_file() for folder in (path.parent, ROOT, SRC, ROOT / "tests", ROOT / "tests/unit"))
                            if "/" in name else name in names):
                        wrong.append(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, place) + 1}: there is no {name}")
        self.complain(wrong)

    def test_a_list_of_files_is_complete(self):
        """Where headers list the files of their folder, a line each, they list them all; two headers may share a folder."""
        wrong = []
        for folder in sorted({path.parent for path in sources("src", endings=(".h",))}):
            there, listed = {one.name for one in folder.glob("*.c")}, set()
            for path in sorted(folder.glob("*.h")):
                here = set()
                for comment in re.finditer(r"/\*.*?\*/", path.read_text(encoding="utf-8"), re.S):
                    here |= {name for line in comment.group(0).split("\n") for found in [LISTED_FILES.match(line)] if found
                             for name in re.findall(r"\w+\.c", found.group(0))}
                if all(name.startswith(f"{path.stem}_") for name in here):
                    continue  # where the functions of one subject stand, not a list of the folder
                listed |= here & there if len(here & there) >= 4 else set()
            if listed:
                wrong += [f"{folder.relative_to(ROOT)}: {name} is missing in the list of files" for name in sorted(there - listed)]
        self.complain(wrong)


class TheTestItself(unittest.TestCase):
    """What must be found is found: the patterns are tried on lines that break the rules."""

    def test_patterns(self):
        self.assertTrue(IMPURE.search(code("x = clock_mono();")))
        self.assertFalse(IMPURE.search(code('/* read() */ puts_raw(w, "write(");')))
        self.assertTrue(UNSAFE.search(code("strcpy(a, b);")))
        self.assertFalse(UNSAFE.search(code("my_strcpy (a, b); /* strcpy() */".replace("my_strcpy", "xstrcpy"))))
        self.assertEqual(['"a // \u2026"', '"b"'], LITERAL.findall(COMMENT_OR_LITERAL.sub(blank_comment, '"a // \u2026" /* "\u2026" */ "b" // "')))
        self.assertNotIn("ike", MAY["keys"])
        self.assertNotIn("ipc", MAY["ike"])


if __name__ == "__main__":
    unittest.main(verbosity=1, argv=[sys.argv[0]])
