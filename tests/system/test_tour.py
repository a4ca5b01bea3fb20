"""What a new user does: the tour of quickstart shows what it sees, and ends with one sentence and a status if something is not as
expected; lab/exec and lab/down work."""
import os
import subprocess

import pytest
from kit import GATEWAYS, ROOT, config_of, own_lab, show


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgq")
    two_sites.up("on")
    try:
        yield two_sites
    finally:
        two_sites.down()


def command(lab, *words, **kwargs):
    env = dict(os.environ, PLAINGATE_LAB_PREFIX=lab.prefix)
    return subprocess.run([str(w) for w in words], env=env, capture_output=True, text=True, timeout=90, cwd=ROOT, **kwargs)


def test_tour(lab):
    done = command(lab, "lab/tour")
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("This page is served by host-b.", "This page is served by web.", "denied by the rule no-telnet", "established",
                 "ESP packets in UDP, none in clear", "hq $ plaingate verify ledger", "branch $ plaingate verify ledger"):
        assert text in done.stdout, f"{text!r} is missing in {done.stdout}"


def test_exec(lab):
    assert command(lab, "lab/exec", "hq", "hostname").stdout == "hq\n"
    assert command(lab, "lab/exec", "host-a", "sh", "-c", "exit 7").returncode == 7
    done = command(lab, "lab/exec", "nowhere", "true")
    assert done.returncode == 1 and "no machine is named nowhere; the lab has" in done.stderr


def test_tour_misses_the_rule(lab):
    text = config_of("hq", ("application telnet;\n            }\n            then {\n                reject;",
                            "application telnet;\n            }\n            then {\n                permit;"))
    lab.commit("hq", text, "telnet is permitted by mistake")
    try:
        done = command(lab, "lab/tour")
        assert done.returncode == 1 and "Not as expected: telnet should have been denied" in done.stderr, done.stdout + done.stderr
    finally:
        lab.commit("hq", config_of("hq"), "as before")


def test_tour_misses_a_page(lab):
    lab["host-b"].run("nginx -e stderr -c " + str(lab["host-b"].state / "nginx.conf") + " -s stop")
    try:
        done = command(lab, "lab/tour")
        assert done.returncode == 1 and "host-a could not fetch http://10.2.0.2/" in done.stderr, done.stdout + done.stderr
    finally:
        lab.start_web("host-b")


def test_tour_misses_an_entry(lab):
    """One octet of the branch's ledger is changed."""
    directory = lab["branch"].state / "lib/ledger"
    file = max((p for p in (directory / "tile/entries").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    data[data.index(b'"utc"') + 9] ^= 1
    mode = file.stat().st_mode
    file.chmod(0o600)
    file.write_bytes(data)
    file.chmod(mode)
    done = command(lab, "lab/tour")
    assert done.returncode == 1 and "Not as expected: the ledger of branch does not verify" in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("words", [("./quickstart", "--once"), ("lab/up", "two-sites"), ("lab/down",)])
def test_who_is_not_root_is_told(lab, words):
    nobody = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
    if command(lab, *nobody, "test", "-x", words[0]).returncode:
        pytest.skip("the project stands where only root can read")
    done = command(lab, *nobody, *words)
    assert done.returncode == 1 and "need root" in done.stderr, done


def test_wrong_words(lab):
    assert command(lab, "./quickstart", "--twice").returncode == 2
    assert command(lab, "lab/up", "three-sites").returncode == 2
    assert command(lab, "lab/exec", "hq").returncode == 1


def test_down_leaves_nothing(lab):
    holders = [node.holder() for node in lab.nodes.values()]
    assert all(holders) and show(lab, GATEWAYS[0], "status")
    assert command(lab, "lab/down").returncode == 0
    assert lab.prefix not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert not any(os.path.exists(f"/proc/{pid}/ns/pid") for pid in holders) and not lab.state.exists()
    assert command(lab, "lab/exec", "hq", "true").returncode == 1
