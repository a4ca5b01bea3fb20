"""Pools of source NAT with real clients: a prefix as the pool, ports that are kept, prefix to prefix, parity of ports. The server says whom it sees."""
import ipaddress
import socket
import threading

import pytest
from kit import HQ_WAN, WEB, config_of, counter, drops, own_lab, show, verify_ledger

HQ_WAN6, WEB6 = "2001:db8:1::2", "2001:db8:80::80"
POOL, KEPT, TO, TO6 = "192.0.2.128/28", "192.0.2.160/31", "192.0.2.224/28", "2001:db8:77::/64"
FIRST, SECOND, THIRD, MAPPED, MAPPED6 = "10.1.0.21", "10.1.0.41", "10.1.0.42", "10.1.0.69", "fd00:1::69"
NAT = ("nat {\n    source {\n", f"""nat {{
    source {{
        rule prefix {{ from trust; to untrust; match {{ source pool-inside; }} then {{ source-nat {POOL}; ports 41001-41999; port-parity; }} }}
        rule kept {{ from trust; to untrust; match {{ source kept-inside; }} then {{ source-nat {KEPT}; port-no-translation; }} }}
        rule mapped {{ from trust; to untrust; match {{ source mapped-inside; }} then {{ source-nat {TO}; host-address-base 10.1.0.64/28; }} }}
        rule mapped6 {{ from trust; to untrust; match {{ source mapped-inside6; }} then {{ source-nat {TO6}; host-address-base fd00:1::/64; }} }}
""")
BOOK = ("address-book {\n", """address-book {
    address pool-inside { range 10.1.0.20-10.1.0.39; }
    address kept-inside { range 10.1.0.40-10.1.0.49; }
    address mapped-inside { prefix 10.1.0.64/28; }
    address mapped-inside6 { prefix fd00:1::/64; }
""")
APPLICATIONS = ("applications {\n", "applications {\n    application seen { protocol udp; destination-port 5201-5299; }\n")
POLICY = ("application [ http https dns ping", "application [ seen http https dns ping")


@pytest.fixture(scope="module", params=[1, 2], ids=lambda n: f"{n} workers")
def lab(request):
    two_sites = own_lab("spl")
    two_sites.workers = request.param
    two_sites.up("on")
    try:
        two_sites.commit("hq", config_of("hq", BOOK, NAT, APPLICATIONS, POLICY), "pools")
        for prefix in (POOL, KEPT, TO):
            two_sites["internet"].run(f"ip route add {prefix} via {HQ_WAN}")
        two_sites["internet"].run(f"ip route add {TO6} via {HQ_WAN6}")
        two_sites["web"].run("ip route add 192.0.2.128/25 via 192.0.2.1")
        for address in (FIRST, SECOND, THIRD, MAPPED):
            two_sites["host-a"].run(f"ip addr add {address}/24 dev eth0")
        two_sites["host-a"].run(f"ip addr add {MAPPED6}/64 dev eth0 nodad")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def servers(lab):
    """UDP and TCP servers at web that answer with the address and port that they see."""
    def serve(s, kind):
        while True:
            try:
                if kind == socket.SOCK_DGRAM:
                    _, peer = s.recvfrom(2048)
                    s.sendto(f"{peer[0]} {peer[1]}".encode(), peer)
                else:
                    c, peer = s.accept()
                    with c:
                        c.sendall(f"{peer[0]} {peer[1]}".encode())
            except OSError:
                return

    sockets = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in (5201, 5202):
                s = lab["web"].socket(family, kind)
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
                if kind == socket.SOCK_STREAM:
                    s.listen(16)
                threading.Thread(target=serve, args=(s, kind), daemon=True).start()
                sockets.append(s)
    yield
    for s in sockets:
        s.close()


def seen(lab, source, port=0, kind=socket.SOCK_DGRAM, to_port=5201):
    """(address, port) of a client as the server sees it; None: no answer. The client's port is freed."""
    v6 = ":" in source
    with lab["host-a"].socket(socket.AF_INET6 if v6 else socket.AF_INET, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(2)
        s.bind((source, port))
        try:
            s.connect((WEB6 if v6 else WEB, to_port))
            if kind == socket.SOCK_DGRAM:
                s.send(b"who")
            address, at = s.recv(200).decode().split()
        except TimeoutError:
            return None
        return address, int(at)


def seen_soon(lab, *words):
    """With several workers the first attempt may be by an address of the pool that another worker has given to somebody else."""
    return next((got for _ in range(lab.workers) if (got := seen(lab, *words))), None)


def inside(prefix, address):
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def test_prefix_as_pool_and_parity(lab, servers):
    addresses = set()
    for port in range(30000, 30010):
        address, at = seen(lab, FIRST, port)
        assert inside(POOL, address) and 41001 <= at <= 41999 and at % 2 == port % 2
        addresses.add(address)
    assert len(addresses) == 1, "a host has changed its address (RFC 4787 REQ-2)"
    address, at = seen(lab, FIRST, 30000, socket.SOCK_STREAM)
    assert {address} == addresses and 41001 <= at <= 41999
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -I {FIRST} {WEB}")
    assert [row["pool"] for row in show(lab, "hq", "nat") if row["rule"] == "prefix"] == [POOL]


def test_ports_are_kept(lab, servers):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        assert seen(lab, SECOND, 31000, kind)[1] == 31000, drops(lab, "hq")
    # Of two addresses one is free for a second host; for a third one there is none.
    a, b = seen_soon(lab, SECOND, 31001), seen_soon(lab, THIRD, 31001)
    assert a[1] == b[1] == 31001 and a[0] != b[0] and inside(KEPT, a[0]) and inside(KEPT, b[0])
    lab["host-a"].run("ip addr add 10.1.0.43/24 dev eth0")
    before = counter(lab, "hq", "nat-exhausted")
    for _ in range(2 * lab.workers - 1):  # an address that another worker has given is known as such when it has been tried
        assert seen(lab, "10.1.0.43", 31001) is None
    assert counter(lab, "hq", "nat-exhausted") > before
    assert seen(lab, "10.1.0.43", 31001, to_port=5202)[1] == 31001, "towards another server the port is free"


def test_prefix_to_prefix(lab, servers):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        assert seen(lab, MAPPED, 32000, kind) == ("192.0.2.229", 32000), drops(lab, "hq")
        assert seen(lab, MAPPED6, 32000, kind) == ("2001:db8:77::69", 32000), drops(lab, "hq")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 -I {MAPPED} {WEB}")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 -I {MAPPED6} {WEB6}")
    row = [row for row in show(lab, "hq", "nat") if row["rule"] == "mapped"][0]
    assert row["ports"] == "kept" and int(row["hits"]) >= 3
