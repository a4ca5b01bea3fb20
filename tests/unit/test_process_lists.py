"""Where a list of the processes stands beside the table PROCS of src/ipc/messages.h, each names them all: docs/maintaining.md, "A process"."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


PROCS = re.findall(r'P\(\w+,\s*"(\w+)",\s*"([\w-]+)"\)', text_of("src/ipc/messages.h"))
SERVICES = {name for name, _ in PROCS} - {"supervisor", "cli"}
SHELL = r"for name in ([a-z ]+); do"
ORDER = r"static const enum proc order\[\] = \{([^}]*)\}"


def words(path, pattern):
    """The words of the one list of that form in the file."""
    (found,) = re.findall(pattern, text_of(path))
    return [word.lower() for word in re.findall(r"[\w-]+", found.replace("PROC_", "").replace("plaingate-", ""))]


@pytest.mark.parametrize("path, pattern, beside", [
    ("tools/make-users", SHELL, set()),
    ("debian/plaingate.postinst", SHELL, set()),
    ("src/proc/supervisor/children.c", ORDER, set()),
    ("src/proc/supervisor/main.c", ORDER, set()),
    ("src/proc/supervisor/show.c", ORDER, {"supervisor"}),
    ("lab/two_sites.py", r"EXECUTABLES = \(([^)]*)\)", {"plaingate", "plaingated"}),
    ("tests/system/kit.py", r"PROCESSES = \(([^)]*)\)", set()),
])
def test_a_list_names_them_all(path, pattern, beside):
    assert len(SERVICES) > 6
    assert sorted(words(path, pattern)) == sorted(SERVICES | beside)


@pytest.mark.parametrize("path, form", [
    ("src/sandbox/table.c", '"plaingate-{}"'),
    ("src/proc/meson.build", "subdir('{}')"),
    ("docs/architecture.md", "| {} | "),
    ("docs/design.md", "- `{}` "),
    ("docs/threat-model.md", "| code execution in `{}` |"),
])
def test_each_has_its_row(path, form):
    text = text_of(path)
    assert not [name for name in SERVICES if form.format(name) not in text]


def test_each_has_both_rows_of_the_map():
    page = text_of("docs/architecture.md")
    roles, lives = (page.split(f"\n{head}\n")[1].split("\n\n")[0] for head in ("| process | may | must not |", "| dies | what goes on | what comes back |"))
    for name in SERVICES:
        assert f"\n| {name} | " in roles and f"\n| {name} | " in lives, name
