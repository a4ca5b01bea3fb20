"""Each list of the processes that exists in addition to the table PROCS of src/base/procs.h names them all: docs/maintaining.md, "A process"."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


PROCS = re.findall(r'P\(\w+,\s*"([\w-]+)",\s*"[\w-]+",\s*(?:"([\w-]+)"|NULL),\s*(\d+), (\d+), (\d+)\)', text_of("src/base/procs.h"))
# One shell, and what is said of one is said of the other.
FOLDERS = {"certifier-openssl": "certifier", "certifier-gnutls": "certifier"}
SERVICES = {row[0] for row in PROCS} - {"supervisor", "cli"}
SHELL = r"for name in ([a-z -]+); do"


def words(path, pattern):
    """The words of the only list of that form in the file."""
    (found,) = re.findall(pattern, text_of(path))
    return [word.lower() for word in re.findall(r"[\w-]+", found.replace("PROC_", "").replace("plaingate-", ""))]


@pytest.mark.parametrize("path, pattern, beside", [
    ("debian/plaingate.postinst", SHELL, set()),
    ("lab/two_sites.py", r"EXECUTABLES = \(([^)]*)\)", {"plaingate", "plaingated"}),
    ("tests/system/kit.py", r"PROCESSES = \(([^)]*)\)", set()),
])
def test_a_list_names_them_all(path, pattern, beside):
    assert len(SERVICES) > 6
    assert sorted(words(path, pattern)) == sorted(SERVICES | beside)


@pytest.mark.parametrize("column, beside", [(2, set()), (3, set()), (4, {"supervisor"})], ids=["start", "end", "show"])
def test_an_order_has_them_all(column, beside):
    places = {row[0]: int(row[column]) for row in PROCS}
    assert {name for name, place in places.items() if place} == SERVICES | beside
    assert sorted(place for place in places.values() if place) == list(range(1, len(SERVICES | beside) + 1))


@pytest.mark.parametrize("path, form", [
    ("src/proc/meson.build", "subdir('{}')"),
    ("docs/architecture.md", "| {} | "),
    ("docs/design.md", "- `{}` "),
    ("docs/threat-model.md", "| code execution in `{}` |"),
])
def test_each_has_its_row(path, form):
    text = text_of(path)
    assert not [name for name in SERVICES if form.format(name) not in text and form.format(FOLDERS.get(name, name)) not in text]


def test_each_has_its_confinement():
    table = text_of("src/sandbox/table.c")
    assert not [name for name in SERVICES if f"[PROC_{name.upper().replace('-', '_')}]" not in table]


def test_each_has_its_user():
    """tools/make-users makes those of the table."""
    users = subprocess.run([ROOT / "tools/make-users", "--print"], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(users) == sorted(f"plaingate-{name}" for name in SERVICES)


def test_each_has_both_rows_of_the_map():
    page = text_of("docs/architecture.md")
    roles, lives = (page.split(f"\n{head}\n")[1].split("\n\n")[0] for head in ("| process | may | must not |", "| dies | what goes on | what comes back |"))
    for name in SERVICES:
        assert f"\n| {name} | " in roles and f"\n| {name} | " in lives, name
