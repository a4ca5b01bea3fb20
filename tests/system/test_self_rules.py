"""Policy to and from the gateway itself, with real clients: by a link the kernel's filter decides, by a tunnel the data plane, both by the
same rules."""
import contextlib
import json
import select
import socket

import pytest
from kit import HOST_A, HOST_B, WEB, config_of, connect, counter, ledger_entries, serving, show, wait_for

LAN, LAN6 = "10.1.0.1", "fd00:1::1"
RULES = """policy {
    from trust to self {
        rule admin { match { source admin; destination gateway; application ssh; } then { permit; session-limit 2; log { session-init; } } }
        rule no-ssh { match { source any; destination any; application ssh; } then { reject; log { session-init; } } }
        rule rated { match { source any; destination any; application rated; } then { permit; session-rate 2; } }
    }
    from vpn to self {
        rule branch { match { source branch-lan; destination any; application rated; } then { permit; count; } }
    }
    from self to untrust {
        rule web { match { source any; destination web; application http; } then { permit; } }
    }
    from self to vpn {
        rule ask { match { source any; destination any; application ping; } then { permit; } }
    }
"""
BOOK = """address-book {
    address admin { prefix 10.1.0.2; }
    address gateway { prefix 10.1.0.1; }
    address web { prefix WEB; }
""".replace("WEB", WEB)
APPLICATIONS = "applications {\n    application rated { protocol tcp; destination-port 5205; }\n"


@pytest.fixture()
def hq(lab):
    lab.commit("hq", config_of("hq", ("policy {\n", RULES), ("address-book {\n", BOOK), ("applications {\n", APPLICATIONS)), "rules to self")
    yield lab
    lab.commit("hq", config_of("hq"), "as before")
    lab.wait_for_tunnel()


def rule(lab, name):
    return next(row for row in show(lab, "hq", "policy") if row["rule"] == name)


def calls(lab, n, address, port, node="host-a", timeout=10):
    made = [connect(lab, node, address, port, timeout=timeout) for _ in range(n)]
    return [s for s in made if isinstance(s, socket.socket)], [s for s in made if not isinstance(s, socket.socket)]


def test_to_self(hq):
    with serving(hq, "hq", 22, 0), serving(hq, "hq", 5205, 0):
        made, _ = calls(hq, 2, LAN, 22)
        _, refused = calls(hq, 1, LAN, 22, timeout=0.5)
        assert len(made) == 2 and isinstance(refused[0], TimeoutError), "session-limit"
        _, refused = calls(hq, 1, LAN6, 22)
        assert isinstance(refused[0], ConnectionRefusedError), "rejected, by another address of the gateway"
        assert (rule(hq, "admin")["hits"], rule(hq, "no-ssh")["hits"]) >= (3, 1)
        asked = json.loads(hq["hq"].run(f"plaingate test policy --src {HOST_A} --dst {LAN} --proto tcp --dport 22 --json").stdout)[0]
        assert (asked["verdict"], asked["rule"], asked["rule_to"], asked["log"]) == ("permit", "admin", "self", "session-init")
        assert "rules begin again" in hq["hq"].run("plaingate clear hit-count").stdout
        assert (rule(hq, "admin").get("hits", 0), rule(hq, "admin")["counted_s"] < 30) == (0, True)
        assert any("clear hit-count" in json.dumps(e) for e in ledger_entries(hq, "hq")[-6:]), "it is in the ledger"
        for s in made:
            s.close()
        made = wait_for(lambda: calls(hq, 1, LAN, 22, timeout=1)[0], 10, "room again")
        with contextlib.ExitStack() as stack:
            at_once = [stack.enter_context(hq["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(20)]
            for s in at_once:
                s.setblocking(False)
                s.connect_ex((LAN, 5205))
            connected = wait_for(lambda: (found := select.select([], at_once, [], 0)[1])[1:] and found, 10, "two of them to be connected")
            assert len(connected) < 20, "session-rate"
        # By a tunnel there is a session.
        far, _ = calls(hq, 1, LAN, 5205, "host-b")
        assert far and rule(hq, "branch")["hits"] == 1
        row = next(row for row in show(hq, "hq", "sessions", "--dport", "5205"))
        assert (row["rule"], row["from"], row["to"]) == ("branch", "vpn", "host")
        assert not calls(hq, 1, LAN, 22, "host-b", timeout=0.5)[0], "the zone's host-inbound has no ssh"
        # A commit that closes it cuts off who is there; check tells who works by it.
        lab_text = config_of("hq", ("policy {\n", RULES.replace("rule admin {", "inactive: rule admin {")), ("address-book {\n", BOOK),
                             ("applications {\n", APPLICATIONS))
        (hq["hq"].state / "etc/try.conf").write_text(lab_text, encoding="utf-8")
        work = ["env", f"SSH_CONNECTION={HOST_A} 50000 {LAN} 22", "plaingate", "check", "/etc/plaingate/try.conf"]
        said = hq["hq"].run(work)
        assert f"the connection from {HOST_A} by which you work would not be admitted" in said.stdout + said.stderr
        hq.commit("hq", lab_text, "nobody")
        made[0].settimeout(0.5)
        made[0].shutdown(socket.SHUT_WR)
        with pytest.raises(TimeoutError):
            while made[0].recv(100):
                pass
    hq["host-a"].run(f"ping -c 1 -W 2 {LAN}")  # host-inbound, behind the rules


def test_from_self(hq):
    hq["hq"].run(f"curl -s -o /dev/null --max-time 3 http://{WEB}/")
    assert hq["hq"].run(f"ping -c 1 -W 1 {WEB}", check=False).returncode != 0
    assert not calls(hq, 1, WEB, 81, "hq", timeout=0.5)[0]
    hq["hq"].run(f"ping -c 1 -W 2 {HOST_B}")
    before = counter(hq, "hq", "default-deny")
    assert not calls(hq, 1, HOST_B, 80, "hq", timeout=0.5)[0]
    assert counter(hq, "hq", "default-deny") > before and rule(hq, "ask")["hits"] >= 1
    hq["host-a"].run(f"ping -c 1 -W 2 {HOST_B}")  # IKE and ESP are not asked
    assert hq["hq"].run(f"ping -c 1 -W 2 {HOST_A}").returncode == 0, "a zone without such rules"
