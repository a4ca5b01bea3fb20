"""Links of every kind that a machine has: sub-interfaces beside their parent, priority tags, and links without a link address."""
import fcntl
import os
import select
import socket
import struct
import threading
import time

import pytest
from kit import (HOST_A, HOST_B, WEB, Capture, TcpStream, config_of, connect, counter, drops, listener, own_mac, send_frames, show,
                 wait_for)
from nodes import CLONE_NEWNET, libc

LAN5 = ("prefix [ 10.1.0.0/24 fd00:1::/64 ];", "prefix [ 10.1.0.0/24 10.5.0.0/24 fd00:1::/64 ];")


@pytest.fixture()
def hq(lab):
    yield lab
    lab.commit("hq", config_of("hq"), "as before")
    lab.wait_for_tunnel()


def interface(lab, name):
    return next(row for row in show(lab, "hq", "interfaces") if row["interface"] == name)


def test_a_sub_interface_beside_its_parent(hq):
    """A macvlan on lan0 with a network of its own: both serve their hosts, in one zone and in two, and what is in no zone is not reached."""
    for node, parent, address in (("hq", "lan0", "10.5.0.1/24"), ("host-a", "eth0", "10.5.0.2/24")):
        hq[node].run(f"ip link add link {parent} name {parent}m type macvlan mode bridge")
        hq[node].run(f"ip addr add {address} dev {parent}m")
        hq[node].run(f"ip link set {parent}m up")
    # Two cards on one cable: each answers for its own addresses alone.
    for node in ("hq", "host-a"):
        hq[node].sysctl({"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2})
        hq[node].run("ip neigh flush all")
    hq["host-a"].run(f"ip route add {WEB}/32 via 10.5.0.1 src 10.5.0.2 table 55")
    hq["host-a"].run("ip rule add from 10.5.0.2 table 55")
    two_zones = ("zone vpn {\n        host-inbound ping;", "zone guests {\n        interfaces lan0m;\n        host-inbound ping;\n    }\n"
                 "    zone vpn {\n        host-inbound ping;")
    try:
        hq.commit("hq", config_of("hq", ("interfaces lan0;", "interfaces [ lan0 lan0m ];"), LAN5), "both in one zone")
        for address in ("10.1.0.1", HOST_B, WEB):
            wait_for(lambda: hq["host-a"].run(f"ping -c 1 -W 1 {address}", check=False).returncode == 0, 5, f"{address} by the parent")
        for address in ("10.5.0.1", WEB):
            wait_for(lambda: hq["host-a"].run(f"ping -c 1 -W 1 -I 10.5.0.2 {address}", check=False).returncode == 0, 5,
                     f"{address} by the sub-interface; {drops(hq, 'hq')}")
        with Capture(hq, "internet", "hq0", f"icmp and dst {WEB}") as seen:
            hq["host-a"].run(f"ping -c 3 -i 0.2 -I 10.5.0.2 {WEB}")
        assert len(seen.lines()) == 3, "each packet once"
        with listener(hq, "hq", 8080):
            assert isinstance(connect(hq, "host-a", "10.5.0.1", 8080, timeout=0.5), OSError)
        hq.commit("hq", config_of("hq", two_zones, LAN5), "in two zones")
        hq["host-a"].run("ping -c 2 -i 0.2 -W 1 10.1.0.1")
        wait_for(lambda: hq["host-a"].run("ping -c 1 -W 1 -I 10.5.0.2 10.5.0.1", check=False).returncode == 0, 5, "the other zone's address")
        with listener(hq, "hq", 22):
            assert isinstance(connect(hq, "host-a", "10.5.0.1", 22, timeout=0.5, bind=("10.5.0.2", 0)), OSError), "its own zone's services"
        # It gets another address, then it leaves all zones.
        hq["hq"].run("ip link set lan0m address 02:00:00:00:05:01")
        wait_for(lambda: "02:00:00:00:05:01" in hq["hq"].run("nft list table netdev plaingate").stdout, 3, "the filter to follow")
        hq.commit("hq", config_of("hq"), "the parent alone")
        assert "02:00:00:00:05:01" not in hq["hq"].run("nft list table netdev plaingate").stdout
        hq["host-a"].run("ping -c 2 -i 0.2 -W 1 10.1.0.1")
        assert hq["host-a"].run("ping -c 1 -W 1 -I 10.5.0.2 10.5.0.1", check=False).returncode != 0
    finally:
        hq["host-a"].run("ip rule del from 10.5.0.2 table 55")
        for node, parent in (("hq", "lan0"), ("host-a", "eth0")):
            hq[node].sysctl({"net.ipv4.conf.all.arp_ignore": 0, "net.ipv4.conf.all.arp_announce": 0})
            hq[node].run(f"ip link del {parent}m")


@pytest.mark.parametrize("vlan, passes", [(None, True), (0, True), (30, False)])
def test_a_priority_tag_is_no_vlan(hq, vlan, passes):
    from scapy.all import ICMP, IP, Dot1Q, Ether
    mac, own = own_mac(hq, "hq", "lan0"), own_mac(hq, "host-a")
    hq["host-a"].run("ping -c 1 -W 1 10.1.0.1")
    with Capture(hq, "internet", "hq0", f"icmp and dst {WEB}") as seen:
        for to in (WEB, "10.1.0.1"):
            frame = Ether(dst=mac, src=own)
            frame = frame if vlan is None else frame / Dot1Q(vlan=vlan, prio=5)
            send_frames(hq, "host-a", [frame / IP(src=HOST_A, dst=to) / ICMP(id=70 + (vlan or 0), seq=n) / b"x" for n in range(3)])
        time.sleep(0.5)
    assert seen.count() == (3 if passes else 0), drops(hq, "hq")


class Cable:
    """Two TUN devices of one name, joined: what one machine sends there the other gets, as over PPP."""

    def __init__(self, lab, name, ends):
        self.fds, self.running = [], True
        for node, address, peer in ends:
            self.fds.append(self.open(lab[node], name))
            lab[node].run(f"ip addr add {address} peer {peer} dev {name}")
            lab[node].run(f"ip link set {name} up mtu 1492")
        self.thread = threading.Thread(target=self._pump, daemon=True)
        self.thread.start()

    def open(self, node, name):
        made = []

        def enter():
            with open(f"/run/netns/{node.netns}", "rb") as ns:
                assert libc.setns(ns.fileno(), CLONE_NEWNET) == 0
            fd = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name.encode(), 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
            made.append(fd)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]

    def _pump(self):
        while self.running:
            for fd in select.select(self.fds, [], [], 0.1)[0]:
                try:
                    os.write(self.fds[1 - self.fds.index(fd)], os.read(fd, 65536))
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        for fd in self.fds:
            os.close(fd)


def test_an_uplink_without_link_address(hq):
    """As PPPoE gives one: forwarded and translated, in both directions, large and small, IPv6 too, and guarded like any other."""
    text = config_of("hq", ("interfaces wan0;", "interfaces [ wan0 ppp0 ];"))
    with Cable(hq, "ppp0", (("hq", "100.64.0.2", "100.64.0.1"), ("internet", "100.64.0.1", "100.64.0.2"))):
        hq.commit("hq", text, "an uplink by PPP")
        hq["hq"].run("ip -6 addr add fd00:99::2 peer fd00:99::1 dev ppp0 nodad")
        hq["internet"].run("ip -6 addr add fd00:99::1 peer fd00:99::2 dev ppp0 nodad")
        wait_for(lambda: interface(hq, "ppp0")["state"] == "up", 5, f"ppp0 in use, {interface(hq, 'ppp0')}")
        hq["hq"].run(f"ip route add {WEB}/32 dev ppp0")
        try:
            wait_for(lambda: hq["host-a"].run(f"ping -c 1 -W 1 {WEB}", check=False).returncode == 0, 5, f"web over ppp0; {drops(hq, 'hq')}")
            with Capture(hq, "internet", "ppp0", "tcp or icmp") as seen:
                assert "served by web" in hq["host-a"].run(f"curl -sS --max-time 5 http://{WEB}/").stdout
                hq["host-a"].run(f"curl -sS --max-time 20 -o /dev/null http://{WEB}/1m.bin")
                with TcpStream(hq, "host-a", "web", WEB, port=5205) as stream:
                    stream.wait_flowing()
                hq["host-a"].run(f"ping -c 2 -i 0.2 -W 1 -s 4000 {WEB}")
            lines = seen.lines()
            assert lines and not [line for line in lines if HOST_A in line], "translated"
            hq["hq"].run(f"ping -c 1 -W 1 {WEB}")
            hq["internet"].run("ping -c 1 -W 1 100.64.0.2")
            hq["internet"].run("ping -6 -c 1 -W 1 fd00:99::2")
            with listener(hq, "hq", 8080):
                assert isinstance(connect(hq, "internet", "100.64.0.2", 8080, timeout=0.5), OSError)
            before = counter(hq, "hq", "link-send")
            hq["host-a"].run(f"ping -c 2 -i 0.2 -W 1 {WEB}")
            assert counter(hq, "hq", "link-send") == before
        finally:
            hq["hq"].run(f"ip route del {WEB}/32 dev ppp0")
