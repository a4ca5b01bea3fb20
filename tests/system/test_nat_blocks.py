"""Blocks of ports by inside host, with real clients: deterministic and dynamic ones, with one worker and with two. The server says whom it sees, and the log
alone must say which host that was."""
import json
import os
import re
import signal
import socket
import threading
import time

import pytest
from kit import HQ_WAN, WEB, LabError, config_of, counter, drops, own_lab, processes, show, wait_for

POOL, FIXED = "192.0.2.128/31", "192.0.2.136/30"
BLOCK, PER_HOST, RECYCLE = 64, 2, 6
FIRST, SECOND, THIRD, MAPPED = "10.1.0.21", "10.1.0.22", "10.1.0.23", "10.1.0.77"
NAT = ("nat {\n    source {\n", f"""nat {{
    source {{
        rule dynamic {{ from trust; to untrust; match {{ source dynamic-inside; }} then {{ source-nat {POOL}; ports 41000-41999; port-block-size {BLOCK};
            maximum-blocks-per-host {PER_HOST}; block-recycle-timeout {RECYCLE}; }} }}
        rule fixed {{ from trust; to untrust; match {{ source fixed-inside; }} then {{ source-nat {FIXED}; ports 42000-42999; port-block-size 200;
            host-address-base 10.1.0.64/28; }} }}
""")
BOOK = ("address-book {\n", """address-book {
    address dynamic-inside { range 10.1.0.20-10.1.0.39; }
    address fixed-inside { prefix 10.1.0.64/28; }
""")
APPLICATIONS = ("applications {\n", "applications {\n    application seen { protocol udp; destination-port 5201-5299; }\n")
POLICY = ("application [ http https dns ping", "application [ seen http https dns ping")
LINE = re.compile(r"nat-block-(allocated|released) nat-rule=(\S+) from=trust src=(\S+) nat-src=(\S+) nat-ports=(\d+)-(\d+) block=(\d+)")


@pytest.fixture(scope="module", params=[1, 2], ids=lambda n: f"{n} workers")
def lab(request):
    two_sites = own_lab("snb")
    two_sites.workers = request.param
    two_sites.up("on")
    try:
        two_sites.commit("hq", config_of("hq", BOOK, NAT, APPLICATIONS, POLICY), "blocks")
        two_sites["internet"].run(f"ip route add 192.0.2.128/28 via {HQ_WAN}")
        two_sites["web"].run("ip route add 192.0.2.128/25 via 192.0.2.1")
        for address in (FIRST, SECOND, THIRD, MAPPED):
            two_sites["host-a"].run(f"ip addr add {address}/24 dev eth0")
        yield two_sites
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def server(lab):
    """A UDP server at web that answers with the address and port that it sees."""
    s = lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 5201))

    def serve():
        while True:
            try:
                _, peer = s.recvfrom(2048)
                s.sendto(f"{peer[0]} {peer[1]}".encode(), peer)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield s
    s.close()


def client(lab, source, port=0):
    s = lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.bind((source, port))
    s.connect((WEB, 5201))
    return s


def ask(s):
    """(address, port) as the server sees this socket; None: no answer."""
    try:
        s.send(b"who")
        address, at = s.recv(200).decode().split()
    except TimeoutError:
        return None
    return address, int(at)


def records(lab):
    """(event, host, address, first, last, block) of each record of the log, in its order."""
    text = (lab["hq"].state / "plaingated.log").read_text(errors="replace")
    return [(event, host, address, int(first), int(last), int(block)) for event, _, host, address, first, last, block in LINE.findall(text)]


def allocations(lab):
    """How many; a block of an earlier test may be given back at any time."""
    return sum(event == "allocated" for event, *_ in records(lab))


def held(lab):
    """{(address, first, last): host} after the last record: what an operator reads from the log."""
    now = {}
    for event, host, address, first, last, _ in records(lab):
        if event == "allocated":
            assert all(a != address or l < first or f > last for a, f, l in now), f"{address} {first}-{last} was given twice: {records(lab)}"
            now[address, first, last] = host
        else:
            assert now.pop((address, first, last)) == host
    return now


def who(lab, seen):
    """The host that has this address and port by the log, whose line is written soon after the packet has left; None: nobody."""
    address, port = seen
    until = time.monotonic() + 20
    while True:
        found = [host for (a, first, last), host in held(lab).items() if a == address and first <= port <= last]
        if found or time.monotonic() > until:
            return found[0] if found else None
        time.sleep(0.05)


def blocks(lab, *options):
    return json.loads(lab["hq"].run(["plaingate", "show", "nat", "blocks", "--json", *options]).stdout)


def close(sockets):
    for s in sockets:
        s.close()


def test_the_log_names_the_host_of_every_connection(lab, server):
    sockets = [(source, client(lab, source)) for _ in range(12) for source in (FIRST, SECOND)]
    seen = [(source, ask(s)) for source, s in sockets]
    assert all(at for _, at in seen), drops(lab, "hq")
    for source, at in seen:
        assert who(lab, at) == source, f"{source} was seen as {at}: {records(lab)}"
    for source in (FIRST, SECOND):
        assert len({at[0] for s, at in seen if s == source}) == 1, "a host has two addresses"
        assert len([h for h in held(lab).values() if h == source]) == 1, "24 sessions need one block of a host"
        address, port = next(at for s, at in seen if s == source)
        rows = blocks(lab, "--nat-src", address, "--nat-port", str(port))
        assert [(row["type"], row["src"]) for row in rows] == [("dynamic", source)]
        rows = show(lab, "hq", "sessions", "--nat-src", address, "--nat-port", str(port))
        assert [row["src"].split(":")[0] for row in rows] == [source]
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -I {FIRST} {WEB}")
    row = next(row for row in show(lab, "hq", "nat") if row["rule"] == "dynamic")
    assert int(row["blocks"]) == 2 and counter(lab, "hq", "nat-blocks-now") == 2
    close(s for _, s in sockets)


def test_deterministic_blocks(lab, server):
    sockets = [client(lab, MAPPED) for _ in range(20)]
    for s in sockets:
        address, port = ask(s)  # host 13 of the prefix, 5 blocks of an address
        assert address == "192.0.2.138" and 42600 <= port <= 42799, drops(lab, "hq")
        rows = blocks(lab, "--nat-src", address, "--nat-port", str(port))
        assert [(row["type"], row["src"], row["ports"]) for row in rows] == [("deterministic", MAPPED, "42600-42799")]
    assert MAPPED not in held(lab).values(), "deterministic blocks need no record"
    assert len(blocks(lab, "--src", "10.1.0.64/30")) == 4
    close(sockets)


def test_limit_of_a_host(lab, server):
    lab["hq"].run("plaingate clear sessions")
    before, sockets = counter(lab, "hq", "nat-block-limit"), []
    for _ in range(BLOCK * PER_HOST):
        sockets.append(client(lab, THIRD))
        assert ask(sockets[-1]), f"session {len(sockets)} of {BLOCK * PER_HOST}: {drops(lab, 'hq')}"
    more = [client(lab, THIRD) for _ in range(3)]
    for s in more:
        s.settimeout(0.5)
    assert [ask(s) for s in more] == [None] * 3
    assert counter(lab, "hq", "nat-block-limit") >= before + 3
    wait_for(lambda: len([h for h in held(lab).values() if h == THIRD]) == PER_HOST, 3, "the records")
    other = client(lab, SECOND)
    assert who(lab, ask(other)) == SECOND, "another host is not concerned"
    log = (lab["hq"].state / "plaingated.log").read_text(errors="replace")
    assert re.search(rf"nat-block-limit nat-rule=dynamic .* src={re.escape(THIRD)}:", log), "the log does not name the host"
    close(sockets + more + [other])


def test_blocks_come_back(lab, server):
    assert THIRD in held(lab).values()
    lab["hq"].run("plaingate clear sessions")
    cleared = time.monotonic()
    time.sleep(RECYCLE / 2)
    still = held(lab).values()
    if time.monotonic() < cleared + RECYCLE - 1:  # else the machine is too slow to see it
        assert THIRD in still, "a block stays its host's for block-recycle-timeout"
    # The first block of a host is given back after the others.
    wait_for(lambda: not held(lab), 3 * RECYCLE + 5, "the records of the release")
    assert counter(lab, "hq", "nat-blocks-now") == 0 and not blocks(lab, "--nat-src", POOL)
    assert counter(lab, "hq", "nat-block-records-lost") == 0
    again = client(lab, THIRD)
    assert who(lab, ask(again)) == THIRD
    again.close()


def test_death_of_the_data_plane(lab, server):
    sockets = [(source, client(lab, source)) for _ in range(6) for source in (FIRST, SECOND)]
    before = [ask(s) for _, s in sockets]
    wait_for(lambda: {FIRST, SECOND} <= set(held(lab).values()), 10, "the log to have both hosts' blocks")
    allocated = allocations(lab)
    pid, restarts = processes(lab, "hq")["dataplane"]
    os.kill(pid, signal.SIGKILL)

    def is_back():
        try:
            row = next(row for row in show(lab, "hq", "status") if row["process"] == "dataplane")
        except LabError:
            return False
        return row["state"] == "ready" and int(row["restarts"]) > restarts

    wait_for(is_back, 15, "a new data plane", pause=0.02)
    # Whoever comes now gets another block than those that the new process has not looked at yet.
    third = wait_for(lambda: ask(new) if (new := client(lab, THIRD)) else None, 10, "a session of a third host", pause=0.1)
    for (source, s), was in zip(sockets, before):
        assert wait_for(lambda s=s: ask(s), 10, "an answer", pause=0.1) == was, "the mapping has changed"
        assert who(lab, was) == source
    wait_for(lambda: counter(lab, "hq", "sessions-to-adopt") == 0, 10, "all to be adopted")
    assert who(lab, third) == THIRD
    now = held(lab)  # no block was given twice
    for source in (FIRST, SECOND):
        fresh = client(lab, source)
        assert who(lab, ask(fresh)) == source and held(lab) == now, "a new session has another block"
        fresh.close()
    assert allocations(lab) <= allocated + 1, "blocks that stay are not written again"
    assert {(row["nat_src"], row["ports"], row["src"]) for row in blocks(lab) if row["type"] == "dynamic"} \
        == {(address, f"{first}-{last}", host) for (address, first, last), host in held(lab).items()}
    close(s for _, s in sockets)


def test_a_commit_that_changes_the_size(lab, server):
    s = client(lab, FIRST)
    was = ask(s)
    lab.commit("hq", config_of("hq", BOOK, (NAT[0], NAT[1].replace(f"port-block-size {BLOCK};", "port-block-size 128;")), APPLICATIONS, POLICY), "larger")
    assert ask(s) == was and who(lab, was) == FIRST, "a session keeps its address and port, and its block"
    fresh = client(lab, FIRST)
    at = ask(fresh)
    assert who(lab, at) == FIRST and any(last - first == 127 and host == FIRST for (_, first, last), host in held(lab).items())
    close([s, fresh])
