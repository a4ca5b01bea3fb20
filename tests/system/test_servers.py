"""Servers behind destination NAT whose health is checked: one that is killed gets no new connections within a bounded time, and gets them again
when it is back; sessions of a dead server stay, or end where the rule says so; without any server there is a reason for the drop."""
import socket
import threading
import time

import pytest
from kit import calm_time, config_of, connect, counter, drops, ledger_entries, own_lab, show, verify_ledger, wait_for

PUBLIC, PUBLIC6 = "198.51.100.77", "2001:db8:1::77"
FIRST, SECOND, FIRST6, SECOND6 = "10.1.0.10", "10.1.0.11", "fd00:1::10", "fd00:1::11"
CHECK = "health-check { interval 1; timeout 1; rise 2; fall 2; %s }"
BOUND = 2 * 2 + 2  # fall times interval and timeout, and a slow machine


def config(option="", option6=""):
    return config_of(
        "hq", ("address-book {\n", f"address-book {{ address published {{ prefix [ {PUBLIC} {PUBLIC6} ]; }}\n"),
        ("policy {\n", "policy { from untrust to trust { rule in { match { source any; destination any; application http; } then { permit; } } }\n"),
        ("nat {\n", f"""nat {{
    proxy-arp wan0 {{ address {PUBLIC}; }}
    proxy-ndp wan0 {{ address {PUBLIC6}; }}
    destination {{
        rule web {{ match {{ destination published; application http; }} then {{ destination-nat {FIRST}-{SECOND}; port 80; {CHECK % option} }} }}
        rule web6 {{ match {{ destination published; application http; }} then {{ destination-nat {FIRST6}-{SECOND6}; port 80; {CHECK % option6} }} }}
    }}
"""))


class Server:
    """Says who it is to each that connects, and echoes."""

    def __init__(self, lab, address):
        self.lab, self.address, self.peers = lab, address, []
        self.start()

    def start(self):
        self.socket = self.lab["host-a"].socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.address, 80))
        self.socket.listen(64)
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
                threading.Thread(target=self.echo, args=(peer,), daemon=True).start()
            except OSError:
                return

    def echo(self, peer):
        try:
            while data := peer.recv(4096):
                peer.sendall(self.address.encode() + b" " + data)
        except OSError:  # a health check closes by a reset
            pass

    def kill(self):
        """Its established connections go on."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("srv")
    two_sites.up("on")
    try:
        for address in (FIRST, SECOND):
            two_sites["host-a"].run(f"ip addr add {address}/24 dev eth0")
        for address in (FIRST6, SECOND6):
            two_sites["host-a"].run(f"ip addr add {address}/64 dev eth0 nodad preferred_lft 0")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def servers(lab):
    running = {address: Server(lab, address) for address in (FIRST, SECOND, FIRST6, SECOND6)}
    lab.commit("hq", config(), "servers")
    return running


def session(lab, address):
    s = connect(lab, "web", address, 80)
    assert isinstance(s, socket.socket), (s, drops(lab, "hq"))
    return s


def who(s):
    s.settimeout(20)
    s.sendall(b"?")
    return s.recv(100).decode().split()[0]


def states(lab):
    return {row["server"]: row["state"] for row in show(lab, "hq", "servers")}


def down(lab, *addresses):
    wanted = {f"[{address}]:80" if ":" in address else f"{address}:80" for address in addresses}
    begun = calm_time()
    wait_for(lambda: {server for server, state in states(lab).items() if state == "down"} == wanted, 20, f"{wanted} to be down: {states(lab)}")
    assert calm_time() - begun < BOUND
    time.sleep(0.1)


@pytest.mark.parametrize("public, first, second", [(PUBLIC, FIRST, SECOND), (PUBLIC6, FIRST6, SECOND6)])
def test_a_killed_server_gets_nothing_new(lab, servers, public, first, second):
    wait_for(lambda: len(states(lab)) == 4 and set(states(lab).values()) == {"up"}, 10, "all servers to be checked")
    old = session(lab, public)
    before = who(old)
    assert before in (first, second)
    other = second if before == first else first
    servers[before].kill()
    down(lab, before)
    assert [row["servers_down"] for row in show(lab, "hq", "nat") if row.get("rule") == ("web6" if ":" in public else "web")] == [1]
    for _ in range(4):
        with session(lab, public) as s:
            assert who(s) == other
    assert who(old) == before  # stays
    old.close()
    servers[before].start()
    down(lab)
    with session(lab, public) as s:
        assert who(s) == before  # the client's own again


def test_without_any_server(lab, servers):
    servers[FIRST].kill()
    servers[SECOND].kill()
    down(lab, FIRST, SECOND)
    assert not isinstance(connect(lab, "web", PUBLIC, 80, timeout=1.5), socket.socket)
    assert int(counter(lab, "hq", "nat-no-server")) > 0
    session(lab, PUBLIC6).close()
    servers[FIRST].start()
    down(lab, SECOND)
    with session(lab, PUBLIC) as s:
        assert who(s) == FIRST
    servers[SECOND].start()
    down(lab)
    of = [e["body"]["state"] for e in ledger_entries(lab, "hq") if e["type"] == "server_state" and e["body"]["server"].startswith(f"{SECOND}:")]
    assert of[-2:] == ["down", "up"]


def test_sessions_end_where_the_rule_says_so(lab, servers):
    lab.commit("hq", config("end-sessions;"), "end sessions")
    s, s6 = session(lab, PUBLIC), session(lab, PUBLIC6)
    first, first6 = who(s), who(s6)
    servers[first].kill()
    servers[first6].kill()
    down(lab, first, first6)
    assert who(s6) == first6
    s.settimeout(1.5)
    s.sendall(b"?")
    with pytest.raises(OSError):
        s.recv(10)
    servers[first].start()
    servers[first6].start()
    down(lab)


def test_a_new_data_plane_knows_it(lab, servers):
    with session(lab, PUBLIC) as s:
        first = who(s)
    servers[first].kill()
    down(lab, first)
    (pid,) = [row["pid"] for row in show(lab, "hq", "status") if row["process"] == "dataplane"]
    lab["hq"].run(f"kill -9 {pid}")
    wait_for(lambda: [row["pid"] for row in show(lab, "hq", "status")
                      if row["process"] == "dataplane" and row["state"] == "ready" and row["pid"] not in ("0", 0, pid)], 10, "a new data plane")
    with session(lab, PUBLIC) as s:
        assert who(s) not in ("", first)
    servers[first].start()
    down(lab)
    lab.commit("hq", config_of("hq"), "no servers")
    assert states(lab) == {}
