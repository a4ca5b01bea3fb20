"""What the compiled objects say about the sources: files of a room without cycles, nothing global that one file uses.

Read from the objects of the build as released (`build`, or PLAINGATE_BUILD) with nm: the symbols that a file defines, and those that it uses.
"""
import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_BUILD", ROOT / "build"))

pytestmark = pytest.mark.skipif(not (BUILD / "build.ninja").is_file(), reason=f"{BUILD} is not built")

# Rooms with files that use each other, and why that is natural.
MAY_BE_CYCLIC = {
}

DEFINED, USED = set("TDBRVWGS"), "U"
FOR_TESTS = "for tests"


class Object:
    def __init__(self, path):
        self.path = path
        self.source = path.name.removesuffix(".o")
        self.folder = str(path.parent.parent.relative_to(BUILD))  # BUILD/FOLDER/TARGET.p/SOURCE.o
        self.defines, self.uses = set(), set()


@pytest.fixture(scope="module")
def objects():
    # What ninja makes now: an object of a source that is gone may still lie there.
    targets = subprocess.check_output(["ninja", "-C", str(BUILD), "-t", "targets", "all"], text=True)
    made = sorted(BUILD / line.split(": ")[0] for line in targets.splitlines() if ".c.o: " in line)
    found = {str(path): Object(path) for path in made if path.is_file()}
    assert len(found) > 300
    for line in subprocess.check_output(["nm", "-A", "-P", *found], text=True).splitlines():
        path, symbol = line.split(": ", 1)
        name, kind = symbol.split()[:2]
        if kind in DEFINED:
            found[path].defines.add(name)
        elif kind == USED:
            found[path].uses.add(name)
    return list(found.values())


def cycles(uses):
    """The strongly connected components with more than one member of {file: set of files}, by Tarjan."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(uses[v]):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for v in sorted(uses):
        if v not in index:
            visit(v)
    return found


def files_of_rooms(objects):
    """{room: {file: {another file that it uses: symbols}}}"""
    rooms = defaultdict(dict)
    for o in objects:
        if o.folder.startswith("src/"):
            rooms[o.folder.removeprefix("src/")][o.source] = o
    uses = {}
    for room, files in rooms.items():
        owner = {symbol: name for name, o in files.items() for symbol in o.defines}
        uses[room] = {name: defaultdict(set) for name in files}
        for name, o in files.items():
            for symbol in o.uses & owner.keys():
                if owner[symbol] != name:
                    uses[room][name][owner[symbol]].add(symbol)
    return uses


def test_files_of_a_room_have_no_cycle(objects):
    wrong = []
    for room, uses in files_of_rooms(objects).items():
        for cycle in cycles(uses):
            if set(cycle) <= set(MAY_BE_CYCLIC.get(room, ((), ""))[0]):
                continue
            edges = [f"  {a} uses {b}: {', '.join(sorted(uses[a][b]))}" for a in cycle for b in cycle if b in uses[a]]
            wrong.append("\n".join([f"src/{room}: {' '.join(cycle)}", *edges]))
    assert not wrong, "\n".join(["move what closes the circle to the file whose subject it is:", *wrong])


def test_an_exception_is_needed(objects):
    """A cycle that is gone takes its exception with it."""
    rooms = files_of_rooms(objects)
    found = {room for room, uses in rooms.items() if cycles(uses)}
    assert set(MAY_BE_CYCLIC) == found


def declared_for_tests(symbol):
    """Whether the declaration in a header of src is marked."""
    for path in (ROOT / "src").rglob("*.h"):
        lines = path.read_text(encoding="utf-8").split("\n")
        for i, line in enumerate(lines):
            if re.search(rf"\b{symbol}\b\s*[(\[;=]", line):
                # above it, behind it, or over the group of declarations that it stands in
                above = i
                while above > 0 and lines[above - 1].strip():
                    above -= 1
                if FOR_TESTS in "\n".join(lines[above:i + 3]):
                    return True
    return False


def test_what_one_file_uses_is_static(objects):
    sources = {o for o in objects if o.folder.startswith("src/")}
    by_room = defaultdict(set)  # a symbol's users in src, without its own object
    for o in sources:
        for symbol in o.uses:
            by_room[symbol].add(o.path)
    in_tests = {symbol for o in objects if not o.folder.startswith("src/") for symbol in o.uses}
    fuzz = " ".join(path.read_text(encoding="utf-8") for folder in ("fuzz", "tests", "bench") for path in (ROOT / folder).rglob("*.[ch]"))
    words = set(re.findall(r"\w+", fuzz))
    wrong = []
    for o in sources:
        room = o.folder.removeprefix("src/")
        for symbol in sorted(o.defines - {"main"}):
            if by_room[symbol]:
                continue
            if symbol not in in_tests and symbol not in words:
                wrong.append(f"src/{room}/{o.source}: {symbol}: no other file uses it: make it static, or delete it")
            elif not declared_for_tests(symbol):
                wrong.append(f"src/{room}/{o.source}: {symbol}: only tests use it: mark its declaration '/* {FOR_TESTS}: why */', or test by what others use")
    assert not wrong, "\n".join(wrong)


LOADS_CODE = ("OSSL_PROVIDER_load", "OSSL_PROVIDER_try_load", "OSSL_STORE_open", "OSSL_STORE_attach", "ENGINE_by_id", "dlopen")


def test_code_is_loaded_for_keys_in_tokens_alone(objects):
    """No process of the gateway loads a provider, an engine or a module: `plaingate pki` does, for a key that is named by a URI."""
    users = {f"{o.folder}/{o.source}" for o in objects if o.folder.startswith("src/") and any(s.startswith(LOADS_CODE) for s in o.uses)}
    assert users == {"src/pki/token.c", "src/pki/pkcs11.c"}
    programs = [p for p in (BUILD / "src").rglob("*") if p.is_file() and os.access(p, os.X_OK) and p.read_bytes()[:4] == b"\x7fELF"]
    assert len(programs) > 10
    loads = {p.name for p in programs
             if any(line.split()[-1].startswith(LOADS_CODE) for line in
                    subprocess.check_output(["nm", "-D", "--undefined-only", p], text=True).splitlines() if line.split())}
    assert loads == {"plaingate"}


def test_cycles_are_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
