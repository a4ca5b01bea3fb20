"""The tables of docs/architecture.md, "What can grow": each row names a test that exists and is run; each limit's name exists in the source."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("## What can grow\n")[1].split("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [row for row in ROWS if row[0] not in ("what", "---")]


def named_in(row):
    """(file, name) of each test that the row's last cell names."""
    for part in row[-1].rstrip("| ").split("; "):
        file, names = re.fullmatch(r"`([a-z_]+/[a-z_]+\.(?:c|py))`: (.*)", part).groups()
        for name in names.split(", "):
            yield file, re.fullmatch(r"`([a-z_0-9]+)`", name)[1]


def is_run(file, name):
    """A Python test function; in C a function that is also in the list of tests."""
    path = ROOT / "tests" / (file if file.startswith("system/") else f"unit/{file}")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return re.search(rf"^def {name}\(", text, re.M)
    return re.search(rf"^static void {name}\(void \*\*", text, re.M) and re.search(rf"\b(?:T|TEST|cmocka_unit_test\w*)\(\s*{name}\b", text)


def test_each_row_has_a_test():
    assert len(ROWS) > 40
    wrong = [f"{row[0]}: {file} {name}" for row in ROWS for file, name in named_in(row) if not is_run(file, name)]
    assert not wrong, "\n".join(wrong)


def test_each_limit_is_there():
    headers = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.[ch]"))
    names = {name for row in ROWS for name in re.findall(r"`([A-Z][A-Z_0-9]+)`", " ".join(row))}
    missing = [name for name in names if not re.search(rf"\b{name}\b", headers)]
    assert not missing, missing
