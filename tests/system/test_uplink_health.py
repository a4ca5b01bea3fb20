"""Uplinks that are dead behind a living link: a router that swallows everything, noticed by probes. New sessions, translated addresses and
the tunnel take the other uplink within three seconds, and the first one again when it answers. Numbers of seconds are measured and shown."""
import os
import signal
import socket
import threading
import time

import pytest
from kit import HOST_B, HQ_WAN, WEB, calm_time, config_of, connect, drops, ledger_entries, own_lab, processes, show, verify_ledger, wait_for
from nodes import link

WAN1, ROUTER0, ROUTER1, PORT, DNS = "198.51.101.2", "198.51.100.1", "198.51.101.1", 5201, 53
MOVES_S, SHORT_LIVED_S = 3.0, 10
UPLINKS = f"""
uplinks {{
    uplink first {{ interface wan0; next-hop {ROUTER0}; probe {WEB} {{ tcp-port {PORT}; }} probe 192.0.2.1; }}
    uplink second {{ interface wan1; probe {WEB} {{ dns example.net; }} }}
}}
"""


def configs():
    hq = config_of("hq", ("        local-address 198.51.100.2;\n", ""), ("dpd 10", "dpd 60"), ("interfaces wan0;", "interfaces [ wan0 wan1 ];"))
    branch = config_of("branch", ("remote-address 198.51.100.2", "remote-address any"), ("dpd 10", "dpd 60"))
    return {"hq": hq, "branch": branch}


def serve(node):
    tcp, dns = node.socket(socket.AF_INET, socket.SOCK_STREAM), node.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(("0.0.0.0", PORT))
    dns.bind(("0.0.0.0", DNS))
    tcp.listen(128)

    def connection(peer, address):
        try:
            while peer.recv(4096):
                peer.sendall(address[0].encode())
        except OSError:
            pass

    def connections():
        while True:
            peer, address = tcp.accept()
            threading.Thread(target=connection, args=(peer, address), daemon=True).start()

    def queries():
        while True:
            query, address = dns.recvfrom(512)
            dns.sendto(query[:2] + b"\x81\x85" + query[4:], address)  # refused, which is an answer

    for work in (connections, queries):
        threading.Thread(target=work, daemon=True).start()


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=lambda n: f"{n} workers")
def lab(request):
    two_sites = own_lab("upl")
    two_sites.workers = request.param
    two_sites.up("on", configs=configs(), prepare=lambda lab: second_uplink(lab))
    try:
        serve(two_sites["web"])
        two_sites.commit("hq", configs()["hq"] + UPLINKS, "uplinks are checked")
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def second_uplink(lab):
    link(lab["hq"], "wan1", lab["internet"], "hq1", "on")
    lab["hq"].run(f"ip addr add {WAN1}/24 dev wan1")
    lab["internet"].run(f"ip addr add {ROUTER1}/24 dev hq1")
    lab["hq"].run("ip route del default")
    lab["hq"].run(f"ip route add default via {ROUTER0} dev wan0 metric 100")
    lab["hq"].run(f"ip route add default via {ROUTER1} dev wan1 metric 200")


def swallow(lab, interface, on):
    """The router's end takes frames, ARP too, and does nothing with them; the link stays up."""
    if on:
        lab["internet"].run(["nft", f"add table netdev dead; add chain netdev dead in {{ type filter hook ingress device {interface} priority 0; policy drop; }}; "
                             f"add chain netdev dead out {{ type filter hook egress device {interface} priority 0; policy drop; }}"])
    else:
        lab["internet"].run("nft delete table netdev dead")


def seen_as(lab, timeout=0.3):
    """As whom web sees a new connection; None: it does not stand."""
    s = connect(lab, "host-a", WEB, PORT, timeout)
    if not isinstance(s, socket.socket):
        return None
    with s:
        s.settimeout(timeout)
        try:
            s.sendall(b"who")
            return s.recv(64).decode()
        except OSError:
            return None


def tunnel(lab):
    return lab["host-a"].run(f"ping -c 1 -W 0.2 {HOST_B}", check=False).returncode == 0


def local_of_tunnel(lab):
    return [row["local"].rpartition(":")[0] for row in show(lab, "hq", "ike") if row["state"] == "established"]


def states(lab):
    return {row["uplink"]: row["state"] for row in show(lab, "hq", "uplinks")}


def until(began, condition):
    while not condition():
        assert calm_time() - began < 15, "it does not come"
    return calm_time() - began


def both_up(lab):
    wait_for(lambda: states(lab) == {"first": "up", "second": "up"} and all(row["target_state"] == "answers" for row in show(lab, "hq", "uplinks")),
             10, f"both uplinks: {show(lab, 'hq', 'uplinks')}")


def test_probes_are_answered(lab):
    both_up(lab)
    rows = show(lab, "hq", "uplinks")
    assert {(row["uplink"], row["target"], row["by"]) for row in rows} == {("first", WEB, "tcp"), ("first", "192.0.2.1", "ping"), ("second", WEB, "dns")}
    assert {row["next_hop"] for row in rows if row["uplink"] == "second"} == {ROUTER1}, "of the default route"
    wait_for(lambda: all(int(row["probes"]) >= 4 for row in show(lab, "hq", "uplinks")), 5, "rounds")
    assert all(int(row["lost"]) <= 1 for row in show(lab, "hq", "uplinks")), show(lab, "hq", "uplinks")
    assert seen_as(lab, 2) == HQ_WAN


def test_a_dead_router_behind_a_living_link(lab):
    both_up(lab)
    wait_for(lambda: tunnel(lab), 10, "the tunnel")
    wait_for(lambda: local_of_tunnel(lab) == [HQ_WAN], 10, f"the tunnel by the first uplink: {show(lab, 'hq', 'ike')}")
    # One that ends younger counts as a failed attempt for ike, which waits up to a second before the next (IKE_SHORT_LIVED_S).
    wait_for(lambda: all(int(row["age_s"]) > SHORT_LIVED_S for row in show(lab, "hq", "ipsec") if row["state"] != "down"), 15, "a tunnel that has lasted")
    kept = connect(lab, "host-a", WEB, PORT)
    took = {}

    def measure(name, condition):
        thread = threading.Thread(target=lambda: took.update({name: until(began, condition)}))
        thread.start()
        return thread

    swallow(lab, "hq0", True)
    began = calm_time()
    try:
        threads = [measure("sessions", lambda: seen_as(lab) == WAN1), measure("tunnel", lambda: tunnel(lab))]
        for thread in threads:
            thread.join()
        print(f"\nafter the router died: new sessions {took['sessions']:.2f} s, tunnel {took['tunnel']:.2f} s")
        assert set(took) == {"sessions", "tunnel"} and max(took.values()) < MOVES_S, (took, drops(lab, "hq"), lab.log_end("hq", 20))
        assert lab["hq"].run("cat /sys/class/net/wan0/carrier").stdout.strip() == "1"
        assert states(lab) == {"first": "down", "second": "up"}
        assert local_of_tunnel(lab) == [WAN1]
        routes = {row["gateway"]: row.get("state") for row in show(lab, "hq", "routes") if row["kind"] == "route" and row["prefix"] == "0.0.0.0/0"}
        assert routes == {ROUTER0: "uplink down", ROUTER1: None}
        assert f"via {ROUTER1}" in lab["hq"].run("ip route get 203.0.113.2").stdout, "the host's own packets too"
        kept.settimeout(0.5)
        with pytest.raises(OSError):  # it was translated to the dead uplink's address
            kept.sendall(b"who")
            assert kept.recv(64) == b""
            raise OSError
    finally:
        swallow(lab, "hq0", False)
    began, again = calm_time(), time.monotonic()
    back = until(began, lambda: states(lab)["first"] == "up")
    assert time.monotonic() - again >= 2.0, "not before it has answered five times"
    assert until(began, lambda: seen_as(lab) == HQ_WAN) < back + 1
    tunnel_back = until(began, lambda: local_of_tunnel(lab) == [HQ_WAN] and tunnel(lab))
    print(f"\nafter it came back: up {back:.2f} s, tunnel {tunnel_back:.2f} s")
    assert tunnel_back < back + 3
    assert f"via {ROUTER0}" in lab["hq"].run("ip route get 203.0.113.2").stdout
    assert "32764:" not in lab["hq"].run("ip rule").stdout
    changes = [(e["body"]["uplink"], e["body"]["state"]) for e in ledger_entries(lab, "hq") if e["type"] == "uplink_state"]
    assert changes == [("first", "down"), ("first", "up")]
    assert {e["source"] for e in ledger_entries(lab, "hq") if e["type"] == "uplink_state"} == {"supervisor"}
    verify_ledger(lab, "hq")


WEB6, ROUTER0_6, ROUTER1_6 = "2001:db8:80::80", "2001:db8:1::1", "2001:db8:9::1"


@pytest.mark.parametrize("kind", ["metrics", "one route"])
def test_ipv6(lab, kind):
    """The same by an uplink of IPv6, with two default routes or one that has two next hops; IPv4 has an uplink of its own."""
    hq = lab["hq"]
    hq.run("ip addr replace 2001:db8:9::2/64 dev wan1 nodad")
    lab["internet"].run(f"ip addr replace {ROUTER1_6}/64 dev hq1 nodad")
    hq.run("ip -6 route flush default")
    for command in {"metrics": (f"via {ROUTER0_6} dev wan0 metric 100", f"via {ROUTER1_6} dev wan1 metric 200"),
                    "one route": (f"nexthop via {ROUTER0_6} dev wan0 nexthop via {ROUTER1_6} dev wan1",)}[kind]:
        hq.run(f"ip -6 route add default {command}")
    lab.commit("hq", configs()["hq"] + f"uplinks {{ uplink six {{ interface wan0; probe {WEB6}; interval 200; }} }}\n", "of IPv6")
    wait_for(lambda: [row["target_state"] for row in show(lab, "hq", "uplinks")] == ["answers"], 5, f"answers: {show(lab, 'hq', 'uplinks')}")
    swallow(lab, "hq0", True)
    began = calm_time()
    try:
        took = until(began, lambda: states(lab) == {"six": "down"})
        assert took < MOVES_S
        for _ in range(8):  # each ping is a session of its own
            assert lab["host-a"].run(f"ping -6 -c 1 -W 2 {WEB6}", check=False).returncode == 0, drops(lab, "hq")
        for n in range(8):
            assert f"via {ROUTER1_6}" in hq.run(f"ip -6 route get 2001:db8:2::{n + 2}").stdout
        assert "20552" not in hq.run("ip rule").stdout, "IPv4 is not concerned"
    finally:
        swallow(lab, "hq0", False)
    until(calm_time(), lambda: states(lab) == {"six": "up"})
    wait_for(lambda: "20552" not in hq.run("ip -6 rule").stdout, 5, "the rules go")
    lab.commit("hq", configs()["hq"] + UPLINKS, "of IPv4 again")


def test_the_data_plane_dies_while_an_uplink_is_down(lab):
    """The one after it begins with what is known, and goes on probing."""
    both_up(lab)
    swallow(lab, "hq0", True)
    try:
        wait_for(lambda: states(lab)["first"] == "down", 5, "down")
        pid, restarts = processes(lab, "hq")["dataplane"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: processes(lab, "hq").get("dataplane", (0, 0))[1] > restarts, 10, "another one")
        assert f"via {ROUTER1}" in lab["hq"].run("ip route get 203.0.113.2").stdout
        wait_for(lambda: seen_as(lab, 1) is not None, 5, "sessions")
        assert seen_as(lab, 1) == WAN1 and states(lab)["first"] == "down"
    finally:
        swallow(lab, "hq0", False)
    both_up(lab)
    wait_for(lambda: seen_as(lab) == HQ_WAN, 5, "the first uplink")


def test_forged_answers_keep_nothing_up(lab):
    """Somebody on the uplink's network answers for the target without having seen the probes."""
    both_up(lab)
    lab["internet"].run(["nft", "add table ip deaf; add chain ip deaf pre { type filter hook prerouting priority -300; iifname hq0 drop; }"])
    stop = threading.Event()
    forged = lab["internet"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def flood():
        n = 0
        while not stop.is_set():
            n += 1
            echo = bytes([0, 0]) + (0xffff).to_bytes(2, "big") + n.to_bytes(4, "big") + bytes(16)
            forged.sendto(echo, (HQ_WAN, 0))

    thread = threading.Thread(target=flood)
    try:
        thread.start()
        wait_for(lambda: states(lab)["first"] == "down", 5, f"down: {show(lab, 'hq', 'uplinks')}")
        time.sleep(1)
        assert states(lab)["first"] == "down"
    finally:
        stop.set()
        thread.join()
        lab["internet"].run("nft delete table ip deaf")
    both_up(lab)
