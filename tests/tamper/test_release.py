"""`plaingate verify release` against releases that tools/release makes, OpenSSH signs and plaingate-witness cosigns: what is whole is found whole,
and each way of passing off something else is refused by its name."""
import base64
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_verdicts import BUILD, FOUND, GOOD, UNKNOWN

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = BUILD / "src/cli/plaingate"
sys.path.insert(0, str(ROOT / "tools"))
from tlog import Key, Log, LogError, leaf_hash, root  # noqa: E402

ORIGIN = "releases.example/plaingate"
MAINTAINERS = ("one", "two", "three")


def run(*words, **kwargs):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, check=False, **kwargs)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def release_tool(*words, check=True):
    done = subprocess.run([ROOT / "tools/release", *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


class World:
    """Three maintainers of whom two must sign, a rebuilder, a stranger, a log, a witness, and releases of a small package."""

    def __init__(self, place):
        self.place = place
        for name in (*MAINTAINERS, "rebuilder", "stranger"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", place / name)
        self.log_key = place / "log.pem"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", self.log_key)
        self.vkey = release_tool("key", place / "log", "--origin", ORIGIN, "--key", self.log_key).stdout.strip()
        self.start_witness()
        (place / "policy").write_text(f"log {self.vkey}\nwitness w {self.witness_vkey}\nquorum w\n", encoding="utf-8")
        key = {name: (place / f"{name}.pub").read_text(encoding="utf-8").strip() for name in (*MAINTAINERS, "rebuilder")}
        (place / "signers").write_text("# of the test\nmaintainers 2\n" + "".join(f"maintainer {m} {key[m]}\n" for m in MAINTAINERS)
                                       + f"rebuilders 1\nrebuilder rebuilder {key['rebuilder']}\n", encoding="utf-8")

    def start_witness(self):
        witness = BUILD / "src/proc/witness/plaingate-witness"
        self.witness_vkey = run(witness, "--key", self.place / "witness.key", "--new-key", "witness.example/w").strip()
        said = self.place / "witness.log"
        with open(said, "wb") as out:
            self.witness = subprocess.Popen([witness, "--key", self.place / "witness.key", "--db", self.place / "witness.db", "--listen", "127.0.0.1:0",
                                             "--log", self.vkey], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not (found := re.search(rb"listening on 127\.0\.0\.1:(\d+)", said.read_bytes())):
            assert time.monotonic() < end and self.witness.poll() is None, said.read_bytes()
            time.sleep(0.02)
        self.witness_url = f"http://127.0.0.1:{int(found.group(1))}"

    def describe(self, number, name=None):
        made = self.place / (name or f"release-{number}")
        tree = self.place / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(f"Package: plaingate\nVersion: 0.{number}\nArchitecture: amd64\nMaintainer: nobody <nobody@example.net>\n"
                                             "Description: of a test\n", encoding="utf-8")
        shutil.copy(PROGRAM, tree / "usr/bin/plaingate")
        made.mkdir()
        run("dpkg-deb", "--root-owner-group", "--build", tree, made / f"plaingate_0.{number}_amd64.deb")
        (self.place / "source.tar").write_bytes(b"the source")
        release_tool("describe", made, "--number", number, "--commit", f"{number:040x}", "--source", self.place / "source.tar")
        return made

    def log(self, made, log="log", witness=True, check=True):
        return release_tool("log", self.place / log, "--origin", ORIGIN, "--key", self.log_key, "--add", made,
                            *(["--witness", self.witness_url] if witness else []), check=check)

    def sign(self, made, who, directory="signatures", name_space="plaingate-release", file=None):
        run("ssh-keygen", "-q", "-Y", "sign", "-n", name_space, "-f", self.place / who, made / "release.json")
        (made / directory).mkdir(exist_ok=True)
        shutil.move(made / "release.json.sig", made / directory / f"{file or who}.sig")

    def publish(self, number):
        made = self.describe(number)
        self.log(made)
        for who in MAINTAINERS[:2]:
            self.sign(made, who)
        self.sign(made, "rebuilder", "rebuilds", "plaingate-rebuild")
        return made

    def verify(self, made, *options):
        """(status, report) of the release; a text instead of a report where none could be made."""
        done = subprocess.run([PROGRAM, "verify", "release", made, "--policy", self.place / "policy", "--signers", self.place / "signers", "--json",
                               *map(str, options)], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout)[0] if done.stdout else done.stderr

    def refused(self, made, kind, words, *options):
        status, report = self.verify(made, *options)
        assert status == FOUND and report["class"] == kind and re.search(words, report["finding"]), (status, report)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("releases"))
    made.releases = [made.publish(number) for number in (1, 2, 3)]
    yield made
    made.witness.terminate()
    made.witness.wait(10)


@pytest.fixture
def copy(world, tmp_path):
    """Release 3, to be changed."""
    return shutil.copytree(world.releases[2], tmp_path / "copy")


def test_releases_that_are_whole(world):
    for number, made in enumerate(world.releases, start=1):
        status, report = world.verify(made)
        assert status == GOOD and report["class"] == "none" and report["finding"] == "", report
        assert report["number"] == number and report["maintainers"] == ["one", "two"] and report["rebuilders"] == ["rebuilder"], report
    done = run(PROGRAM, "verify", "release", world.releases[2], "--policy", world.place / "policy", "--signers", world.place / "signers", "--above", "2")
    assert "release 3, version 0.3" in done and "nothing is wrong" in done and "1 witnesses of your policy cosigned" in done, done


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy of the tree without git")
def test_the_source_is_that_of_the_commit(world, tmp_path):
    deb, = world.releases[0].glob("*.deb")
    shutil.copy(deb, tmp_path)
    release_tool("describe", tmp_path, "--number", 1)
    release = json.loads((tmp_path / "release.json").read_text(encoding="ascii"))
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", release["commit"]], capture_output=True, check=True).stdout
    assert release["source"] == hashlib.sha256(archive).hexdigest()


def test_an_older_number(world):
    world.refused(world.releases[1], "number", "release 2", "--above", 2)
    world.refused(world.releases[1], "number", "release 2", "--above", 3)


def test_one_maintainer_short(world, copy):
    (copy / "signatures/two.sig").unlink()
    world.refused(copy, "maintainers", "1 maintainers signed release 3, and 2 are needed")
    # the same one under two names is one
    shutil.copy(copy / "signatures/one.sig", copy / "signatures/two.sig")
    world.refused(copy, "maintainers", "1 maintainers")
    # a stranger, and a rebuilder, are no maintainers
    world.sign(copy, "stranger", file="two")
    world.refused(copy, "maintainers", "keys that nobody named")
    world.sign(copy, "rebuilder", file="two")
    world.refused(copy, "maintainers", "1 maintainers")
    # what was signed for another purpose is not signed for this one
    world.sign(copy, "two", name_space="plaingate-rebuild")
    world.refused(copy, "signature", "signatures/two.sig")
    world.sign(copy, "two")
    world.refused(copy, "number", "", "--above", 3)
    assert world.verify(copy)[0] == GOOD


def test_no_rebuilder(world, copy):
    (copy / "rebuilds/rebuilder.sig").unlink()
    world.refused(copy, "rebuilders", "0 rebuilders signed")
    world.sign(copy, "three", "rebuilds", "plaingate-rebuild")
    world.refused(copy, "rebuilders", "0 rebuilders signed")


def test_a_signature_over_another_release(world, copy):
    shutil.copy(world.releases[1] / "signatures/two.sig", copy / "signatures/two.sig")
    world.refused(copy, "signature", "two.sig' is not good")
    (copy / "signatures/two.sig").write_bytes(b"x" * 5000)
    world.refused(copy, "signature", "two.sig' is not good")


def test_other_files(world, copy):
    deb, = copy.glob("*.deb")
    whole = deb.read_bytes()
    for changed in (whole[:-1], whole + b"\n", whole[:-1] + bytes([whole[-1] ^ 1])):
        deb.write_bytes(changed)
        world.refused(copy, "files", re.escape(deb.name))
    deb.unlink()
    world.refused(copy, "files", "is missing")
    deb.symlink_to(world.releases[2] / deb.name)
    world.refused(copy, "files", "is missing")


def test_a_release_outside_the_log(world, copy):
    """Everything is signed, by everybody, and the log does not have it."""
    made = world.describe(4, "outside")
    for who in MAINTAINERS:
        world.sign(made, who)
    world.sign(made, "rebuilder", "rebuilds", "plaingate-rebuild")
    assert world.verify(made)[0] == UNKNOWN
    shutil.copy(copy / "release.tlog-proof", made)
    world.refused(made, "proof", "does not lead to the checkpoint's root")


def test_a_log_with_two_histories(world):
    """The log's key signs another history beside the first: the witness has cosigned one, and cosigns no other."""
    made = world.describe(4, "forked")
    for who in MAINTAINERS:
        world.sign(made, who)
    world.sign(made, "rebuilder", "rebuilds", "plaingate-rebuild")
    fork = Log(world.place / "fork", Key(ORIGIN, world.log_key))
    for entry in ((world.releases[0] / "release.json").read_bytes(), (world.releases[1] / "release.json").read_bytes()):
        fork.add(entry)
    refused = world.log(made, log="fork", check=False)
    assert refused.returncode == 1 and "status 4" in refused.stderr, refused
    world.log(made, log="fork", witness=False)
    world.refused(made, "proof", "quorum|cosigned")
    # the first history's cosignature beneath the second's head
    cosigned = (world.releases[2] / "release.tlog-proof").read_text(encoding="utf-8").rstrip("\n").split("\n")[-1]
    with open(made / "release.tlog-proof", "a", encoding="utf-8") as proof:
        proof.write(cosigned + "\n")
    world.refused(made, "proof", "")
    # a log of somebody else
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", world.place / "other.pem")
    other = Log(world.place / "other", Key(ORIGIN, world.place / "other.pem"))
    other.add((made / "release.json").read_bytes())
    (made / "release.tlog-proof").write_text(other.proof(0), encoding="utf-8")
    world.refused(made, "proof", "")


def test_every_octet_of_the_description(world, copy):
    """No octet of release.json can be another one."""
    text = (copy / "release.json").read_bytes()
    for at in sorted({*range(0, len(text), 97), *range(40), len(text) - 1}):
        (copy / "release.json").write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1:])
        status, report = world.verify(copy)
        assert status == FOUND and report["class"] in ("description", "proof"), (at, report)
    for changed in (text[:-1], text + b"\n", text[:40], b"", text.replace(b'"number":3', b'"number": 3'), text.replace(b'"number":3', b'"number":03')):
        (copy / "release.json").write_bytes(changed)
        world.refused(copy, "description", "octet")


def test_names_that_lead_elsewhere(world, copy):
    """Also when everybody signed and logged them."""
    for number, name in enumerate(("../passwd", "a/b", ".hidden"), start=10):
        made = world.place / f"elsewhere-{number}"
        made.mkdir()
        release = json.loads((copy / "release.json").read_bytes())
        release["files"][0]["name"], release["number"], release["down_to"] = name, number, number
        (made / "release.json").write_text(json.dumps(release, sort_keys=True, separators=(",", ":")) + "\n", encoding="ascii")
        (made / "release.tlog-proof").write_bytes((copy / "release.tlog-proof").read_bytes())
        world.refused(made, "description", "slash")


def test_what_makes_no_statement(world, copy, tmp_path):
    signers = (world.place / "signers").read_text(encoding="utf-8")
    one = signers.split("maintainer one ")[1].split("\n")[0]
    for text, words in (
            (signers.replace("maintainers 2", "maintainers 4"), "4 maintainers are needed, and there are 3"),
            (signers.replace("maintainers 2\n", ""), "no line 'maintainers N'"),
            (signers.replace("maintainers 2", "maintainers 0"), "no line 'maintainers N'"),
            (signers + f"maintainer again {one}\n", "line 8: the name or the key of 'again' stands there already, as 'one'"),
            (signers + "maintainer bad ssh-ed25519 AAAA\n", "line 8: the key of 'bad'"),
            (signers + "boss x\n", "line 8: it begins with none of"),
            (signers[:-1], "line feed is missing"),
    ):
        (tmp_path / "signers").write_text(text, encoding="utf-8")
        done = subprocess.run([PROGRAM, "verify", "release", copy, "--policy", world.place / "policy", "--signers", tmp_path / "signers"],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == UNKNOWN and words in done.stderr, (words, done)
    done = subprocess.run([PROGRAM, "verify", "release", copy], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == UNKNOWN and "--signers FILE" in done.stderr
    assert world.verify(tmp_path / "nothing")[0] == UNKNOWN
    (copy / "release.tlog-proof").unlink()
    assert world.verify(copy)[0] == UNKNOWN


@pytest.fixture
def small_log(world, tmp_path):
    """Of one entry, and not the world's."""
    tree = Log(tmp_path / "small", Key(ORIGIN, world.log_key))
    tree.add(b"one entry")
    return tree


def test_a_head_that_the_key_has_not_signed(world, small_log):
    """Nothing is added to it, and no witness hears of it."""
    checkpoint = small_log.dir / "checkpoint"
    text, _, line = checkpoint.read_text(encoding="utf-8").rpartition("\n\n")
    octets = bytearray(base64.b64decode(line.split(" ")[2]))
    octets[-1] ^= 1
    others = Key(ORIGIN, world.place / "log.pem")
    others.id = b"\0\0\0\0"
    for signatures in (f"\u2014 {ORIGIN} {base64.b64encode(octets).decode()}\n", others.note(text + "\n").rpartition("\n\n")[2], "", line.replace("\u2014", "-"),
                       line + "a line that is none\n"):
        checkpoint.write_text(f"{text}\n\n{signatures}", encoding="utf-8")
        with pytest.raises(LogError, match="not signed by the log's key"):
            Log(small_log.dir, small_log.key)
        with pytest.raises(LogError, match="no witness is asked"):
            small_log.cosign("http://127.0.0.1:1")


def test_what_a_witness_answers_is_signature_lines(small_log):
    """Anything else would stand in a note that is published."""
    answers, good = [], "\u2014 w.example/1 " + base64.b64encode(bytes(80)).decode() + "\n"

    class Witness(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[0].encode())

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Witness) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            before = (small_log.dir / "checkpoint").read_bytes()
            own = before.decode().rpartition("\n\n")[2]
            for body in ("", "\n", good[:-1], good + "\n", "\n" + good, good.replace("\u2014", "-"), good.replace("\u2014", "\u2013"), "another text\n\n" + good,
                         good.replace(" w", "  w"), "\u2014 w.example/1 AAAA\n", "\u2014 w.example/1 !!!!!!!!\n", own, good + own, good * 40):
                answers[:] = [body]
                with pytest.raises(LogError, match="signature lines"):
                    small_log.cosign(url)
                assert (small_log.dir / "checkpoint").read_bytes() == before, body
            for body in (good, good, good.replace("/1", "/2")):  # one line of each witness
                answers[:] = [body]
                small_log.cosign(url)
            assert (small_log.dir / "checkpoint").read_text(encoding="utf-8") == before.decode() + good + good.replace("/1", "/2")
            assert Log(small_log.dir, small_log.key).entries == [b"one entry"]
        finally:
            server.shutdown()
            thread.join()


def test_the_log_is_of_tiles_that_others_read(world):
    """Its head is that of its entries, and numbers only rise."""
    tree = Log(world.place / "log", Key(ORIGIN, world.log_key))
    assert [json.loads(entry)["number"] for entry in tree.entries] == [1, 2, 3]
    head = (world.place / "log/checkpoint").read_text(encoding="utf-8").split("\n")
    assert head[:2] == [ORIGIN, "3"] and base64.b64decode(head[2]) == root([leaf_hash(e) for e in tree.entries])
    again = world.log(world.releases[2], check=False)
    assert again.returncode == 0 and len(Log(world.place / "log", Key(ORIGIN, world.log_key)).entries) == 3
    assert "numbers rise" in world.log(world.describe(3, "another-3"), check=False).stderr
