"""Every tampering of tests/tamper/attacks.h, in the release build: some seconds of one processor for more than ten thousand of them."""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))


def test_every_tampering():
    done = subprocess.run([str(BUILD / "tests/tamper/tamper")], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    made, found = re.search(r"(\d+) tamperings, (\d+) of them found", done.stdout).groups()
    assert int(made) >= 10000 and 0 < int(made) - int(found) < 200, "limits are a few of them"
