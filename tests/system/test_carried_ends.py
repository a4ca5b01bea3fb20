"""The end of connections that the kernel carries, stopped in its middle: between a FIN and its acknowledgement, half closed with data on its way, between
the second FIN and the last ACK, with both FINs at once. Then the data plane dies, or a commit comes. What the hosts see is as ever, and each connection
has one line in the log, with its reason and all that has come to the hosts."""
import itertools
import os
import re
import signal
import socket
import struct

import pytest
from kit import WEB, config_of, lab_by_workers, listener, processes, show, wait_for
from test_carried import is_back
from test_session_log import LOGGED, of

PORT = 5203
TIMES = ("    host-name hq;\n", "    host-name hq;\n    timeouts {\n        tcp-time-wait 1;\n        tcp-closed 1;\n    }\n")
CLOSES = LOGGED[0], LOGGED[1].replace("session-init;", "")
DENIES = CLOSES[0], CLOSES[1].replace(" iperf-tcp", "")
# What comes to a host, by the port of host-a; and FINs that come, but that it does not see.
COUNTED = """table ip t {{
    set counted {{ type inet_service; flags dynamic; size 9999; counter; }}
    chain counts {{ type filter hook prerouting priority -300; tcp {server} {port} update @counted {{ tcp {client} }}; }}
    chain hold {{ type filter hook input priority 0; }}
}}"""


def text(rule=CLOSES, name="to-internet"):
    return config_of("hq", TIMES, rule, ("rule to-internet", f"rule {name}"))


@pytest.fixture(scope="module")
def lab():
    with lab_by_workers("cre", 2) as two_sites:
        if next(row for row in show(two_sites, "hq", "status") if row["process"] == "offload")["state"] == "not available":
            pytest.skip("the kernel carries nothing here")
        two_sites.commit("hq", text(), "ends are logged")
        two_sites["host-a"].run(["nft", COUNTED.format(server="sport", port=PORT, client="dport")])
        two_sites["web"].run(["nft", COUNTED.format(server="dport", port=PORT, client="sport")])
        yield two_sites


@pytest.fixture(scope="module")
def server(lab):
    with listener(lab, "web", PORT) as s:
        s.listen(99)
        yield s


class Connection:
    """From host-a to web."""

    own_ports, seen_ports = itertools.count(20000), set()

    def __init__(self, lab, server, port=0):
        self.lab, again = lab, port != 0
        # Ports of its own on both sides of the translation: what is counted and logged is found by them.
        while True:
            self.connect(server, port or next(self.own_ports))
            if again or self.seen_port not in self.seen_ports:
                break
            self.close()
        self.seen_ports.add(self.seen_port)
        self.passes(self.client, self.server)
        self.passes(self.server, self.client)

    def connect(self, server, port):
        self.client = self.lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.client.bind(("", port))
        self.client.settimeout(20)
        self.client.connect((WEB, PORT))
        self.server, (_, self.seen_port) = server.accept()
        self.server.settimeout(20)
        self.port = port

    def passes(self, a, b):
        a.sendall(b"a piece of data")
        assert b.recv(99) == b"a piece of data"

    def ended(self, *sides):
        for s in sides:
            assert s.recv(9) == b""

    def close(self):
        self.client.close()
        self.server.close()

    def rows(self):
        return [r for r in show(self.lab, "hq", "sessions", "--proto", "tcp", "--dst", WEB) if r["src"].endswith(f":{self.port}")]

    def holds(self, name):
        self.lab[name].run(["nft", f"add rule ip t hold tcp {'sport' if name == 'web' else 'dport'} {self.at(name)} tcp flags & fin == fin counter drop"])

    def wait_held(self, name):
        wait_for(lambda: re.search(rf"port {self.at(name)} .*counter packets [1-9]", self.lab[name].run("nft list chain ip t hold").stdout), 10, f"a FIN to come to {name}")

    def at(self, name):
        return self.seen_port if name == "web" else self.port

    def came(self, name):
        """(packets, octets) that have come to this host."""
        found = re.search(rf"\b{self.at(name)} counter packets (\d+) bytes (\d+)", self.lab[name].run("nft list set ip t counted").stdout)
        return int(found[1]), int(found[2])

    def lines(self):
        return [line for line in of(self.lab, "session-close") if line["src_port"] == self.port]

    def is_logged(self, reason):
        wait_for(self.lines, 15, f"the line of its end: {self.rows()}")
        (line,) = self.lines()
        assert line["reason"] == reason
        assert (line["packets_forward"], line["bytes_forward"]) == self.came("web"), line
        assert (line["packets_reply"], line["bytes_reply"]) == self.came("host-a"), line


# Each stops once, where something happens.

def first_fin(c):
    c.holds("web")
    c.client.shutdown(socket.SHUT_WR)
    c.wait_held("web")
    yield
    c.ended(c.server)
    c.passes(c.server, c.client)
    c.server.close()
    c.ended(c.client)


def half_closed(c):
    c.client.shutdown(socket.SHUT_WR)
    c.ended(c.server)
    c.passes(c.server, c.client)
    yield
    c.passes(c.server, c.client)
    c.server.close()
    c.ended(c.client)


def second_fin(c):
    c.client.shutdown(socket.SHUT_WR)
    c.ended(c.server)
    c.holds("host-a")
    c.server.shutdown(socket.SHUT_WR)
    c.wait_held("host-a")
    yield
    c.ended(c.client)


def both_at_once(c):
    c.holds("host-a")
    c.holds("web")
    c.client.shutdown(socket.SHUT_WR)
    c.server.shutdown(socket.SHUT_WR)
    c.wait_held("host-a")
    c.wait_held("web")
    yield
    c.ended(c.client, c.server)


def stopped(lab, server):
    """[(connection, the rest of its end)], all of them carried."""
    all_ = [(Connection(lab, server), ends) for ends in (first_fin, half_closed, second_fin, both_at_once)]
    for c, _ in all_:
        wait_for(lambda c=c: c.passes(c.client, c.server) or any(r.get("carried") for r in c.rows()), 10, "it to be carried")
    rests = [(c, ends(c)) for c, ends in all_]
    for _, rest in rests:
        next(rest)
    return rests


def release(lab):
    for name in ("web", "host-a"):
        lab[name].run("nft flush chain ip t hold")


def go_on(lab, rests):
    release(lab)
    for c, rest in rests:
        assert next(rest, "over") == "over"
        c.close()
    for c, _ in rests:
        c.is_logged("tcp-fin")


@pytest.mark.parametrize("waits", [True, False], ids=["after", "meanwhile"])
def test_the_data_plane_dies(lab, server, waits):
    """They go on when there is another one, or in the two seconds of the former. Of those that were over before, the time is up when there is none."""
    rests = stopped(lab, server)
    over = [Connection(lab, server) for _ in range(10)]
    for c in over:
        c.server.close()
        c.ended(c.client)
        c.close()
    pid, restarts = processes(lab, "hq")["dataplane"]
    os.kill(pid, signal.SIGKILL)
    if waits:
        wait_for(lambda: is_back(lab, restarts), 15, "a new data plane")
    go_on(lab, rests)
    for c in over:
        c.is_logged("tcp-fin")
    wait_for(lambda: is_back(lab, restarts), 15, "a new data plane")


def test_a_commit_that_still_permits(lab, server):
    rests = stopped(lab, server)
    lab.commit("hq", text(name="renamed"), "by another name")
    go_on(lab, rests)
    assert {line["rule"] for c, _ in rests for line in c.lines()} == {"renamed"}


def test_a_commit_that_denies(lab, server):
    """Nothing more passes; in the log stands what had."""
    rests = stopped(lab, server)
    lab.commit("hq", text(DENIES), "no more")
    try:
        release(lab)
        for c, _ in rests:
            wait_for(lambda c=c: not c.rows(), 5, "its end")
            c.is_logged("policy-changed")
            c.close()
    finally:
        lab.commit("hq", text(), "again")


def test_resets_and_reuse(lab, server):
    """A reset in the middle of an end; and the addresses and ports again, at once."""
    reset, first = Connection(lab, server), Connection(lab, server)
    reset.client.shutdown(socket.SHUT_WR)
    reset.ended(reset.server)
    reset.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.server.close()
    with pytest.raises(ConnectionResetError):
        reset.client.recv(9)
    first.server.close()
    first.ended(first.client)
    first.close()
    again = Connection(lab, server, first.port)
    again.client.shutdown(socket.SHUT_WR)
    again.ended(again.server)
    again.close()
    wait_for(lambda: len(again.lines()) == 2, 15, "both lines")
    assert [line["reason"] for line in again.lines()] == ["reused", "tcp-fin"]
    assert sum(line["bytes_forward"] for line in again.lines()) == again.came("web")[1]
    assert sum(line["bytes_reply"] for line in again.lines()) == again.came("host-a")[1]
    reset.is_logged("tcp-reset")
