"""What `plaingate verify` reports as proved, and its exit status, for the worst ledger that fits it: forged ones, by somebody with the key
or only with a text editor. Each row of the exit statuses in docs/evidence.md occurs here."""
import base64
import contextlib
import http.server
import json
import os
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from forge import Key, Log, WITNESS, WITNESS_ML_DSA_44, name_line, sha256

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
GOOD, FOUND, UNKNOWN, PART, STALE = 0, 1, 2, 3, 4

KEY = Key("plaingate/ledger/test", b"a seed of nobody's, for tests 1\0")


def program(*words):
    return subprocess.run([str(BUILD / "src/cli/plaingate"), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def verify(where, *options, key=KEY):
    """Status and report; without a report, the output."""
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
    """Edits a file as `sed` does, so that no length changes."""
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
    """The entries next to an empty range must be before its time and after it, not merely outside."""
    bundle = tmp_path / "bundle"
    investigate(tmp_path / "ledger", day, day, bundle)
    assert verify(bundle)[0] == GOOD
    edit(bundle, (f"{day}T00:00:00.000000Z", "2026-11-23T08:00:00.000000Z"), (f"{day}T23:59:59.999999Z", "2026-11-23T08:59:59.999999Z"))
    status, report = verify(bundle)
    assert status == FOUND and report["class"] == "evidence_bundle", report


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
    """Sixty actions in one hour; after the tenth the clock shows another time for one entry."""
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
    # A range that ends at the step leaves out 59 entries that are in the same entry bundle.
    edit(bundle, ('{"end":72,', '{"end":12,'))
    status, report = verify(bundle)
    assert status == FOUND and report["class"] == "evidence_bundle" and "outside its range" in report["finding"]


@pytest.mark.parametrize("first, second", [("2029", "2026"), ("2026", "2020")])
def test_steps_at_the_ends_of_a_time_are_taken_in(tmp_path, first, second):
    """A range begins and ends where the dates reach its time and pass it, even if the clock was set just there."""
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
    # Slowly: less than is detected from one entry to the next, and a second in all.
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
    assert "later entry than the 961 of the bundle's head" in not_proved


# --- how much a quorum covers, and since when ---

WITNESS_KEY = Key("witness.example/w", b"w" * 32, WITNESS)
OTHER_KEY = Key("witness.example/v", b"v" * 32, WITNESS)
NOW = int(time.time())


def policy(tmp_path, lines, log=KEY):
    file = tmp_path / "policy"
    file.write_text((f"log {log.vkey}\n" if log else "") + lines)
    return file


@pytest.fixture
def asks(tmp_path):
    return policy(tmp_path, f"witness w {WITNESS_KEY.vkey}\nquorum w\n")


def long_log(count=300):
    log = Log(KEY)
    log.start()
    log.acts(count - 2)
    return log


QUORUMS = [
    (300, NOW, [], GOOD),
    (300, NOW - 1800, [], GOOD),
    (60, NOW, [], GOOD),
    (10, 978307200, [], STALE),  # as of 2001
    (10, NOW, [], STALE),
    (10, NOW, ["--max-uncosigned", "290"], GOOD),
    (10, NOW, ["--max-uncosigned", "any"], GOOD),
    (10, NOW, ["--max-uncosigned", "289"], STALE),
    (300, NOW - 7200, [], STALE),
    (300, NOW - 7200, ["--max-age", "3h"], GOOD),
    (300, NOW - 7200, ["--max-age", "90m"], STALE),
    (300, 978307200, ["--max-age", "any"], GOOD),
    (299, NOW, ["--max-uncosigned", "0"], STALE),
    (300, NOW + 30, [], GOOD),
    (300, 32503680000, [], STALE),  # the year 3000
    (300, 32503680000, ["--max-age", "any", "--max-uncosigned", "any"], STALE),
]


# Numbers for names: the times differ between the processes that collect the tests.
@pytest.mark.parametrize("size, at, options, status", QUORUMS, ids=range(len(QUORUMS)))
def test_a_quorum_must_be_of_now_and_of_nearly_all(tmp_path, asks, size, at, options, status):
    log = long_log()
    log.write(tmp_path / "ledger", cosigned=log.cosigned(WITNESS_KEY, at, size))
    got, report = verify(tmp_path / "ledger", "--policy", asks, *options, key=None)
    assert got == status, report
    assert report["good"] and report["stale"] == (status == STALE) and bool(report["staleness"]) == (status == STALE)
    assert report["witnesses"][0]["future"] == (at > NOW + 300)
    _, not_proved = explained(tmp_path / "ledger", "--policy", asks, *options, key=None)
    # Without the age, which grows from one call to the next.
    assert status == GOOD or report["staleness"].split(",")[0] in not_proved


def with_session_log(folder, size, at):
    """Two lines of a session log that the ledger has, in a ledger of 300 entries that a witness has cosigned up to `size`."""
    head = {"event": "log-file", "log": "ab" * 16, "n": 1, "prev": "00" * 32, "utc": "2026-11-23T08:00:00.000000Z"}
    lines = [json.dumps(head, separators=(",", ":"))]
    lines.append(json.dumps({"count": 1, "event": "records-lost", "n": 2, "prev": sha256(lines[0].encode()).hex(),
                             "utc": "2026-11-23T08:00:00.000000Z"}, separators=(",", ":")))
    log = Log(KEY)
    log.start()
    log.add("session_log", "export", {"count": 2, "last": 2, "log": "ab" * 16, "lost": 1, "oldest": 1,
                                      "sha256": sha256(lines[1].encode()).hex()}, "2026-11-23T08:00:01.000000Z")
    log.acts(297)
    log.write(folder / "ledger", cosigned=log.cosigned(WITNESS_KEY, at, size))
    (folder / "log").mkdir()
    (folder / "log/sessions-0000000001.log").write_text("".join(line + "\n" for line in lines))


@pytest.mark.parametrize("size, at, options, status", QUORUMS[3:9], ids=range(3, 9))
def test_a_session_log_is_as_good_as_its_ledger(tmp_path, asks, size, at, options, status):
    """Whoever has the key of a ledger that no witness has seen can write any log, and entries for it."""
    with_session_log(tmp_path, size, at)
    done = program("verify", "log", tmp_path / "log", "--policy", asks, "--json", *options)
    report = json.loads(done.stdout)[0]
    assert done.returncode == status and report["good"] and report["compared"] == 1
    assert bool(report["staleness"]) == (status == STALE)
    text = program("verify", "log", tmp_path / "log", "--policy", asks, *options)
    assert text.returncode == status and ("NOT PROVED" in text.stdout) == (status == STALE)


def test_a_session_log_needs_a_whole_ledger(tmp_path):
    with_session_log(tmp_path, 300, NOW)
    assert program("verify", "log", tmp_path / "log", "--key", KEY.vkey).returncode == GOOD
    investigate(tmp_path / "ledger", "2026-11-23T08:00:00Z", "2026-11-23T08:02:00Z", tmp_path / "bundle")
    done = program("verify", "log", tmp_path / "log", "--key", KEY.vkey, "--ledger", tmp_path / "bundle")
    assert done.returncode == UNKNOWN and "bundle" in done.stderr


def test_what_is_dated_in_the_future_stands_in_nobodys_way(tmp_path):
    """One of two dates a short head in the year 3000; the other one cosigned all of it just now."""
    log = long_log()
    asks = policy(tmp_path, f"witness w {WITNESS_KEY.vkey}\nwitness v {OTHER_KEY.vkey}\ngroup g any w v\nquorum g\n")
    head = log.head()
    log.write(tmp_path / "ledger", lines=OTHER_KEY.cosign(head, NOW), cosigned=log.cosigned(WITNESS_KEY, 32503680000, 10))
    status, report = verify(tmp_path / "ledger", "--policy", asks, key=None)
    assert status == GOOD and report["cosigned_size"] == 300, report
    log.write(tmp_path / "ledger", lines=OTHER_KEY.cosign(head, NOW) + WITNESS_KEY.cosign(head, 32503680000))
    status, report = verify(tmp_path / "ledger", "--policy", asks, key=None)
    assert status == GOOD and abs(report["cosigned_time_s"] - NOW) < 2, report


def test_the_range_of_a_bundle_is_cosigned_at_any_time(tmp_path, asks):
    log = long_log()
    log.write(tmp_path / "ledger", cosigned=log.cosigned(WITNESS_KEY, 978307200, 10))
    for second, status in ((5, GOOD), (40, STALE)):
        bundle = tmp_path / f"bundle{second}"
        at = f"2026-11-23T08:00:{second:02d}"
        investigate(tmp_path / "ledger", at, at, bundle)
        got, report = verify(bundle, "--policy", asks, key=None)
        assert got == status, report
    assert verify(tmp_path / "bundle5", "--policy", asks, "--max-age", "1d", key=None)[0] == STALE


def test_limits_are_numbers(honest, tmp_path):
    for words in (["--max-age", "soon"], ["--max-age", "1w"], ["--max-age", "-1"], ["--max-uncosigned", "3h"], ["--max-uncosigned", ""]):
        assert verify(tmp_path / "ledger", *words)[0] == UNKNOWN


# --- witnesses that sign with ML-DSA-44 ---

def ml_dsa_44(name):
    """A verifier key of type 06, and a line in its name: no program here can verify it."""
    blob = bytes([WITNESS_ML_DSA_44]) + b"k" * 1312
    key_id = sha256(name.encode() + b"\n" + blob)[:4]
    vkey = f"{name}+{key_id.hex()}+{base64.b64encode(blob).decode()}"
    return vkey, name_line(name, key_id, struct.pack(">Q", NOW) + b"s" * 2420)


def test_a_witness_of_another_kind_is_named_and_not_counted(tmp_path):
    log = long_log()
    vkey, line = ml_dsa_44("witness.example/pq")
    log.write(tmp_path / "ledger", lines=line * 6 + WITNESS_KEY.cosign(log.head(), NOW))
    both = f"witness w {WITNESS_KEY.vkey}\nwitness pq {vkey}\ngroup g %s w pq\nquorum g\n"
    status, report = verify(tmp_path / "ledger", "--policy", policy(tmp_path, both % "any"), key=None)
    assert status == GOOD, report
    assert [(w["name"], w["counted"], w["cosigned"]) for w in report["witnesses"]] == [("w", True, True), ("pq", False, False)]
    proved, _ = explained(tmp_path / "ledger", "--policy", tmp_path / "policy", key=None)
    assert "'pq' signs with ML-DSA-44" in proved
    status, report = verify(tmp_path / "ledger", "--policy", policy(tmp_path, both % "all"), key=None)
    assert status == FOUND and report["class"] == "cosignature"
    # Its key id must match its key like any other.
    damaged = vkey.replace("a2tra2tr", "a2tra2ts", 1)
    assert damaged != vkey
    assert verify(tmp_path / "ledger", "--policy", policy(tmp_path, (both % "any").replace(vkey, damaged)), key=None)[0] == UNKNOWN


# --- heads ---

def fork(log, size):
    """A head that the key signed for another history of this size."""
    other = Log(log.key)
    other.entries = log.entries[:size - 1] + [log.entries[size - 1].replace(b'"x"', b'"y"')]
    return other


@pytest.mark.parametrize("published", [25, 30])
def test_a_head_in_the_journal_is_a_head_like_the_others(tmp_path, published):
    log = long_log(30)
    honest = log.record(10, 10) + log.record(20, 10)
    log.write(tmp_path / "ledger", published=20, journal=honest)
    assert verify(tmp_path / "ledger")[0] == GOOD
    # Published meanwhile: the record is a copy of what the tiles hold.
    log.write(tmp_path / "ledger", published=published, journal=log.record(10, published - 10))
    assert verify(tmp_path / "ledger")[0] == GOOD
    log.write(tmp_path / "ledger", published=published, journal=log.record(10, 10, fork(log, 20).note()))
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] in ("head", "journal"), report
    forked = fork(log, 20)
    log.write(tmp_path / "ledger", published=published, journal=forked.record(10, 10))
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "head", report
    # Another history from before the record on: its entries do not make its head.
    forked.entries[9] = forked.entries[9].replace(b'"x"', b'"z"')
    log.write(tmp_path / "ledger", published=published, journal=forked.record(10, 10))
    assert verify(tmp_path / "ledger")[0] == FOUND
    # Without the key: other entries under the honest head.
    log.write(tmp_path / "ledger", published=published, journal=fork(log, 20).record(10, 10, log.note(20)))
    assert verify(tmp_path / "ledger")[0] == FOUND


def test_two_heads_of_one_size_are_a_fork(tmp_path):
    log = long_log(300)
    log.write(tmp_path / "ledger", cosigned=fork(log, 300).cosigned(WITNESS_KEY, NOW))
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "head" and "two histories" in report["finding"]


# --- legitimate cases ---

def test_a_newer_version_is_no_tampering(tmp_path):
    for more in ({"type": "admin_of_later", "body": {"admin": "root", "how": "console"}},
                 {"type": "admin_act", "body": {"act": "x", "admin": "root", "detail": "x", "reason": 7}},
                 {"type": "admin_act", "body": {"account": "x", "act": "x", "admin": "root", "detail": "x"}}):
        log = Log(KEY)
        log.start()
        log.acts(3)
        log.add(more["type"], "control", more["body"], "2026-11-23T08:10:00.000000Z")
        log.act("2026-11-23T08:10:00.000000Z")
        log.write(tmp_path / "ledger")
        status, said = verify(tmp_path / "ledger")
        assert status == UNKNOWN and "newer version of Plaingate" in said, said
        # A fault is reported all the same.
        log.write(tmp_path / "ledger", cosigned=fork(log, 4).cosigned(WITNESS_KEY, NOW))
        assert verify(tmp_path / "ledger")[0] == FOUND
        (tmp_path / "ledger/cosigned").unlink()
        tile = next((tmp_path / "ledger/tile/entries").glob("000.p/*"))
        tile.write_bytes(tile.read_bytes().replace(b"control", b"contro1", 1))
        assert verify(tmp_path / "ledger")[0] == FOUND
    for wrong in ({"type": "Admin", "body": {}}, {"type": "admin_act", "body": {"act": "x", "admin": "root"}},
                  {"type": "admin_act", "body": {"act": "x", "admin": "root", "detail": 7}},
                  {"type": "admin_act", "body": {"act": "x", "admin": "root", "detail": "x", "Reason": 7}}):
        log = Log(KEY)
        log.start()
        log.add(wrong["type"], "control", wrong["body"], "2026-11-23T08:10:00.000000Z")
        log.write(tmp_path / "ledger")
        status, report = verify(tmp_path / "ledger")
        assert status == FOUND and report["class"] == "entry", (wrong, report)


def test_a_copy_may_have_newer_heads_than_its_checkpoint(tmp_path):
    """Copied in an order other than that of writing: checkpoint before, `cosigned` and tiles after a publication."""
    log = long_log(300)
    log.write(tmp_path / "then", published=280)
    log.write(tmp_path / "ledger", cosigned=log.cosigned(WITNESS_KEY, NOW))
    for folder in ("tile/0/001.p", "tile/entries/001.p"):
        shutil.copytree(tmp_path / "then" / folder, tmp_path / "ledger" / folder, dirs_exist_ok=True)
    shutil.copy(tmp_path / "then/checkpoint", tmp_path / "ledger/checkpoint")
    seals = next((tmp_path / "ledger/seal").glob("*.seals"))
    log.epochs[0][1].records, log.epochs[0][1].index = b"", 0
    for size in (280, 300):
        log.epochs[0][1].seal(log.head(size), size, log.root(size))
    seals.write_bytes(log.epochs[0][1].records)
    status, report = verify(tmp_path / "ledger")
    assert status == GOOD and report["size"] == 300, report
    (tmp_path / "kept").write_text(log.note(300))
    (tmp_path / "ledger/cosigned").unlink()
    assert verify(tmp_path / "ledger", "--checkpoint", tmp_path / "kept")[0] == GOOD
    shutil.rmtree(tmp_path / "ledger/tile/entries/001.p")
    shutil.copytree(tmp_path / "then/tile/entries/001.p", tmp_path / "ledger/tile/entries/001.p")
    status, report = verify(tmp_path / "ledger", "--checkpoint", tmp_path / "kept")
    assert status == FOUND and report["class"] == "head" and "truncated" in report["finding"]


# --- what prevents reading ---

@contextlib.contextmanager
def web(folder, answers=None):
    """A server of the folder; answers: path -> a status, or a function that sends something else."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=str(folder))

        def do_GET(self):
            answer = (answers or {}).get(self.path)
            if callable(answer):
                with contextlib.suppress(OSError):
                    answer(self)
            elif answer:
                self.send_error(answer)
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


BROKEN = ["/tile/0/000", "/tile/entries/000", "/tile/entries/001.p/44", "/tile/1/000.p/1", "/journal"]


@pytest.mark.parametrize("path", [*BROKEN, "/cosigned", "/log.vkey", "/checkpoint"])
def test_a_part_that_is_not_served_is_no_tampering(tmp_path, path):
    log = long_log()
    log.write(tmp_path / "ledger", cosigned=log.cosigned(WITNESS_KEY, NOW, 40))
    with web(tmp_path / "ledger") as address:
        assert verify(address)[0] == GOOD
    with web(tmp_path / "ledger", {path: 500}) as address:
        status, said = verify(address)
        assert status == UNKNOWN and path[1:] in said and "500" in said, said


@pytest.mark.parametrize("path", BROKEN)
def test_a_finding_stands_whatever_is_not_served(tmp_path, path):
    log = long_log()
    log.write(tmp_path / "ledger", cosigned=fork(log, 256).cosigned(WITNESS_KEY, NOW))
    with web(tmp_path / "ledger", {path: 500}) as address:
        status, report = verify(address)
        assert status == FOUND and report["class"] == "head", report
    log.write(tmp_path / "ledger", cosigned=fork(log, 300).cosigned(WITNESS_KEY, NOW))
    everything = {f"/{file.relative_to(tmp_path / 'ledger')}": 500 for file in (tmp_path / "ledger/tile").rglob("*") if file.is_file()}
    with web(tmp_path / "ledger", everything) as address:
        assert verify(address)[0] == FOUND


def test_a_slow_server_holds_nobody_up(tmp_path):
    def slowly(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "8192")
        handler.end_headers()
        for _ in range(8192):
            handler.wfile.write(b"x")
            time.sleep(1 / 12)

    long_log().write(tmp_path / "ledger")
    begun = time.monotonic()
    with web(tmp_path / "ledger", {"/tile/0/000": slowly}) as address:
        status, said = verify(address)
    assert status == UNKNOWN and "too slow" in said and time.monotonic() - begun < 240  # of 680


def test_a_long_answer_is_not_taken(tmp_path):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 1000000)

    long_log().write(tmp_path / "ledger")
    with web(tmp_path / "ledger", {"/tile/0/000": endless}) as address:
        status, said = verify(address)
    assert status == UNKNOWN and "too long" in said


def test_what_is_long_by_right_is_taken(tmp_path):
    """A bundle that somebody unpacked and serves; a log that ended with a full disk."""
    log = Log(KEY)
    log.start()
    for _ in range(1500):
        log.act("2026-11-23T08:10:00.000000Z", detail="y" * 1200)
    log.write(tmp_path / "ledger")
    investigate(tmp_path / "ledger", "2026-11-23", "2026-11-23", tmp_path / "bundle")
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "bundle", "-C", tmp_path / "unpacked"], check=True)
    assert (tmp_path / "unpacked/timeline.html").stat().st_size > 1 << 20
    with web(tmp_path / "unpacked") as address:
        assert verify(address)[0] == GOOD
    recovered(tmp_path / "recovered", history=log, disk_size=1000, published=10)
    assert (tmp_path / f"recovered/before/{BEGAN}/journal").stat().st_size > 1 << 20
    with web(tmp_path / "recovered") as address:
        status, report = verify(address, key=LATER)
        assert status == GOOD and report["ended_logs_verified"] == 1, report


@pytest.mark.parametrize("path", ["tile", "tile/0", "tile/entries/000", "seal", "journal", "log.vkey"])
def test_no_part_of_a_ledger_is_elsewhere(tmp_path, path):
    long_log().write(tmp_path / "ledger")
    (tmp_path / "ledger" / path).rename(tmp_path / "elsewhere")
    (tmp_path / "ledger" / path).symlink_to(tmp_path / "elsewhere")
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "file" and "link" in report["finding"], report
    assert program("archive", tmp_path / "ledger", "--before", "2030-01-01", "--to", tmp_path / "archive").returncode != 0
    assert (tmp_path / "elsewhere").exists() and not list((tmp_path / "archive").glob("tile/**/000"))


# --- a log that began in a recovery ---

BEGAN = "20261123T090000Z"
LATER = Key(f"{KEY.name}/{BEGAN}", KEY.seed)
SEEN_AT = 1795424400


def recovered(folder, seen_size=40, disk_size=10, note=None, before=True, field=True, change=None, history=None, count=40,
              published=None):
    """The log that ended, cut back to disk_size, in before/; and the one that began when a witness showed seen_size entries."""
    first = long_log(count)
    disk = Log(KEY)
    disk.entries = (history or first).entries[:disk_size]
    disk.epochs = first.epochs if disk_size else []
    if note is None:
        note = first.cosigned(WITNESS_KEY, SEEN_AT, seen_size)
    body = {"archive": f"before/{BEGAN}", "disk_root": disk.root().hex(), "disk_size": disk_size, "origin": KEY.name,
            "seen_root": first.root(seen_size).hex(), "seen_size": seen_size, "seen_time": SEEN_AT, "witness": "w"}
    if field:
        body["seen_note"] = note
    body.update(change or {})
    log = Log(LATER)
    log.start(recovery=body)
    log.acts(5)
    log.write(folder, lines=WITNESS_KEY.cosign(log.head(), NOW))
    if before:
        disk.write(folder / "before" / BEGAN, published, journal=b"" if published is None else disk.record(published, disk_size - published))
        (folder / "before" / BEGAN / "seen").write_text(note)
    return log


@pytest.fixture
def asks_later(tmp_path):
    return policy(tmp_path, f"witness w {WITNESS_KEY.vkey}\nquorum w\n", log=LATER)


@pytest.mark.parametrize("options", [{}, {"field": False}, {"before": False}, {"disk_size": 0, "before": False}])
def test_a_recovery_is_shown_by_the_note_of_a_witness(tmp_path, asks_later, options):
    recovered(tmp_path / "ledger", **options)
    status, report = verify(tmp_path / "ledger", key=LATER)
    assert status == GOOD and report["recoveries"] == 1 and report["recovery_seen_size"] == 40, report
    assert not report["recovery_witnessed"] and report["ended_logs_verified"] == (options.get("before", True))
    status, report = verify(tmp_path / "ledger", "--policy", asks_later, key=None)
    assert status == GOOD and report["recovery_witnessed"], report
    proved, not_proved = explained(tmp_path / "ledger", "--policy", asks_later, key=None)
    assert "according to its entry, the disk did not continue" in proved and "what the log before this one contained" in not_proved


def test_a_disk_with_another_history_is_recovered_from(tmp_path, asks_later):
    """No older than what the witness saw, but not its continuation."""
    elsewhere = Log(KEY)
    elsewhere.start()
    elsewhere.acts(30, "2026-11-23T07:%02d:%02d.000000Z")
    for seen_size in (8, 10, 40):
        recovered(tmp_path / "ledger", history=elsewhere, seen_size=seen_size)
        status, report = verify(tmp_path / "ledger", "--policy", asks_later, key=None)
        assert status == GOOD and report["recovery_witnessed"] and report["ended_logs_verified"] == 1, report


def test_a_recovery_without_a_note_proves_nothing(tmp_path, asks_later):
    recovered(tmp_path / "ledger", field=False, before=False)
    status, report = verify(tmp_path / "ledger", key=LATER)
    assert status == GOOD and not report["recovery_witnessed"]
    proved, not_proved = explained(tmp_path / "ledger", key=LATER)
    assert "is shown" not in proved and "there is no note of a witness" in not_proved
    status, report = verify(tmp_path / "ledger", "--policy", asks_later, key=None)
    assert status == STALE and "recovery" in report["staleness"]


def test_a_witness_that_nobody_knows_shows_nothing(tmp_path, asks_later):
    recovered(tmp_path / "ledger", note=long_log(40).cosigned(OTHER_KEY, SEEN_AT, 40))
    assert verify(tmp_path / "ledger", key=LATER)[0] == GOOD
    assert verify(tmp_path / "ledger", "--policy", asks_later, key=None)[0] == STALE


def test_a_recovery_that_was_none_is_found(tmp_path, asks_later):
    ours, other = long_log(40), Key(KEY.name, b"o" * 32)
    stranger = Log(other)
    stranger.entries = ours.entries
    wrong_time = ours.note(40, WITNESS_KEY.cosign(ours.head(39), SEEN_AT))
    cases = [({"note": stranger.cosigned(WITNESS_KEY, SEEN_AT, 40)}, "not a signed head of"),  # not signed by this key
             ({"note": ours.cosigned(WITNESS_KEY, SEEN_AT, 39)}, "not what its fields state"),
             ({"change": {"seen_size": 100000}}, "not what its fields state"),
             ({"change": {"seen_note": "nothing\n"}}, "differs from its note"),
             ({"change": {"seen_note": "nothing\n"}, "before": False}, "not a signed head of"),
             ({"change": {"archive": "before/20261123T090001Z"}}, "does not match the log's name"),
             ({"change": {"origin": "plaingate/ledger/other"}}, "does not match the log's name"),
             ({"change": {"disk_size": 11}}, "another log"),
             ({"seen_size": 8}, "no reason for a recovery"),
             ({"seen_size": 10}, "no reason for a recovery")]
    for options, says in cases:
        recovered(tmp_path / "ledger", **options)
        status, report = verify(tmp_path / "ledger", key=LATER)
        assert status == FOUND and report["class"] == "recovery" and says in report["finding"], (options, report)
    recovered(tmp_path / "ledger", note=wrong_time)
    assert verify(tmp_path / "ledger", "--policy", asks_later, key=None)[0] == FOUND


def test_the_name_of_a_log_tells_of_its_recovery(tmp_path):
    log = Log(LATER)
    log.start()
    log.acts(3)
    log.write(tmp_path / "ledger")
    status, report = verify(tmp_path / "ledger", key=LATER)
    assert status == FOUND and report["class"] == "recovery" and report["entry"] == 1
    log = Log(KEY)
    log.start(recovery={"archive": f"before/{BEGAN}", "disk_root": "00" * 32, "disk_size": 0, "origin": KEY.name, "seen_note": "",
                        "seen_root": "00" * 32, "seen_size": 1, "seen_time": 1, "witness": "w"})
    log.write(tmp_path / "ledger")
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "recovery"


def test_what_is_wrong_with_a_log_that_ended_is_found(tmp_path):
    recovered(tmp_path / "ledger")
    tile = next((tmp_path / f"ledger/before/{BEGAN}/tile/entries").glob("000.p/*"))
    tile.write_bytes(tile.read_bytes().replace(b"control", b"contro1", 1))
    status, report = verify(tmp_path / "ledger", key=LATER)
    assert status == FOUND and report["class"] == "recovery" and f"before/{BEGAN}" in report["finding"]


def test_a_log_that_ended_is_read_as_a_whole_or_not_said_to_be(tmp_path, asks_later):
    """Its mark says that entries are in an archive; or somebody replaced it by a bundle."""
    recovered(tmp_path / "ledger", seen_size=880, disk_size=800, count=900)
    ended = tmp_path / "ledger/before" / BEGAN
    assert verify(tmp_path / "ledger", "--policy", asks_later, key=None)[1]["ended_logs_verified"] == 1
    investigate(ended, "2026-11-23T08:00:10", "2026-11-23T08:00:20", tmp_path / "bundle")
    for how in ("archived", "bundle"):
        if how == "archived":
            (ended / "archived").write_text("512\n")
            for name in ("000", "001"):
                (ended / "tile/entries" / name).unlink()
        else:
            shutil.rmtree(ended)
            ended.mkdir()
            subprocess.run(["tar", "-xf", tmp_path / "bundle", "-C", ended], check=True)
        status, report = verify(tmp_path / "ledger", "--policy", asks_later, key=None)
        assert status == GOOD and report["ended_logs_verified"] == 0 and report["ended_logs"] == 1, (how, report)
        _, not_proved = explained(tmp_path / "ledger", "--policy", asks_later, key=None)
        assert "are incomplete" in not_proved and "1 more logs in the directory" in not_proved


# --- one-time keys ---

def test_each_start_announces_its_one_time_keys(tmp_path):
    log = Log(KEY)
    log.start(seals=False)
    log.acts(5)
    log.write(tmp_path / "ledger")
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "seal" and report["entry"] == 1, report
    # Nothing is generated from such a ledger either.
    for words in (["verify", "randomness", tmp_path / "ledger"],
                  ["investigate", tmp_path / "ledger", "--from", "2026-11-23", "--to", "2026-11-23", "-o", tmp_path / "bundle"],
                  ["archive", tmp_path / "ledger", "--before", "2030-01-01", "--to", tmp_path / "archive"]):
        done = program(*words)
        assert done.returncode == FOUND and "announced no one-time keys" in done.stderr, (words, done.stdout)
    # Also those after the first.
    log = Log(KEY)
    log.start()
    log.acts(5)
    log.start("2026-11-23T09:00:00.000000Z", seals=False, boot="ff" * 16, mono=0)
    log.act("2026-11-23T09:00:01.000000Z", boot="ff" * 16)
    log.write(tmp_path / "ledger")
    status, report = verify(tmp_path / "ledger")
    assert status == FOUND and report["class"] == "seal" and report["entry"] == 8, report
