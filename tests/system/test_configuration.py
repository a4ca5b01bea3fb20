"""Commits: a valid one takes effect and is in the ledger before; an invalid one changes nothing."""
import hashlib
import os
import signal

import pytest
from kit import HOST_B, WEB, TcpStream, config_of, connect, hits, ledger_entries, listener, processes, show, verify_ledger, wait_for

BAD = {  # the original text, its replacement, the word in it that is wrong, the error message
    "syntax": ("zones {", "zones {{", "{", "found '{', expected one of: zone, }"),
    "unknown keyword": ("host-inbound [ ike ping ];", "host-inbounds [ ike ping ];", "host-inbounds",
                        "expected one of: description, interfaces, host-inbound, host-inbound-log, tcp-rst, session-limit, screen, tcp-loose, }; "
                        "did you mean 'host-inbound'?"),
    "unknown zone": ("from trust to vpn {", "from trust to nowhere {", "nowhere", "expected the name of a zone that exists"),
    "unknown application": ("application telnet;", "application telnets;", "telnets", "did you mean 'telnet'?"),
    "unknown address": ("source hq-lan;", "source hq-lam;", "hq-lam", "expected the name of an address that exists; did you mean 'hq-lan'?"),
    "bad prefix": ("prefix [ 10.1.0.0/24", "prefix [ 10.1.0.0/33", "10.1.0.0/33", "expected a prefix of at most 32 bits"),
    "given twice": ("host-name hq;", "host-name hq; host-name hq;", "host-name", "host-name is given twice, first in line 4"),
    "no proposal": ("proposals modern;", "proposals ancient;", "ancient", "expected the name of a proposal that exists"),
    "unfinished": ("zones {", "zones ", " ", "expected '{'"),
}


def place_of(text, changed, word):
    """Line and column of the word, at its last occurrence in the changed text."""
    at = text.index(changed) + changed.rindex(word) if word in changed else text.index(word, text.index(changed) + len(changed))
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def running(lab):
    return lab["hq"].run("plaingate show configuration").stdout


def try_commit(lab, text, comment="test"):
    file = lab["hq"].state / "etc/try.conf"
    file.write_text(text, encoding="utf-8")
    return lab["hq"].run(["plaingate", "commit", "/etc/plaingate/try.conf", "--comment", comment], check=False, timeout=20)


@pytest.mark.parametrize("name", list(BAD))
def test_bad_configuration_changes_nothing(lab, name):
    old, new, word, expected = BAD[name]
    before, text = running(lab), config_of("hq", (old, new))
    line, column = place_of(text, new, word)
    entries = len(ledger_entries(lab, "hq"))
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5206) as tcp:
        tcp.wait_flowing()
        done = try_commit(lab, text)
        tcp.wait_flowing()
    assert done.returncode == 1 and f"try.conf:{line}:{column}: " in done.stderr and expected in done.stderr, done.stderr
    assert running(lab) == before and not tcp.failure
    checked = lab["hq"].run("plaingate check /etc/plaingate/try.conf", check=False)
    assert checked.returncode == 1 and f"try.conf:{line}:{column}: " in checked.stderr, checked.stderr
    refused = [entry for entry in ledger_entries(lab, "hq")[entries:] if entry["type"] == "config_refused"]
    assert len(refused) == 1 and refused[0]["body"]["error"]


def test_a_good_one_acts_and_stands_in_the_ledger(lab):
    text = config_of("hq", ("host-name hq;", "host-name hq; # a comment that stays"))
    text = text.replace("rule no-telnet {\n            match {\n                source any;\n                destination any;\n                application telnet;",
                        "rule no-web {\n            match {\n                source any;\n                destination any;\n                application http;")
    assert "no-web" in text
    done = try_commit(lab, text, comment="no web any more")
    assert done.returncode == 0, done.stderr
    try:
        assert "no-web" in hits(lab, "hq") and "a comment that stays" in running(lab)
        assert lab["host-a"].run(f"curl -sS --max-time 3 http://{WEB}/", check=False).returncode != 0
        entry = [entry for entry in ledger_entries(lab, "hq") if entry["type"] == "config_commit"][-1]
        assert entry["body"]["comment"] == "no web any more" and entry["source"] == "control"
        assert entry["body"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    finally:
        assert try_commit(lab, config_of("hq")).returncode == 0
    assert "served by web" in lab["host-a"].run(f"curl -sS --max-time 5 http://{WEB}/").stdout
    verify_ledger(lab, "hq")


NOT_ONE_INTERFACE = {"empty": "", "comments": "# cut by a full disk\n/* and more */\n", "system": "system {\n    host-name hq;\n}\n",
                     "zones": "zones {\n    zone trust {\n        host-inbound ssh;\n    }\n}\n"}


def piped(lab, text, *command):
    """As a configuration generator would produce it."""
    return lab["hq"].run(["sh", "-c", 'printf %s "$1" | { shift; "$@"; }', "sh", text, "plaingate", *command, "-"], check=False)


def lan_reaches_ssh(lab):
    with listener(lab, "hq", 22):
        return not isinstance(connect(lab, "host-a", "10.1.0.1", 22, timeout=1.5), OSError)


@pytest.mark.parametrize("name", list(NOT_ONE_INTERFACE))
def test_nothing_is_closed_by_accident(lab, name):
    before, text = running(lab), NOT_ONE_INTERFACE[name]
    for command in ("check", "commit"):
        done = piped(lab, text, command)
        assert done.returncode == 1 and "no zone has an interface" in done.stderr and "--close-all" in done.stderr, done.stderr
    assert running(lab) == before and lan_reaches_ssh(lab)
    assert piped(lab, text, "check", "--close-all").returncode == 0


def test_all_is_closed_when_it_is_meant(lab):
    try:
        assert piped(lab, "# nothing, on purpose\n", "commit", "--close-all").returncode == 0
        assert not lan_reaches_ssh(lab)
        override, commit = [entry for entry in ledger_entries(lab, "hq") if entry["type"].startswith("config_")][-2:]
        assert (override["type"], commit["type"]) == ("config_override", "config_commit")
        assert override["body"]["option"] == "--close-all" and override["body"]["generation"] == commit["body"]["generation"]
        assert "everything would be closed" in override["body"]["warning"]
    finally:
        lab.commit("hq", config_of("hq"), "as it was")
    assert lan_reaches_ssh(lab)
    lab.wait_for_tunnel()


# One connection, held as sshd does, and the commit as its descendant, with an empty environment.
SSHD = """import os, socket, subprocess, sys
server = socket.create_server(("::", int(sys.argv[2])), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
connection, _ = server.accept()
done = subprocess.run(["env", "-i", "PATH=" + os.environ["PATH"], "sh", "-c", "plaingate commit /etc/plaingate/try.conf " + sys.argv[1] + "; exit $?"],
                      capture_output=True, text=True)
connection.sendall(f"{done.returncode} {done.stdout}{done.stderr}".encode())
"""


def commit_by_connection(lab, text, address, options="", port=22):
    (lab["hq"].state / "etc/try.conf").write_text(text, encoding="utf-8")
    with lab["hq"].popen(["/usr/bin/python3", "-c", SSHD, options, str(port)], stdout=-1, text=True) as sshd:
        assert sshd.stdout.readline() == "listening\n"
        connection = connect(lab, "host-a", address, port, timeout=5)
        assert not isinstance(connection, OSError), connection
        with connection:
            connection.settimeout(10)
            try:
                said = connection.recv(4096).decode()
            except TimeoutError:
                said = ""
        sshd.kill()
    return said


NO_SSH = ("host-inbound [ ping ssh ];", "host-inbound ping;")


@pytest.mark.parametrize("address", ["10.1.0.1", "fd00:1::1"])
@pytest.mark.parametrize("change, why", [(NO_SSH, "zone 'trust' does not open TCP port 22"), (("interfaces lan0;", "interfaces lan9;"), "interface lan0 is in no zone")],
                         ids=["service", "interface"])
def test_who_commits_is_not_cut_off_by_accident(lab, address, change, why):
    before = running(lab)
    said = commit_by_connection(lab, config_of("hq", change), address)
    assert said.startswith("1 ") and why in said and "--cut-off" in said, said
    assert running(lab) == before
    said = commit_by_connection(lab, config_of("hq", ("dpd 10;", "dpd 11;")), address)
    assert said.startswith("0 "), said
    lab.commit("hq", config_of("hq"), "as it was")


def test_sshd_on_a_port_that_own_connections_begin_from(lab):
    """It is distinguished from those by who began the connection, not by its port."""
    lab.commit("hq", config_of("hq", ("host-inbound [ ping ssh ];", "host-inbound [ ping tcp/33022 ];")), "ssh elsewhere")
    try:
        said = commit_by_connection(lab, config_of("hq"), "10.1.0.1", port=33022)
        assert said.startswith("1 ") and "zone 'trust' does not open TCP port 33022" in said, said
    finally:
        lab.commit("hq", config_of("hq"), "as it was")


def test_who_commits_is_cut_off_when_it_is_meant(lab):
    commit_by_connection(lab, config_of("hq", NO_SSH), "10.1.0.1", "--cut-off")
    assert "host-inbound ping;\n    }\n    zone untrust" in running(lab)
    override = [entry for entry in ledger_entries(lab, "hq") if entry["type"] == "config_override"][-1]
    assert override["body"]["option"] == "--cut-off" and "10.1.0.2" in override["body"]["warning"]
    # At the console nobody is cut off.
    lab.commit("hq", config_of("hq"), "as it was")
    lab.commit("hq", config_of("hq", NO_SSH), "no ssh")
    lab.commit("hq", config_of("hq"), "as it was")


def test_ssh_connection_says_it_where_the_socket_is_not_found(lab):
    (lab["hq"].state / "etc/try.conf").write_text(config_of("hq", NO_SSH), encoding="utf-8")
    for connection, refused in (("10.1.0.2 40000 10.1.0.1 22", True), ("192.0.2.9 40000 192.0.2.200 22", False)):  # the other one is not this host's
        done = lab["hq"].run(["env", f"SSH_CONNECTION={connection}", "plaingate", "commit", "/etc/plaingate/try.conf"], check=False)
        assert (done.returncode != 0) == refused and ("no longer be admitted" in done.stderr) == refused, done.stderr
    lab.commit("hq", config_of("hq"), "as it was")


def test_what_is_not_confirmed_is_taken_back(lab):
    """Locked out by the first commit, and by a second one that was meant to repair it."""
    hq = lab["hq"]
    first, second = config_of("hq", NO_SSH), config_of("hq", NO_SSH, ("dpd 10;", "dpd 12;"))
    (hq.state / "etc/try.conf").write_text(first, encoding="utf-8")
    done = hq.run(["plaingate", "commit", "/etc/plaingate/try.conf", "--confirm-within", "1"])
    assert "plaingate confirm" in done.stdout and not lan_reaches_ssh(lab)
    assert try_commit(lab, second).returncode == 0
    os.kill(processes(lab, "hq")["control"][0], signal.SIGKILL)
    wait_for(lambda: lan_reaches_ssh(lab), 80, "what ran before", pause=1)
    assert running(lab).strip() == config_of("hq").strip()
    back = [entry["body"] for entry in ledger_entries(lab, "hq") if entry["type"] == "config_commit"][-1]
    assert back["admin"] == "" and "was not confirmed within 1 min" in back["comment"]
    assert hq.run("plaingate confirm", check=False).returncode == 1


def test_every_mistake_of_a_text_is_named(lab):
    text = config_of("hq", ("host-name hq;", "host-nam hq;"), ("interfaces wan0;", "interface wan0;"), ("dpd 10;", "dpd 10s;"))
    done = try_commit(lab, text)
    assert done.returncode == 1 and [word for word in ("host-nam", "interface", "10s") if f"found '{word}'" in done.stderr] == ["host-nam", "interface", "10s"]
    assert all(line.startswith("plaingate: try.conf:") for line in done.stderr.splitlines()), done.stderr


def test_what_is_valid_and_without_effect_is_warned_of(lab):
    text = config_of("hq", ("interfaces lan0;", "interfaces [ lan0 lan77 ];"), ("pre-shared-key hq-branch;", "pre-shared-key nobody;"),
                     ("local-address 198.51.100.2;", "local-address 198.51.100.9;"))
    file = lab["hq"].state / "etc/try.conf"
    file.write_text(text, encoding="utf-8")
    try:
        for command in ("check", "commit"):
            done = lab["hq"].run(["plaingate", command, "/etc/plaingate/try.conf"])
            assert "interface lan77 of zone 'trust' does not exist" in done.stderr, done.stderr
            assert "the key of peer 'branch', /etc/plaingate/keys/nobody.psk, does not exist" in done.stderr, done.stderr
            assert "local-address 198.51.100.9 of peer 'branch' is on no interface of this machine" in done.stderr, done.stderr
    finally:
        lab.commit("hq", config_of("hq"), "as it was")
    assert not lab["hq"].run(["plaingate", "check", "/etc/plaingate/hq.conf"]).stderr
    lab.wait_for_tunnel()


POOL = ("                source-nat interface;", "                source-nat 198.51.100.200/30;")
PUBLISHED = ("nat {", "nat { static { rule one { from untrust; match { destination 198.51.100.30; } then { static-nat 10.1.0.2; } } }")


def test_addresses_that_nobody_answers_for_are_warned_of(lab):
    """Of a pool and a published address in the network of wan0; a router in none of its networks; metrics at somebody else's address."""
    def warnings(*changes):
        (lab["hq"].state / "etc/try.conf").write_text(config_of("hq", *changes), encoding="utf-8")
        said = lab["hq"].run(["plaingate", "check", "/etc/plaingate/try.conf"]).stderr
        return [line.partition("try.conf: ")[2].partition(":")[0] for line in said.splitlines()]

    answered = " is in the network of wan0, and its addresses are neither this machine's nor named by proxy-arp"
    assert warnings(POOL, PUBLISHED) == ["198.51.100.200/30 of source NAT rule 'internet'" + answered,
                                         "198.51.100.30/32 of static NAT rule 'one'" + answered]
    assert not warnings(POOL, (PUBLISHED[0], PUBLISHED[1] + " proxy-arp wan0 { address [ 198.51.100.30 198.51.100.200/29 ]; }"))
    # What is routed to the gateway is in none of its networks, and an address of its own is its own.
    assert not warnings((POOL[0], "                source-nat [ 192.0.2.200/30 198.51.100.2 ];"))
    uplink = "uplinks { uplink u { interface wan0; next-hop %s; probe 192.0.2.80; } }\n\npolicy {"
    assert warnings(("policy {", uplink % "203.0.113.1")) == ["next-hop 203.0.113.1 of uplink 'u' is in no network of wan0"]
    assert not warnings(("policy {", uplink % "198.51.100.1"))
    metrics = ("host-name hq;", "host-name hq; metrics { listen 10.1.0.99; port 9105; }"), ("host-inbound [ ping ssh ]", "host-inbound [ ping ssh tcp/9105 ]")
    assert warnings(*metrics) == ["listen 10.1.0.99 of metrics is on no interface of this machine"]


def test_sessions_and_tunnels_outlive_a_commit(lab):
    lab.wait_for_tunnel()
    spis = {row["spi_in"] for row in show(lab, "hq", "ipsec")}
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5207) as tcp:
        tcp.wait_flowing()
        assert try_commit(lab, config_of("hq", ("dpd 10;", "dpd 11;"))).returncode == 0
        tcp.wait_flowing()
        assert try_commit(lab, config_of("hq")).returncode == 0
        tcp.wait_flowing()
    assert not tcp.failure and tcp.longest_silence() < 1
    assert spis & {row["spi_in"] for row in show(lab, "hq", "ipsec")}


def test_commit_is_for_root(lab):
    """The user nobody may not even use show."""
    file = lab["hq"].state / "etc/try.conf"
    file.write_text(config_of("hq"), encoding="utf-8")
    before = running(lab)
    done = lab["hq"].run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "/usr/libexec/plaingate/plaingate",
                          "commit", "-"], check=False)
    assert done.returncode != 0 and running(lab) == before


def test_ledger_tells_the_story(lab):
    for gateway in ("hq", "branch"):
        entries = ledger_entries(lab, gateway)
        kinds = [entry["type"] for entry in entries]
        assert kinds.index("config_commit") < kinds.index("sa_install"), "the configuration came before the tunnel"
        assert {"ledger_start", "process_start", "ike_sa_up", "sa_install"} <= set(kinds)
        if gateway == "hq":  # the initiator authenticates first, to a peer that has not authenticated itself yet
            assert kinds.index("key_used") < kinds.index("ike_sa_up")
        starts = {entry["body"]["process"]: entry["body"]["sha256"] for entry in entries if entry["type"] == "process_start"}
        assert set(starts) >= {"keeper", "ike", "dataplane", "control"} and all(len(sha) == 64 for sha in starts.values())
        for process, sha256 in starts.items():
            name = "plaingated" if process == "supervisor" else f"plaingate-{process}"
            assert hashlib.sha256((lab.state / "bin" / name).read_bytes()).hexdigest() == sha256, process


def test_changed_ledger_is_found(lab):
    """A copy with one octet changed in an entry does not verify, and the entry is named."""
    directory = show(lab, "hq", "ledger")[0]["directory"]
    lab["hq"].run(f"cp -r {directory} /var/lib/plaingate/copy")
    try:
        assert lab["hq"].run("plaingate verify ledger /var/lib/plaingate/copy", check=False).returncode == 0
        copy = lab["hq"].state / "lib/copy"
        file = sorted((copy / "tile/entries").rglob("*"))[-1]
        file = file if file.is_file() else sorted(p for p in (copy / "tile/entries").rglob("*") if p.is_file())[-1]
        data = bytearray(file.read_bytes())
        at = data.index(b'"type"') + 8
        data[at] ^= 1
        file.chmod(0o600)
        file.write_bytes(data)
        done = lab["hq"].run("plaingate verify ledger /var/lib/plaingate/copy", check=False)
        assert done.returncode == 1 and any(c.isdigit() for c in done.stdout + done.stderr), done.stdout + done.stderr
    finally:
        lab["hq"].run("rm -rf /var/lib/plaingate/copy")
