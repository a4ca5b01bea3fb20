"""Names in the documentation refer to something: files, functions, constants, counters, entries and their fields, keywords, commands, options.

A name in `code` of a page that looks like one of the project's must occur in the project's sources; what the text says about it must be
reviewed by people.
"""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOT_OURS = {
    "area_noun_verb",  # the pattern of names
    "aes256-sha256",  # strongSwan's
    "aes256-sha256-ecp256",
    "aes256-sha256-prfsha256-ecp256",
    "basic-datapath",  # Junos'
    "fix-port",  # ScreenOS'
    "limit-session",  # ScreenOS', Junos'
    "ppk-profile",  # Junos'
    "ppk_id",  # strongSwan's
    "ppk_required",  # strongSwan's
    "routing-instance",  # Junos'
    "update-ca-certificates",  # a program of Debian
    "plaingate ledger messages 1",  # the contents of a vendor ID payload
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("src", "tests", "yang", "lab", "tools", "debian", "fuzz", "bench", "share", "quickstart")
FILES = [str(path.relative_to(ROOT)) for top in (*FOLDERS, ".") for path in ((ROOT / top).glob("*") if top == "." else (ROOT / top).rglob("*"))
         if path.is_file() and not {".state", "__pycache__"} & set(path.parts)]
NAMES = {Path(name).name for name in FILES}


def text_of(path):
    return (ROOT / path).read_bytes().decode("utf-8", "replace")


SOURCES = "\n".join(text_of(name) for name in FILES if name != "tests/unit/docs/test_names.py" and
                    (name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) or "/" not in name) and not name.endswith((".md", ".pcap", ".json")))
WORDS = set(re.findall(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*", SOURCES)) | set(re.findall(r"[A-Za-z0-9_]+", SOURCES))


def spans(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", text)


def commands(page):
    """Lines of blocks and spans that call the program, each up to its comment, pipe or end."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S) for line in block.split("\n")] + spans(page)
    for line in lines:
        match = re.match(r"(?:sudo |\$ |# )?plaingate ([a-z].*)", line.strip())
        if match:
            yield re.split(r" # |  +| [|<>;&] |$", match[1])[0].strip()


def macro_rows(name, header="src/cli/commands.h"):
    text = text_of(header)
    return re.search(rf"#define {name}\(.*?(?=\n\n|\n/\*|\n#)", text, re.S)[0]


MADE = {line.strip("/") for line in text_of(".gitignore").split("\n")}  # created by programs, so absent from a new clone
COMMANDS = sorted(re.findall(r'C\([A-Z_]+,\s*"([a-z -]+)"', macro_rows("CLI_COMMANDS")), key=len, reverse=True)
OPTIONS = set(re.findall(r'"(--?[a-z-]+)"', macro_rows("CLI_OPTIONS") + macro_rows("SESSION_FILTERS", "src/model/session_filter.h"))) | {"--help", "--version"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files(page):
    wrong = []
    for span in spans(page):
        for name in re.findall(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)}|docs)/[\w./-]*\w)(?![\w*{{]|/[A-Z*])", span):
            if not (ROOT / name).exists() and name not in MADE and not name.isupper() and not re.search(r"/[A-Z]+\b", name) and not list(ROOT.glob(name + "*")):
                wrong.append(name)
        if re.fullmatch(r"[a-z_0-9]+\.[chy]|[a-z_0-9]+\.py", span) and span not in NAMES:
            wrong.append(span)
    assert not wrong, wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_functions_constants_and_words(page):
    wrong = []
    for span in spans(page):
        function = re.fullmatch(r"([a-z_0-9]+)\(.*\)", span)
        if function and not re.search(rf"\b{function[1]}\s*\(", SOURCES):
            wrong.append(span)
        if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[a-z][a-z0-9]*(?:[_-][a-z0-9]+)+", span) and not {span, span.removeprefix("plaingate_")} & (WORDS | NOT_OURS):
            wrong.append(span)
    assert not wrong, wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options(page):
    wrong = []
    for line in commands(page):
        if f"plaingate {line}" in NOT_OURS:
            continue
        if not any(line == words or line.startswith(words + " ") or words.startswith(line + " ") for words in COMMANDS):
            wrong.append(line)
        wrong += [f"{line}: {option}" for option in re.findall(r"(?<!\S)--?[a-z-]+", line) if option not in OPTIONS]
    assert not wrong, wrong


def test_the_test_itself():
    assert len(COMMANDS) > 10 and len(OPTIONS) > 10
    assert sum(len(list(commands(page))) for page in PAGES) > 40
    assert "config_commit" in WORDS and "nat-exhausted" in WORDS and "config_comit" not in WORDS
