"""The kernel remains the host: addresses, routes, neighbours and links are Linux's, and the data plane follows their changes, at once and
while traffic flows."""
import re
import time

import pytest
from kit import (HOST_A, HOST_B, HQ_WAN, WEB, Capture, UdpStream, config_of, connect, counter, drops, falls_silent, listener, own_lab,
                 own_mac, processes, show, verify_ledger, wait_for)
from nodes import link


@pytest.fixture(scope="module")
def lab():
    """Its links come and go, so no other test shares this lab."""
    two_sites = own_lab("pgn")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in ("hq", "branch"):
            verify_ledger(two_sites, gateway)
        assert processes(two_sites, "hq")["dataplane"][1] == 0, "the data plane was started anew"
    finally:
        two_sites.down()


def reaches(lab, address, node="host-a"):
    return lab[node].run(f"ping -c 1 -W 1 {address}", check=False).returncode == 0


def wait_reaches(lab, address, timeout=5):
    wait_for(lambda: reaches(lab, address), timeout, f"answers of {address}; hq counts {drops(lab, 'hq')}")


def test_a_host_gets_another_card(lab):
    """Another link address for the same IP address, announced by an unsolicited ARP reply or found by the kernel's own probe."""
    wait_reaches(lab, WEB)
    old = own_mac(lab, "host-a")
    with UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        lab["host-a"].run("ip link set eth0 address 02:00:00:00:00:77")
        lab["host-a"].run("ping -c 1 -W 2 10.1.0.1")
        udp.wait_flowing()
    assert udp.longest_silence() < 2
    assert "02:00:00:00:00:77" in [row.get("mac") for row in show(lab, "hq", "routes")]
    lab["host-a"].run(f"ip link set eth0 address {old}")
    wait_reaches(lab, "10.1.0.1")
    wait_reaches(lab, WEB)


def test_a_route_changes_under_traffic(lab):
    """web's address is taken away by an unreachable route, then comes back."""
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        udp.wait_flowing()
        lab["hq"].run(f"ip route add unreachable {WEB}/32")
        falls_silent(lambda: len(udp.arrived))  # what has no route must not pass
        lab["hq"].run(f"ip route del unreachable {WEB}/32")
        udp.wait_flowing()
    assert counter(lab, "hq", "no-route") > 50


def test_a_route_of_another_table(lab):
    """`throw` in main leads to a next table, and there is none: the default route does not count."""
    wait_reaches(lab, WEB)
    lab["hq"].run(f"ip route add throw {WEB}/32")
    try:
        wait_for(lambda: not reaches(lab, WEB), 3, "the route in the mirror")
        assert "unreachable" in lab["hq"].run(f"ip route get {WEB}", check=False).stderr
    finally:
        lab["hq"].run(f"ip route del throw {WEB}/32")
    wait_reaches(lab, WEB)


def test_a_route_for_one_tos(lab):
    """It leads nowhere, and packets of no TOS do not go by it, as in the kernel."""
    wait_reaches(lab, WEB)
    lab["hq"].run(f"ip route add {WEB}/32 tos 0x10 via {HOST_A}")
    try:
        time.sleep(0.5)
        assert "dev wan0" in lab["hq"].run(f"ip route get {WEB}").stdout
        assert reaches(lab, WEB)
    finally:
        lab["hq"].run(f"ip route del {WEB}/32 tos 0x10")


def test_a_link_goes_down_and_up(lab):
    with UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        lab["hq"].run("ip link set wan0 down")
        wait_for(lambda: [row for row in show(lab, "hq", "interfaces") if row["interface"] == "wan0"][0]["state"] == "down", 3, "wan0 down")
        falls_silent(lambda: len(udp.arrived))
        lab["hq"].run("ip link set wan0 up")
        lab["hq"].run("ip route replace default via 198.51.100.1")  # the kernel took it away with the link
        lab["hq"].run("ip -6 addr replace 2001:db8:1::2/64 dev wan0 nodad")
        lab["hq"].run("ip -6 route replace default via 2001:db8:1::1")
        udp.wait_flowing()
    wait_reaches(lab, WEB)


def test_the_address_that_nat_uses_changes(lab):
    """New sessions are translated to the new address; hq is reached at both."""
    lab["hq"].run("ip addr add 198.51.100.7/24 dev wan0")
    lab["hq"].run("ip route replace default via 198.51.100.1 src 198.51.100.7")
    try:
        wait_reaches(lab, "198.51.100.7", 3)
        lab["web"].run("ping -c 1 -W 2 198.51.100.7")
        lab["web"].run(f"ping -c 1 -W 2 {HQ_WAN}")
    finally:
        lab["hq"].run("ip route replace default via 198.51.100.1")
        lab["hq"].run("ip addr del 198.51.100.7/24 dev wan0")
    wait_for(lambda: not reaches(lab, "198.51.100.7"), 5, "the address to be gone")
    wait_reaches(lab, WEB)


def test_a_smaller_mtu_of_a_link(lab):
    lab["hq"].run("ip link set wan0 mtu 1300")
    try:
        wait_for(lambda: re.search(r"mtu = ?1300", lab["host-a"].run(f"ping -c 1 -W 1 -M do -s 1372 {WEB}", check=False).stdout), 5,
                 "the smaller size to be told")
        assert "served by web" in lab["host-a"].run(f"curl -sS --max-time 5 http://{WEB}/").stdout
    finally:
        lab["hq"].run("ip link set wan0 mtu 1500")
        lab["host-a"].run("ip route flush cache")
    wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 -M do -s 1472 {WEB}", check=False).returncode == 0, 5, "the whole size again")


def test_a_second_network_behind_a_router_on_the_lan(lab):
    """host-a is the router of 10.1.9.0/24; the kernel gets the route, and source addresses from there no longer count as spoofed."""
    lab["host-a"].run("ip addr add 10.1.9.1/24 dev lo")
    text = config_of("hq", ("prefix [ 10.1.0.0/24 fd00:1::/64 ];", "prefix [ 10.1.0.0/24 10.1.9.0/24 fd00:1::/64 ];"))
    lab.commit("hq", text, "a second network")
    try:
        before = counter(lab, "hq", "spoofed")
        assert lab["host-a"].run(f"ping -c 2 -i 0.2 -W 1 -I 10.1.9.1 {WEB}", check=False).returncode != 0
        assert counter(lab, "hq", "spoofed") >= before + 2, drops(lab, "hq")
        lab["hq"].run(f"ip route add 10.1.9.0/24 via {HOST_A}")
        wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 -I 10.1.9.1 {WEB}", check=False).returncode == 0, 3, "an answer through the new route")
    finally:
        lab["hq"].run(f"ip route del 10.1.9.0/24 via {HOST_A}", check=False)
        lab["host-a"].run("ip addr del 10.1.9.1/24 dev lo")
        lab.commit("hq", config_of("hq"), "as before")


@pytest.mark.parametrize("ways", [1, 2])
def test_ipv4_by_an_ipv6_router(lab, ways):
    """RFC 8950, as routing daemons set it on links that have no IPv4 address; also beside a next hop with an IPv4 address."""
    router = re.search(r"inet6 (fe80::\S+)/", lab["internet"].run("ip -6 addr show dev hq0 scope link").stdout)[1]
    way = f"via inet6 {router} dev wan0"
    route = f"{WEB}/32 {way}" if ways == 1 else f"{WEB}/32 nexthop {way} nexthop via 198.51.100.1 dev wan0"
    lab["hq"].run("ip route del default")
    try:
        wait_for(lambda: not reaches(lab, WEB), 5, "no way")
        lab["hq"].run(f"ip route add {route}")
        wait_reaches(lab, WEB)
    finally:
        lab["hq"].run(f"ip route del {WEB}/32", check=False)
        lab["hq"].run("ip route add default via 198.51.100.1")
    wait_reaches(lab, WEB)


def test_rules_that_are_not_followed_are_said(lab):
    """ip rule: by marks and TOS nothing is followed, by addresses, interfaces and ports it is. The gateway's own rules are not reported."""
    def rules():
        return {(int(row["metric"]), row["prefix"], row["state"]) for row in show(lab, "hq", "routes") if row["kind"] == "rule"}

    assert not rules()
    added = {"priority 100 from 10.1.0.0/25 table 77": (100, "IPv4 from 10.1.0.0/25 table 77", "followed"),
             "priority 101 fwmark 0x7 iif lan0 to 192.0.2.0/24 table 78": (101, "IPv4 to 192.0.2.0/24 iif lan0 fwmark 0x7 table 78", "not followed"),
             "priority 102 from 10.9.0.0/16 blackhole": (102, "IPv4 from 10.9.0.0/16 action 6", "followed"),
             "priority 103 tos 0x10 table 78": (103, "IPv4 tos 0x10 table 78", "not followed"),
             "priority 104 not fwmark 0x7 ipproto tcp dport 80-81 table 78": (104, "IPv4 not fwmark 0x7 ipproto 6 dport 80-81 table 78", "followed")}
    try:
        for rule in added:
            lab["hq"].run(f"ip rule add {rule}")
        lab["hq"].run("ip -6 rule add priority 100 from fd00:1::/80 table 77")
        expected = {*added.values(), (100, "IPv6 from fd00:1::/80 table 77", "followed")}
        wait_for(lambda: rules() == expected, 5, f"all of them: {rules()}")
        assert "the kernel has 2 routing rules (ip rule) that are not followed" in lab.log_end("hq", 30)
        assert reaches(lab, WEB)
    finally:
        for rule in added:
            lab["hq"].run(f"ip rule del {rule}")
        lab["hq"].run("ip -6 rule del priority 100 from fd00:1::/80 table 77", check=False)
    wait_for(lambda: not rules(), 5, "none of them")
    wait_reaches(lab, WEB)


def test_an_interface_goes_and_comes(lab):
    """lan0 is removed and a new link of the same name is added: it is filtered and used as the old one was."""
    lab["hq"].run("ip link del lan0")
    wait_for(lambda: [row for row in show(lab, "hq", "interfaces") if row["interface"] == "lan0"][0]["state"] == "absent", 5, "lan0 to be absent")
    link(lab["host-a"], "eth0", lab["hq"], "lan0", "on")
    for node, interface, addresses in (("hq", "lan0", ("10.1.0.1/24", "fd00:1::1/64")), ("host-a", "eth0", ("10.1.0.2/24", "fd00:1::2/64"))):
        for address in addresses:
            lab[node].run(f"ip addr add {address} dev {interface}" + (" nodad" if ":" in address else ""))
    lab["host-a"].run("ip route add default via 10.1.0.1")
    lab["host-a"].run("ip -6 route add default via fd00:1::1")
    wait_for(lambda: "lan0" in lab["hq"].run("nft list table netdev plaingate").stdout, 5, "the new interface to be guarded")
    wait_reaches(lab, WEB, 10)
    wait_reaches(lab, HOST_B, 10)
    with listener(lab, "hq", 8080):
        assert isinstance(connect(lab, "host-a", "10.1.0.1", 8080, timeout=1), OSError), "its ports are guarded too"
    with Capture(lab, "internet", "hq0", f"src {HOST_A}") as seen:
        wait_reaches(lab, WEB)
    assert seen.count() == 0, "translated as before"
