"""`plaingate verify ledger --since`: somebody who kept the state of a verification, and reads only what was added since, is told no more
than what is then proved, for the worst ledger that fits it. tests/unit/verify/test_since.c changes octets; here are other histories, heads,
logs and files."""
import base64
import hashlib
import json
import shutil

import pytest
from forge import Key, Log
from test_verdicts import (BEGAN, FOUND, GOOD, KEY, LATER, NOW, PART, STALE, UNKNOWN, WITNESS_KEY, asks, asks_later, explained, fork, investigate,
                           program, recovered, verify, web)

assert asks and asks_later  # fixtures


def year(count=1400):
    """Three boots, at various sizes; the counter of each source continues within one."""
    log = Log(KEY)
    for n in range(3):
        boot = f"{n:032x}"
        log.start(utc=f"2026-11-2{n}T07:00:00.000000Z", boot=boot, mono=1)
        for i in range(count // 3 - 2):
            log.act(f"2026-11-2{n}T08:{i // 60 % 60:02d}:{i % 60:02d}.000000Z", boot=boot)
    return log


def keep(ledger, file, *options, key=KEY):
    status, report = verify(ledger, "--keep", file, *options, key=key)
    assert status == GOOD, report
    return file


SIZES = [1, 2, 3, 255, 256, 257, 300, 466, 467, 468, 511, 512, 513, 900, 1023, 1024, 1398]


@pytest.fixture(scope="module")
def log():
    return year()


def test_where_a_walk_stands_does_not_depend_on_where_it_began(log, tmp_path):
    last = len(log.entries)
    log.write(tmp_path / "whole", sealed=SIZES)
    whole = keep(tmp_path / "whole", tmp_path / "whole.kept").read_bytes()
    file = None
    for size in SIZES:
        if size == 1:  # a start without its keys is not published
            continue
        log.write(tmp_path / "ledger", size, sealed=SIZES)
        status, report = verify(tmp_path / "ledger", *(["--since", file] if file else []), "--keep", tmp_path / f"{size}.kept")
        assert status == GOOD and report["size"] == size and not report["complete"] == bool(file), report
        file = tmp_path / f"{size}.kept"
        status, report = verify(tmp_path / "whole", "--since", file, "--keep", tmp_path / "again.kept")
        assert status == GOOD and report["since_size"] == size and report["entries"] == last - size, report
        assert (tmp_path / "again.kept").read_bytes() == whole


def test_what_is_said_is_what_was_read(log, tmp_path):
    log.write(tmp_path / "ledger", 600)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    log.write(tmp_path / "ledger", sealed=[600])
    for n in range(2):  # nothing of it is read
        (tmp_path / f"ledger/tile/entries/00{n}").unlink()
        (tmp_path / f"ledger/tile/0/00{n}").write_bytes(b"")
    assert verify(tmp_path / "ledger")[0] == FOUND
    status, report = verify(tmp_path / "ledger", "--since", file)
    assert status == GOOD and report["since_size"] == 600 and not report["complete"]
    assert {row["name"]: row["count"] for row in report["checks"]}["entries"] == len(log.entries) - 600
    proved, not_proved = explained(tmp_path / "ledger", "--since", file)
    assert "The 600 before them were NOT READ" in proved and "from entry 600 on" in proved
    assert "that the first 600 entries, their tiles and seals still exist" in not_proved and "no head was given" not in not_proved
    assert "files were not listed" in not_proved


def test_little_is_asked_of_a_server(log, tmp_path):
    log.write(tmp_path / "ledger", 1300)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    log.write(tmp_path / "ledger", sealed=[1300])
    with web(tmp_path / "ledger") as address:
        assert verify(address, "--since", file)[0] == GOOD
        for n in range(5):
            (tmp_path / f"ledger/tile/entries/00{n}").unlink(missing_ok=True)
        assert verify(address, "--since", file)[0] == (GOOD if 1300 // 256 >= 5 else FOUND)


@pytest.mark.parametrize("kept, size", [(300, 900), (512, 900), (700, 700), (900, 901)])
def test_another_history_before_the_kept_head_is_found(tmp_path, kept, size):
    """By somebody who has the ledger's key, and signs everything again. With seals and without: they cover what was before as well."""
    log = year()
    log.write(tmp_path / "ledger", kept)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    for at in (3, kept // 256 * 256 - 1, kept - 1):
        other = year()
        other.entries[at] = other.entries[at].replace(b'"detail":"x"', b'"detail":"y"')
        assert other.root() != log.root()
        other.write(tmp_path / "other", size, sealed=[kept])
        assert verify(tmp_path / "other")[0] == GOOD  # for somebody who kept nothing
        status, report = verify(tmp_path / "other", "--since", file)
        assert status == FOUND and report["class"] in ("head", "root", "entry", "seal"), report


def test_another_history_behind_the_kept_head_is_another_ledger(tmp_path):
    """Nobody who has not seen it can tell; the next kept head can."""
    log = year()
    log.write(tmp_path / "ledger", 600)
    first = keep(tmp_path / "ledger", tmp_path / "first")
    log.write(tmp_path / "ledger", 900, sealed=[600])
    second = keep(tmp_path / "ledger", tmp_path / "second", "--since", first)
    other = year()
    other.entries[750] = other.entries[750].replace(b'"detail":"x"', b'"detail":"y"')
    other.write(tmp_path / "other", 1000, sealed=[600, 900])
    assert verify(tmp_path / "other", "--since", first)[0] == GOOD
    status, report = verify(tmp_path / "other", "--since", second)
    assert status == FOUND, report


@pytest.mark.parametrize("size", [2, 256, 600, 899])
def test_a_shortened_log_is_found(log, tmp_path, size):
    log.write(tmp_path / "ledger", 900, sealed=SIZES)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    log.write(tmp_path / "ledger", size, sealed=SIZES)
    status, report = verify(tmp_path / "ledger", "--since", file)
    assert status == FOUND and report["class"] == "head" and "truncated" in report["finding"], report
    # also with nothing left but a head, and with nothing published at all
    (tmp_path / "ledger/checkpoint").unlink()
    assert verify(tmp_path / "ledger", "--since", file)[0] == FOUND


def test_seals_that_are_gone_are_found(log, tmp_path):
    sizes = [600, 620, 640, 660, 680]
    log.write(tmp_path / "ledger", 680, sealed=sizes)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    log.write(tmp_path / "ledger", 700, sealed=sizes)
    path = next(path for path in (tmp_path / "ledger/seal").glob("*.seals") if path.stat().st_size > 3 * 108)
    data = path.read_bytes()
    for cut in (1, 2, len(data) // 108):
        path.write_bytes(data[:len(data) - 108 * cut])
        status, report = verify(tmp_path / "ledger", "--since", file)
        assert status == FOUND and report["class"] == "seal", (cut, report)
    path.unlink()
    assert verify(tmp_path / "ledger", "--since", file)[0] == FOUND


# --- heads that are older than the kept one ---

def test_an_older_head_is_proved_from_the_tiles(tmp_path, asks):
    log = year()
    log.write(tmp_path / "ledger", 900, cosigned=log.cosigned(WITNESS_KEY, NOW, 850))
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    options = ["--since", file, "--policy", asks]
    for size in (900, 1000):
        log.write(tmp_path / "ledger", size, cosigned=log.cosigned(WITNESS_KEY, NOW, 850), sealed=[900])
        status, report = verify(tmp_path / "ledger", *options, key=None)
        assert status == GOOD and report["cosigned_size"] == 850, report
        (tmp_path / "head").write_text(log.note(300))
        status, report = verify(tmp_path / "ledger", *options, "--checkpoint", tmp_path / "head", key=None)
        assert status == GOOD and report["kept_size"] == 300, report
    # nothing is said about what cannot be read; what is missing is detected
    options += ["--checkpoint", tmp_path / "head"]
    with web(tmp_path / "ledger", {"/tile/0/001": 500}) as address:
        assert verify(address, *options, key=None)[0] == UNKNOWN
    shutil.copytree(tmp_path / "ledger", tmp_path / "gone")
    (tmp_path / "gone/tile/0/001").unlink()
    assert verify(tmp_path / "gone", *options, key=None)[0] == FOUND
    # and a head of another history is detected
    log.write(tmp_path / "ledger", 1000, cosigned=fork(log, 850).cosigned(WITNESS_KEY, NOW), sealed=[900])
    status, report = verify(tmp_path / "ledger", *options, key=None)
    assert status == FOUND and report["class"] == "head", report


@pytest.mark.parametrize("size", [200, 899, 900, 950])
def test_a_fork_in_the_journal_is_found_wherever_it_is(tmp_path, size):
    log = year()
    log.write(tmp_path / "ledger", 900)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    for note, status in ((log.note(size), GOOD), (fork(log, size).note(), FOUND)):
        log.write(tmp_path / "ledger", 1000, journal=log.record(size - 5, 5, note), sealed=[900])
        assert verify(tmp_path / "ledger")[0] == status
        found, report = verify(tmp_path / "ledger", "--since", file)
        assert found == status, (size, report)


def test_the_quorum_is_asked_for_as_ever(tmp_path, asks):
    log = year()
    log.write(tmp_path / "ledger", 900, lines=WITNESS_KEY.cosign(log.head(900), NOW))
    file = keep(tmp_path / "ledger", tmp_path / "kept", "--policy", asks, key=None)
    log.write(tmp_path / "ledger", 1300, sealed=[900])
    status, report = verify(tmp_path / "ledger", "--policy", asks, "--since", file, "--keep", tmp_path / "not", key=None)
    assert status == STALE and report["uncosigned"] == 400 and not (tmp_path / "not").exists(), report


# --- an archive ---

def test_what_went_to_an_archive_since(log, tmp_path):
    log.write(tmp_path / "ledger", 300)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    log.write(tmp_path / "ledger", sealed=[300])
    assert program("archive", tmp_path / "ledger", "--before", "2030-01-01", "--to", tmp_path / "archive").returncode == 0
    archived = int((tmp_path / "ledger/archived").read_text())
    assert archived == 512
    status, report = verify(tmp_path / "ledger", "--since", file, "--archive", tmp_path / "archive")
    assert status == GOOD and report["entries"] == len(log.entries) - 300, report
    # Without it: the one-time keys of the kept head are available, and the entries after it.
    status, said = verify(tmp_path / "ledger", "--since", file, "--keep", tmp_path / "not")
    assert status == UNKNOWN and "--archive" in said and not (tmp_path / "not").exists()
    # Only the entries are changed: the rest is as it was signed.
    for path in (tmp_path / "archive/seal").iterdir():
        shutil.copy(path, tmp_path / "ledger/seal")
    status, report = verify(tmp_path / "ledger", "--since", file, "--keep", tmp_path / "not")
    assert status == PART and report["holes"][0] == {"first": 300, "end": archived} and not (tmp_path / "not").exists(), report
    tile = tmp_path / "ledger/tile/0/001"
    data = bytearray(tile.read_bytes())
    data[5] ^= 1  # of an entry before the kept head
    tile.write_bytes(data)
    status, report = verify(tmp_path / "ledger", "--since", file)
    assert status == FOUND and report["entry"] == 256, report


# --- a recovery ---

def test_how_the_log_began_is_judged_again(tmp_path, asks_later):
    """Somebody who kept without a policy, and passes one later, is told what a complete verification tells."""
    for options, status in (({}, GOOD), ({"note": "no note\n", "field": False, "before": False}, STALE)):
        recovered(tmp_path / "ledger", **options)
        file = keep(tmp_path / "ledger", tmp_path / "kept", key=LATER)
        whole = verify(tmp_path / "ledger", "--policy", asks_later, key=None)
        since = verify(tmp_path / "ledger", "--policy", asks_later, "--since", file, key=None)
        assert whole[0] == since[0] == status, since
        for field in ("recoveries", "recovery_expected", "recovery_seen_size", "recovery_witnessed", "staleness"):
            assert whole[1][field] == since[1][field], field
        assert since[1]["ended_logs_verified"] == 0


def test_a_log_that_was_recovered_since_is_another(tmp_path):
    log = Log(KEY)
    log.start()
    log.acts(10)
    log.write(tmp_path / "ledger")
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    recovered(tmp_path / "ledger")
    status, said = verify(tmp_path / "ledger", "--since", file, key=None)
    assert status == UNKNOWN and "recovery" in said
    assert (tmp_path / f"ledger/before/{BEGAN}").is_dir()


# --- the file ---

def rewritten(file, change):
    text = change(file.read_text().rpartition("sha256 ")[0])
    return text + f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n"


def test_the_file_is_of_this_log_and_whole(log, tmp_path):
    log.write(tmp_path / "ledger", 600)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    text = file.read_text()
    assert rewritten(file, lambda t: t) == text
    other = Log(Key("plaingate/ledger/other", b"o" * 32))
    other.start()
    other.acts(700)
    other.write(tmp_path / "other")
    of_other = keep(tmp_path / "other", tmp_path / "of_other", key=other.key).read_text()
    wrong = {
        "of another log": of_other,
        "empty": "",
        "cut": text[:-1],
        "cut in half": text[:len(text) // 2],
        "longer": text + "\n",
        "no kept file": log.note(600),
        "of a newer version": rewritten(file, lambda t: t.replace("verified/1", "verified/2")),
        "with a line more": rewritten(file, lambda t: t + "more 1\n"),
        "with a source that counts otherwise": rewritten(file, lambda t: t.replace("counters ", "counters ledger 0 x, ")),
        "with the head of another size": rewritten(file, lambda t: t.replace(
            base64.b64encode(log.note(600).encode()).decode(), base64.b64encode(log.note(601).encode()).decode())),
        "with a head of another history": rewritten(file, lambda t: t.replace(
            base64.b64encode(log.note(600).encode()).decode(), base64.b64encode(fork(log, 600).note().encode()).decode())),
    }
    for name, content in wrong.items():
        assert content != text, name
        (tmp_path / "wrong").write_text(content)
        status, said = verify(tmp_path / "ledger", "--since", tmp_path / "wrong")
        assert status == UNKNOWN and "--since" in said, (name, said)
    assert verify(tmp_path / "ledger", "--since", tmp_path / "nowhere")[0] == UNKNOWN


def test_the_first_time_there_is_no_file(log, tmp_path):
    log.write(tmp_path / "ledger")
    first = program("verify", "ledger", tmp_path / "ledger", "--since", tmp_path / "kept", "--keep", tmp_path / "kept")
    assert first.returncode == UNKNOWN and "verify once with --keep and without --since" in first.stderr, first.stderr
    assert not (tmp_path / "kept").exists()


def test_what_is_not_good_is_not_kept(log, tmp_path):
    log.write(tmp_path / "ledger", 600)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    had = file.read_bytes()
    path = tmp_path / "ledger/tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"x"', b'"y"', 1))
    assert verify(tmp_path / "ledger", "--keep", file)[0] == FOUND
    assert file.read_bytes() == had and not (tmp_path / "kept.part").exists()
    log.write(tmp_path / "ledger", 600)
    assert verify(tmp_path / "ledger", "--keep", tmp_path / "no/such/folder")[0] == UNKNOWN
    investigate(tmp_path / "ledger", "2026-11-21", "2026-11-21", tmp_path / "bundle")
    for option in ("--since", "--keep"):
        status, said = verify(tmp_path / "bundle", option, file)
        assert status == UNKNOWN and "as a whole" in said
    assert file.read_bytes() == had


def test_an_entry_of_a_newer_version_is_not_passed_over(log, tmp_path):
    log.write(tmp_path / "ledger", 600)
    file = keep(tmp_path / "ledger", tmp_path / "kept")
    newer = year()
    newer.entries = newer.entries[:700]
    entry = json.loads(newer.entries[-1])
    entry["body"]["zeal"] = 1
    newer.entries[-1] = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
    newer.write(tmp_path / "ledger", sealed=[600])
    assert verify(tmp_path / "ledger", "--since", file, "--keep", tmp_path / "not")[0] == UNKNOWN
    assert not (tmp_path / "not").exists()
