"""The cost of a flood is visible in the counters, and honest traffic gets through meanwhile; changing addresses and paths; the rule log."""
import os
import re
import signal
import time

import pytest
from kit import HOST_B, HQ_WAN, WEB, config_of, counter, drops, own_lab, processes, show, wait_for

FLOOD = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end, n, payload = time.monotonic() + float(sys.argv[3]), 0, bytes.fromhex(sys.argv[4])
while time.monotonic() < end:
    for _ in range(100):
        try:
            s.sendto(payload, (sys.argv[1], int(sys.argv[2])))
            n += 1
        except OSError:
            time.sleep(0.001)
print(n)
"""


@pytest.fixture(scope="module")
def lab():
    """Its addresses change, so no other test shares this lab."""
    two_sites = own_lab("ovl")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def flood(lab, node, address, port, seconds, payload):
    return int(lab[node].run(["/usr/bin/python3", "-c", FLOOD, address, str(port), str(seconds), payload]).stdout)


def log_lines(lab):
    return (lab["hq"].state / "plaingated.log").read_text().splitlines()


def test_ike_messages_to_4500_are_bounded(lab):
    """After the non-ESP marker, from one source: few are passed on, all others are counted, and the tunnel stays up."""
    before = counter(lab, "hq", "ike-limit")
    sent = flood(lab, "web", HQ_WAN, 4500, 2, "00000000" + "11" * 60)
    wait_for(lambda: counter(lab, "hq", "ike-limit") - before > sent // 2, 5, f"the counter of {sent}; {drops(lab, 'hq')}")
    assert " 0% packet loss" in lab["host-a"].run(f"ping -c 5 -i 0.2 -W 2 {HOST_B}").stdout


def test_what_the_kernel_drops_is_counted(lab):
    """The data plane is stopped while packets arrive, more than its sockets hold."""
    before, sent = counter(lab, "hq", "rx-overflow"), 0
    pid = processes(lab, "hq")["dataplane"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        while sent < 60000:
            sent += flood(lab, "web", HQ_WAN, 9, 1, "00" * 1400)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: counter(lab, "hq", "rx-overflow") > before, 5, f"the counter; {drops(lab, 'hq')}")


def test_a_stranger_does_not_fill_the_log(lab):
    """The example's last rule logs what it denies."""
    lab["internet"].run("ip route replace 10.1.0.0/24 via 198.51.100.2")
    before = len(log_lines(lab))
    sent = flood(lab, "web", "10.1.0.2", 4000, 3, "00" * 18)
    wait_for(lambda: any("log-suppressed rule=rest" in line for line in log_lines(lab)[before:]), 20, "the line that tells how many more there were")
    lines = log_lines(lab)[before:]
    denied = [line for line in lines if "session-deny rule=rest from=untrust to=trust reason=policy-deny proto=udp" in line]
    more = sum(int(m[1]) for line in lines if (m := re.search(r"log-suppressed rule=rest .*count=(\d+)", line)))
    assert 100 <= len(denied) <= 1024 + 100 * 30, f"{len(denied)} of {sent}"
    assert more > 0
    lab["internet"].run("ip route del 10.1.0.0/24 via 198.51.100.2")


def test_1280_octets_of_ipv6_through_a_narrow_path(lab):
    links = [("hq", "wan0"), ("branch", "wan0"), ("internet", "hq0"), ("internet", "branch0")]
    for node, link in links:
        lab[node].run(f"ip link set {link} mtu 1280")
    try:
        wait_for(lambda: show(lab, "hq", "ipsec")[0]["mtu"] < 1280, 5, "the tunnel's smaller MTU")
        said = lab["host-a"].run("ping -6 -c 3 -i 0.3 -W 2 -s 1232 fd00:2::2", check=False).stdout
        assert " 0% packet loss" in said, f"{said} {drops(lab, 'hq')}"
    finally:
        for node, link in links:
            lab[node].run(f"ip link set {link} mtu 1500")


def test_ipv6_fragments_leave_no_larger_than_they_came(lab):
    """A narrower link behind the gateway: its router informs the host, whose smaller fragments then pass, through source NAT."""
    links = [("internet", "web0"), ("web", "eth0")]
    for node, link in links:
        lab[node].run(f"ip link set {link} mtu 1280")
    try:
        said = lab["host-a"].run("ping -6 -c 8 -i 0.3 -W 1 -s 3000 2001:db8:80::80", check=False).stdout
        assert int(re.search(r"(\d+) received", said)[1]) >= 7, f"{said} {drops(lab, 'hq')}"
    finally:
        for node, link in links:
            lab[node].run(f"ip link set {link} mtu 1500")


def test_a_default_route_by_a_link_local_address(lab):
    """As configured by router advertisements: translated packets still leave with a global address."""
    gateway = re.search(r"inet6 (fe80\S+)/", lab["internet"].run("ip -6 addr show dev hq0").stdout)[1]
    lab["hq"].run(f"ip -6 route replace default via {gateway} dev wan0")
    try:
        assert "served by web" in lab["host-a"].run(["curl", "-gsS", "--max-time", "5", "http://[2001:db8:80::80]/"]).stdout
    finally:
        lab["hq"].run("ip -6 route replace default via 2001:db8:1::1")


def test_a_new_wan_address_moves_a_flow(lab):
    """A continuous ping through source NAT: it continues with the new address, in a new session."""
    ping = lab["host-a"].popen(f"ping -i 0.2 -c 40 -W 1 {WEB}", stdout=-1, text=True)
    wait_for(lambda: show(lab, "hq", "sessions", "--dst", WEB, "--proto", "icmp"), 10, "the ping's session")
    hq = lab["hq"]
    try:
        hq.run("ip addr add 198.51.100.9/24 dev wan0")
        hq.run("ip addr del 198.51.100.2/24 dev wan0")
        hq.run("ip addr add 198.51.100.9/24 dev wan0", check=False)  # it went with the first, where addresses are not promoted
        hq.run("ip route replace default via 198.51.100.1")
        wait_for(lambda: (rows := show(lab, "hq", "sessions", "--dst", WEB)) and all(row["nat_src"].startswith("198.51.100.9:") for row in rows), 10,
                 f"a session with the new address; {show(lab, 'hq', 'sessions', '--dst', WEB)}")
        said = ping.communicate(timeout=30)[0]
        assert int(re.search(r"(\d+) received", said)[1]) >= 30, said
    finally:
        hq.run("ip addr add 198.51.100.2/24 dev wan0", check=False)
        hq.run("ip addr del 198.51.100.9/24 dev wan0", check=False)
        hq.run("ip addr add 198.51.100.2/24 dev wan0", check=False)
        hq.run("ip route replace default via 198.51.100.1")


def test_session_limit_is_kept(lab):
    lab.commit("hq", config_of("hq", ("host-name hq;", "host-name hq;\n    session-limit 1024;")), "small")
    many = "import socket\nfor i in range(3000):\n    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.80', 53)); s.close()\n"
    lab["host-a"].run(["/usr/bin/python3", "-c", many])
    values = {row["counter"]: row["value"] for row in show(lab, "hq", "counters")}
    assert values["session-limit"] == 1024 and values["sessions-now"] <= 1024, values
    assert " 0% packet loss" in lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}").stdout
    lab.commit("hq", config_of("hq"), "as before")
