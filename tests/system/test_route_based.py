"""Route-based VPN: two tunnels with an interface between the gateways, one outside in IPv4 and one in IPv6, both with all addresses as
selectors. Routes alone choose; test_frr.py lets routing daemons set them."""
import os
import signal
import socket

import pytest
from kit import GATEWAYS, HOST_A, HOST_B, Capture, drops, processes, show, wait_for
from routed import address_interfaces, both_up, carried, config, has_carrier, other, ping, routed_lab


def refused(lab, text):
    (lab["hq"].state / "etc/refused.conf").write_text(text, encoding="utf-8")
    done = lab["hq"].run("plaingate commit /etc/plaingate/refused.conf", check=False)
    assert done.returncode, done
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def lab():
    with routed_lab("rtb") as two_sites:
        yield two_sites


def test_the_gateways_reach_each_other_by_each_interface(lab):
    for n in (1, 2):
        for there in (f"10.255.{n}.2", f"fd00:255:{n}::2"):
            wait_for(lambda: ping(lab, "hq", there), 10, f"an answer of {there}")
        rows = {row["tunnel"]: row for row in show(lab, "hq", "tunnels")}
        assert rows["one" if n == 1 else "two"]["interface"] == f"st0.{n}"


def routes(lab, n, there="replace"):
    """Each LAN by tunnel n, at both gateways."""
    for gateway, networks, via in (("hq", ("10.2.0.0/24", "fd00:2::/64"), (f"10.255.{n}.2", f"fd00:255:{n}::2")),
                                   ("branch", ("10.1.0.0/24", "fd00:1::/64"), (f"10.255.{n}.1", f"fd00:255:{n}::1"))):
        for network, hop in zip(networks, via):
            lab[gateway].run(f"ip route {there} {network} via {hop} dev st0.{n}", check=there != "del")


@pytest.mark.parametrize("n, tunnel", [(1, "one"), (2, "two")])
def test_routes_choose_the_tunnel(lab, n, tunnel):
    routes(lab, n)
    before = carried(lab)
    for address in (HOST_B, "fd00:2::2"):
        wait_for(lambda: ping(lab, "host-a", address), 10, f"an answer of {address}")
    for address in (HOST_B, "[fd00:2::2]"):  # segments of what the tunnel takes, though both LANs have 1500
        assert lab["host-a"].run(["curl", "-sf", "-m", "20", "-o", "/dev/null", "-w", "%{size_download}", f"http://{address}/1m.bin"]).stdout == str(1 << 20)
    after = carried(lab)
    unused = {"one": "two", "two": "one"}[tunnel]
    # The gateways' own packets for the link, as reports of multicast listeners, go by both.
    assert after[unused] - before[unused] < 20 < after[tunnel] - before[tunnel], (before, after)
    routes(lab, n, "del")


def test_without_a_route_nothing_belongs_to_a_tunnel(lab):
    with Capture(lab, "internet", "hq0", f"icmp and dst host {HOST_B}") as seen:
        assert not ping(lab, "host-a", HOST_B)  # by the default route, where policy permits it
        wait_for(lambda: list(seen.frames()), 5, "the packet on its way to the Internet")


def test_a_tunnel_that_is_down_is_never_passed_by(lab):
    """What a route sends into it is dropped, though the default route would take it and policy would permit that."""
    routes(lab, 1)
    wait_for(lambda: ping(lab, "host-a", HOST_B), 10, "an answer")
    for gateway in GATEWAYS:
        lab.commit(gateway, config(gateway, ("start always", "start never")), "tunnel one is started by nobody")
    lab["hq"].run(f"plaingate ike terminate {other('hq')}")
    wait_for(lambda: not has_carrier(lab, "hq", "st0.1"), 10, "the interface without carrier")
    assert has_carrier(lab, "hq", "st0.2")
    with Capture(lab, "internet", "hq0", f"host {HOST_A} or host {HOST_B}") as seen:
        before = drops(lab, "hq").get("drop-tunnel-down", 0)
        assert not ping(lab, "host-a", HOST_B)
        wait_for(lambda: drops(lab, "hq").get("drop-tunnel-down", 0) > before, 5, "the drop")
        assert not list(seen.frames())
    routes(lab, 1, "del")
    with Capture(lab, "internet", "hq0", f"udp and dst host {HOST_B}") as seen, lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST_B, 5201))
        # By the default route, as policy permits it; the same session does not stay there once there is a route.
        wait_for(lambda: s.send(b"?") and list(seen.frames()), 5, "a datagram on its way to the Internet")
        routes(lab, 1)
        before = drops(lab, "hq").get("drop-tunnel-down", 0)
        wait_for(lambda: s.send(b"?") and drops(lab, "hq").get("drop-tunnel-down", 0) > before, 5, "the session's next drop")
        # Nor when that route was hidden by one in clear, which goes.
        clear = f"{HOST_B}/32 {lab['hq'].run('ip route show default').stdout.split(maxsplit=1)[1]}"
        lab["hq"].run(f"ip route add {clear}")
        frames = len(list(seen.frames()))
        wait_for(lambda: s.send(b"?") and len(list(seen.frames())) > frames, 5, "a datagram in clear again")
        lab["hq"].run(f"ip route del {clear}")
        before = drops(lab, "hq").get("drop-tunnel-down", 0)
        wait_for(lambda: s.send(b"?") and drops(lab, "hq").get("drop-tunnel-down", 0) > before, 5, "the session's drop once more")
    for gateway in GATEWAYS:
        lab.commit(gateway, config(gateway), "tunnel one again")
    wait_for(lambda: both_up(lab), 30, "the tunnel again")
    wait_for(lambda: ping(lab, "host-a", HOST_B), 10, "an answer again")
    routes(lab, 1, "del")


def test_interfaces_follow_the_configuration_and_survive_the_data_plane(lab):
    hq = lab["hq"]
    index = hq.run("cat /sys/class/net/st0.1/ifindex").stdout
    pid, restarts = processes(lab, "hq")["dataplane"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processes(lab, "hq").get("dataplane", (0, 0))[1] > restarts and ping(lab, "hq", "10.255.1.2"), 20,
             "an answer by the next data plane")
    assert hq.run("cat /sys/class/net/st0.1/ifindex").stdout == index
    assert "exists on this machine already" in refused(lab, config("hq", ("interface st0.2", "interface lan0"), ("interfaces lan0", "interfaces lan9")))
    lab.commit("hq", config("hq", ("interface st0.2", "interface st0.7")), "another name")
    wait_for(lambda: has_carrier(lab, "hq", "st0.7"), 10, "its carrier")
    wait_for(lambda: hq.run("ip link show st0.2", check=False).returncode, 10, "the end of the former one, when the data plane has switched")
    lab.commit("hq", config("hq"), "the former name")
    wait_for(lambda: both_up(lab), 10, "the interface of the former name")
    address_interfaces(lab, "hq")
    wait_for(lambda: ping(lab, "hq", "10.255.2.2"), 10, "an answer")
    # Somebody removes it: the next commit makes it anew.
    hq.run("ip link del st0.1")
    wait_for(lambda: "interface st0.1 is gone" in (hq.state / "plaingated.log").read_text(encoding="utf-8"), 10, "the line about it")
    lab.commit("hq", config("hq"), "the same configuration")
    wait_for(lambda: both_up(lab), 10, "the interface again")
