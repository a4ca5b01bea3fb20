"""What `plaingate verify` says is proved, and its exit status, for the worst ledger that fits it: forged ones, by who has the key or only a text
editor. Each row of the exit statuses in docs/evidence.md is met here."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from forge import Key, Log

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
GOOD, FOUND, UNKNOWN, PART, STALE = 0, 1, 2, 3, 4

KEY = Key("plaingate/ledger/test", b"a seed of nobody's, for tests 1\0")


def program(*words):
    return subprocess.run([str(BUILD / "src/cli/plaingate"), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def verify(where, *options, key=KEY):
    """Status and report; without a report what was said."""
    words = ["--key", key.vkey] if key else []
    done = program("verify", "ledger", where, "--json", *words, *options)
    return done.returncode, json.loads(done.stdout)[0] if done.stdout else done.stderr


def explained(where, *options, key=KEY):
    done = program("verify", "ledger", where, "--explain", *(["--key", key.vkey] if key else []), *options)
    proved, _, not_proved = done.stdout.partition("What is not proved")
    return proved, not_proved


def investigate(ledger, begin, end, file):
    done = program("investigate", ledger, "--from", begin, "--to", end, "-o", file)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def edit(bundle, *pairs):
    """What `sed` does to a file, so that no length changes."""
    data = bundle.read_bytes()
    for old, new in pairs:
        assert len(old) == len(new) and old.encode() in data
        data = data.replace(old.encode(), new.encode())
    bundle.write_bytes(data)


@pytest.fixture
def honest(tmp_path):
    log = Log(KEY)
    log.start()
    log.acts(8)
    log.write(tmp_path / "ledger")
    assert verify(tmp_path / "ledger")[0] == GOOD
    return log


# --- the time of a bundle ---

@pytest.mark.parametrize("day", ["2020-01-01", "2031-01-01"])
def test_an_empty_bundle_is_of_no_other_time(honest, tmp_path, day):
    """The entry beside an empty range must be before its time and behind it, not merely outside."""
    bundle = tmp_path / "bundle"
    investigate(tmp_path / "ledger", day, day, bundle)
    assert verify(bundle)[0] == GOOD
    edit(bundle, (f"{day}T00:00:00.000000Z", "2026-11-23T08:00:00.000000Z"), (f"{day}T23:59:59.999999Z", "2026-11-23T08:59:59.999999Z"))
    status, report = verify(bundle)
    assert status == FOUND and report["class"] == "bundled", report


def test_a_bundle_is_of_a_time_that_exists(honest, tmp_path):
    bundle = tmp_path / "bundle"
    investigate(tmp_path / "ledger", "2031-01-01", "2031-01-01", bundle)
    edit(bundle, ("2031-01-01T23:59:59.999999Z", "9999-99-99T99:99:99.999999Z"))
    assert verify(bundle)[0] == FOUND
    log = Log(KEY)
    log.start()
    log.act("9999-99-99T99:99:99.000000Z")
    log.write(tmp_path / "forged")
    status, report = verify(tmp_path / "forged")
    assert status == FOUND and report["class"] == "entry"


def stepped():
    """Sixty acts in one hour; behind the tenth the clock shows another time for one entry."""
    log = Log(KEY)
    log.start()
    for i in range(1, 71):
        utc = "2030-01-01T00:00:00.000000Z" if i == 11 else f"2026-11-23T08:{i // 60:02d}:{i % 60:02d}.000000Z"
        log.act(utc, mono=i * 1000000)
    for i in range(3):
        log.act(f"2026-11-23T09:00:0{i}.000000Z", mono=(3600 + i) * 1000000)
    return log


def test_a_step_of_the_clock_cuts_no_bundle_short(tmp_path):
    log = stepped()
    log.write(tmp_path / "ledger")
    bundle = tmp_path / "bundle"
    said = investigate(tmp_path / "ledger", "2026-11-23T08:00:00", "2026-11-23T08:59", bundle)
    assert said.count("the clock was set") == 2
    status, report = verify(bundle)
    assert status == GOOD and (report["range"]["first"], report["range"]["end"]) == (0, 72)
    assert [(step["entry"], step["back"]) for step in report["clock_step"]] == [(12, False), (13, True)]
    # Who ends it at the step leaves 59 entries out that lie in the same bundle of entries.
    edit(bundle, ('{"end":72,', '{"end":12,'))
    status, report = verify(bundle)
    assert status == FOUND and report["class"] == "bundled" and "leaves it out" in report["finding"]


@pytest.mark.parametrize("first, second", [("2029", "2026"), ("2026", "2020")])
def test_steps_at_the_ends_of_a_time_are_taken_in(tmp_path, first, second):
    """A range begins and ends where the dates come to its time and pass it, also when the clock was set just there."""
    log = Log(KEY)
    log.start("2026-11-23T07:00:00.000000Z", mono=0)
    for i in range(3):
        log.act(f"{first}-11-23T07:30:0{i}.000000Z")
    for i in range(3):
        log.act(f"2026-11-23T08:30:0{i}.000000Z")
    for i in range(3):
        log.act(f"{second}-11-23T08:45:0{i}.000000Z")
    log.act("2026-11-23T09:30:00.000000Z")
    log.write(tmp_path / "ledger")
    investigate(tmp_path / "ledger", "2026-11-23T08:00", "2026-11-23T08:59", tmp_path / "bundle")
    status, report = verify(tmp_path / "bundle")
    assert status == GOOD, report
    assert report["range"]["first"] <= 5 and report["range"]["end"] >= 8


def test_each_step_of_the_clock_is_named(tmp_path):
    log = Log(KEY)
    log.start(mono=0)
    dates = ["08:00:01", "08:00:02", "09:00:03", "09:00:04", "08:30:05"]
    for i, at in enumerate(dates):
        log.act(f"2026-11-23T{at}.000000Z", mono=(i + 1) * 1000000)
    # Slowly: less than is seen from one entry to the next, and a second in all.
    for i in range(1, 21):
        log.act(f"2026-11-23T08:30:{5 + i:02d}.{i * 50000:06d}Z" if i < 20 else "2026-11-23T08:30:26.000000Z", mono=(5 + i) * 1000000)
    log.start("2026-11-23T08:00:00.000000Z", boot="ff" * 16, mono=0)
    log.write(tmp_path / "ledger")
    status, report = verify(tmp_path / "ledger")
    assert status == GOOD
    named = [(step["entry"], step["back"], step["us"]) for step in report["clock_step"]]
    assert named[:2] == [(4, False, 3600000000), (6, True, 1800000000)]
    assert 9 <= len([step for step in named[2:] if step[2] <= 150000 and not step[1]]) <= 10
    assert named[-1][:2] == (27, True)
    proved, _ = explained(tmp_path / "ledger")
    assert "the clock (UTC) was set" in proved


def test_a_bundle_says_what_is_not_in_it(tmp_path):
    log = Log(KEY)
    log.start()
    log.acts(59)
    for i in range(900):
        log.act("2026-11-23T09:00:00.000000Z", mono=3600 * 1000000 + i)
    log.write(tmp_path / "ledger")
    bundle = tmp_path / "bundle"
    investigate(tmp_path / "ledger", "2026-11-23T08:00", "2026-11-23T08:00", bundle)
    assert verify(bundle)[0] == GOOD
    proved, not_proved = explained(bundle)
    assert "where the clock was not set" in proved and "none of these is dated within" in not_proved
    investigate(tmp_path / "ledger", "2026-11-23T09:00", "2026-11-23T09:00", tmp_path / "last")
    _, not_proved = explained(tmp_path / "last")
    assert "came behind the 961 entries of its head" in not_proved
