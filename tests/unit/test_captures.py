"""Public captures, read by `plaingate verify randomness --capture`: pcapng with every kind of block in either byte order, and classic
files with tunnels, fragments and truncated frames. They are not part of the project: skipped if they are not available beside it."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
CAPTURES = ROOT.parent / "shared/captures"
sys.path.insert(0, str(ROOT / "tests/tamper"))
from forge import Key, Log  # pylint: disable=wrong-import-position


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    log = Log(Key("plaingate/ledger/test", b"a seed of nobody's, for tests 1\0"))
    log.start()
    return log.write(tmp_path_factory.mktemp("captures") / "ledger")


def read(ledger, file):
    done = subprocess.run([BUILD / "src/cli/plaingate", "verify", "randomness", ledger, "--json", "--capture", file],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, f"{file}: {done.stderr}"
    return json.loads(done.stdout)[0]


@pytest.mark.parametrize("kind", ["pcapng", "zeek"])
def test_captures_of_others_are_read(ledger, kind):
    files = sorted((CAPTURES / kind).rglob("*.pcap*"))
    if not files:
        pytest.skip(f"no captures in {CAPTURES / kind}")
    for file in files:
        assert read(ledger, file)["messages_captured"] == 0
