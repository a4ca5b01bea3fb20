"""`plaingate import` with whole configurations: what it makes of each is one that `plaingate check` takes, and each statement is told of."""
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
PROGRAM = BUILD / "src/cli/plaingate"
JUNOS = ROOT.parent / "shared/configs/junos"
OWN = Path(__file__).parent / "import"
OUTCOMES = {"translated", "changed", "host", "none", "wrong", "unknown"}

pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built")


def imported(tmp_path, kind, file):
    """[row], and the configuration's text."""
    out = tmp_path / "made.conf"
    done = subprocess.run([PROGRAM, "import", kind, file, "-o", out, "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    rows = json.loads(done.stdout)
    assert {row["outcome"] for row in rows} <= OUTCOMES
    assert done.returncode == int(any(row["outcome"] in ("wrong", "unknown") for row in rows))
    checked = subprocess.run([PROGRAM, "check", "--close-all", out], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, f"{checked.stderr}\n{out.read_text()}"
    return rows, out.read_text()


@pytest.mark.parametrize("file", sorted(f for f in JUNOS.glob("*") if f.suffix != ".md" and f.name != "LICENSE") if JUNOS.is_dir() else [None], ids=str)
def test_configurations_of_junos(tmp_path, file):
    if not file:
        pytest.skip("shared/configs/junos is not there")
    rows, _ = imported(tmp_path, "junos-set", file)
    lines = [n for n, line in enumerate(file.read_text().splitlines(), 1) if line.startswith("set ")]
    assert sorted({row["line"] for row in rows}) == lines, "each statement is told of"
    assert not [row for row in rows if row["outcome"] == "unknown"]


def test_an_office_of_screenos(tmp_path):
    rows, made = imported(tmp_path, "screenos", OWN / "office.screenos")
    told = {row["line"]: row for row in rows}
    source = (OWN / "office.screenos").read_text().splitlines()
    assert set(told) == {n for n, line in enumerate(source, 1) if line not in ("exit", "")}
    assert "unknown" not in {row["outcome"] for row in rows}
    wrong = [row for row in rows if row["outcome"] == "wrong"]
    assert len(wrong) == 1 and "nobody" in wrong[0]["statement"] and "what it denied" in wrong[0]["note"], wrong
    for part in ("static-nat 10.3.0.20/32;", "destination-nat 10.3.0.21;", "source-nat 198.51.100.30-198.51.100.31;", "inactive: rule 6 {",
                 "interface st0.1;", "remote-address 203.0.113.2;", "host-name office-fw;", "source-route-option;"):
        assert part in made, part
    assert "c29tZXRo" not in made + json.dumps(rows) and "nKVUM2rw" not in made + json.dumps(rows)


def test_an_existing_file_is_kept(tmp_path):
    there = tmp_path / "there.conf"
    there.write_text("mine")
    done = subprocess.run([PROGRAM, "import", "screenos", OWN / "office.screenos", "-o", there], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "there.conf" in done.stderr and there.read_text() == "mine"
