"""NAT64 (RFC 6146): a host that uses IPv6 only reaches IPv4 servers by addresses within a prefix: TCP, UDP, ping, what is larger than the
path, and errors; with one worker and with two. With Unbound and its dns64 module (skipped where it is missing) by name."""
import re
import shutil
import socket
import subprocess

import pytest
from kit import BY_WORKERS, HQ_WAN, WEB, Capture, ask_server, config_of, connect, counter, drops, is_refused, lab_by_workers, serving, show, wait_for

PREFIX = "2001:db8:64::"
WEB_64 = PREFIX + "192.0.2.80"
WEB_64_TEXT = "2001:db8:64::c000:250"
PORT, UDP_PORT = 5207, 5208
NAT = ("nat {\n", f"nat {{ nat64 {{ rule four {{ from trust; prefix {PREFIX}/96; }} }}\n")
DNS = ("applications {\n", "applications {\n    application names { protocol udp; destination-port 53; }\n")
OFFICE = ("application [ http https", "application [ names http https")


@pytest.fixture(**BY_WORKERS)
def lab(request):
    with lab_by_workers("six", request.param) as two_sites:
        two_sites.commit("hq", config_of("hq", NAT, DNS, OFFICE), "nat64")
        yield two_sites


def serve(lab, n=200000):
    return serving(lab, "web", PORT, n, socket.AF_INET)


def exchange(lab, sends=0):
    return ask_server(lab, "host-a", WEB_64, PORT, sends)


def test_tcp(lab):
    """Both directions, in trains; the server sees the gateway's IPv4 address."""
    with serve(lab, 3000000) as read:
        for i in range(6):  # other ports, other workers
            data = exchange(lab, 3000000)
            assert data.split(b" ", 1)[0].decode() == HQ_WAN and len(data) == len(HQ_WAN) + 1 + 3000000, drops(lab, "hq")
            wait_for(lambda: read == [3000000] * (i + 1), 5, "the server to have read all")
    rows = [row for row in show(lab, "hq", "sessions") if WEB_64_TEXT in str(row)]
    assert rows and any(f"{HQ_WAN}:" in str(row.get("nat_src")) and f"{WEB}:{PORT}" in str(row.get("nat_dst")) for row in rows), rows
    row, = [row for row in show(lab, "hq", "nat") if row["rule"] == "four"]
    assert (row["type"], row["action"], row["pool"]) == ("nat64", "nat64", f"{PREFIX}/96") and int(row["hits"]) >= 6


def test_udp(lab):
    with lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(3)
        server.bind(("0.0.0.0", UDP_PORT))
        for n in (1, 100, 1400, 5000):  # the last in fragments, both ways
            for _ in range(4):
                with lab["host-a"].socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                    s.settimeout(3)
                    s.sendto(b"x" * n, (WEB_64, UDP_PORT))
                    data, client = server.recvfrom(65536)
                    assert data == b"x" * n and client[0] == HQ_WAN, drops(lab, "hq")
                    server.sendto(b"y" * n, client)
                    assert s.recvfrom(65536)[0] == b"y" * n, drops(lab, "hq")


def test_ping(lab):
    lab["host-a"].run(f"ping -c 3 -i 0.2 -W 2 {WEB_64}")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 {WEB_64}")


def test_errors_from_the_server(lab):
    assert is_refused(lab, "host-a", WEB_64)


def test_the_path_is_narrower_behind_the_gateway(lab):
    """A router on the IPv4 side tells its MTU; the host learns of 20 octets more, and what it sends arrives."""
    lab["internet"].run("ip link set web0 mtu 1360")
    try:
        with serve(lab, 100000) as read, Capture(lab, "host-a", "eth0", "icmp6") as capture:
            data = exchange(lab, 500000)
            assert len(data) == len(HQ_WAN) + 1 + 100000
            wait_for(lambda: read == [500000], 10, "the server to have read all")
            lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -M do -s 1400 {WEB_64}", check=False)
            capture.wait(1, "icmp6 and ip6[40] == 2")
        assert any(re.search("too big, mtu 1380", line) for line in capture.lines()), capture.lines()
    finally:
        lab["internet"].run("ip link set web0 mtu 1500")


def test_what_cannot_be_reached(lab):
    before = counter(lab, "hq", "nat64-address")
    assert not isinstance(connect(lab, "host-a", PREFIX + "127.0.0.1", 80, timeout=1), socket.socket)
    assert counter(lab, "hq", "nat64-address") > before


UNBOUND = """server:
    interface: {listen}
    access-control: 0.0.0.0/0 allow
    access-control: ::0/0 allow
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    do-not-query-localhost: no
    trust-anchor-signaling: no
    {more}
"""


@pytest.mark.skipif(not shutil.which("unbound", path="/usr/sbin:/usr/bin"), reason="Unbound is not installed")
def test_by_name_with_dns64(lab):
    """The resolver of the host reaches the server of the names by NAT64, too, and makes the address."""
    authority = UNBOUND.format(listen="0.0.0.0", more='module-config: "iterator"\n    local-zone: "example.net." static\n'
                               '    local-data: "www.example.net. A 192.0.2.80"')
    resolver = UNBOUND.format(listen="::1", more=f'module-config: "dns64 iterator"\n    dns64-prefix: {PREFIX}/96') + f"""
forward-zone:
    name: "."
    forward-addr: {WEB_64}
"""
    running = []
    try:
        for node, text in (("web", authority), ("host-a", resolver)):
            path = lab[node].state / "unbound.conf"
            path.write_text(text, encoding="utf-8")
            running.append(lab[node].popen(["unbound", "-d", "-c", str(path)], stderr=subprocess.PIPE, text=True))
        for node in ("web", "host-a"):
            wait_for(lambda node=node: ":53 " in lab[node].run("ss -Hlun").stdout, 10, f"Unbound on {node}")
        query = f"""
import socket, struct
q = struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\3net\\0" + struct.pack("!HH", 28, 1)
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(30)
s.sendto(q, ("::1", 53))
a = s.recv(1500)
assert a[7] == 1, a
print(socket.inet_ntop(socket.AF_INET6, a[-16:]))
"""
        assert lab["host-a"].run(["python3", "-c", query]).stdout.strip() == WEB_64_TEXT
    finally:
        for process in running:
            process.terminate()
            process.wait(10)
    with serve(lab):
        assert len(exchange(lab)) > 200000
