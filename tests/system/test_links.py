"""Links of every kind that a machine has: subinterfaces beside their parent, priority tags, and links without a link address."""
import fcntl
import os
import select
import socket
import struct
import threading
import time

import pytest
from kit import (HOST_A, HOST_B, HOST_B6, WEB, Capture, TcpStream, config_of, connect, counter, drops, listener, own_mac, send_frames, show,
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
    """A macvlan on lan0 with a network of its own: both work, in one zone and in two, and what is in no zone is not reached."""
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
        seen.wait(3 if passes else 0)
    assert seen.count() == (3 if passes else 0), drops(hq, "hq")


IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 1, 2, 0x1000, 0x4000


def open_tun(node, name, flags):
    """A TUN or TAP device of the node; its file."""
    made = []

    def enter():
        with open(f"/run/netns/{node.netns}", "rb") as ns:
            assert libc.setns(ns.fileno(), CLONE_NEWNET) == 0
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name.encode(), flags | IFF_NO_PI))  # TUNSETIFF
        made.append(fd)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


class Cable:
    """Two TUN devices of one name, joined: what one machine sends the other receives, as over PPP."""

    def __init__(self, lab, name, ends):
        self.fds, self.running = [], True
        for node, address, peer in ends:
            self.fds.append(open_tun(lab[node], name, IFF_TUN))
            lab[node].run(f"ip addr add {address} peer {peer} dev {name}")
            lab[node].run(f"ip link set {name} up mtu 1492")
        self.thread = threading.Thread(target=self._pump, daemon=True)
        self.thread.start()

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
    """A link as PPPoE provides it: forwarded and translated, in both directions, large and small, IPv6 too, and filtered like any other."""
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
            before = counter(hq, "hq", "link-send-failed")
            hq["host-a"].run(f"ping -c 2 -i 0.2 -W 1 {WEB}")
            assert counter(hq, "hq", "link-send-failed") == before
        finally:
            hq["hq"].run(f"ip route del {WEB}/32 dev ppp0")


@pytest.mark.parametrize("sink, address", [("web", WEB), ("host-b", HOST_B), ("host-b", HOST_B6)])
def test_lists_of_datagrams(hq, sink, address):
    """A link that gathers UDP in lists (rx-gro-list) delivers trains without a checksum of the whole: forwarded like any others."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 2):
        pytest.skip("this kernel describes no trains of UDP")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent = [struct.pack("!I", n) + os.urandom(996) for n in range(400)]
    before = counter(hq, "hq", "malformed"), counter(hq, "hq", "packets-in"), counter(hq, "hq", "trains-in")
    with hq[sink].socket(family, socket.SOCK_DGRAM) as server, hq["host-a"].socket(family, socket.SOCK_DGRAM) as s:
        server.bind(("", 5205))
        server.settimeout(2)
        server.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
        s.connect((address, 5205))
        s.send(b"first")
        assert server.recv(2000) == b"first"
        try:
            hq["hq"].run("ethtool -K lan0 gro on rx-gro-list on")
            hq["host-a"].run("ethtool -K eth0 tx off")  # packets with checksums on the cable, one directly after the other
            s.setsockopt(17, 103, 1000)  # SOL_UDP, UDP_SEGMENT
            for n in range(0, len(sent), 20):
                s.send(b"".join(sent[n:n + 20]))
                time.sleep(0.01)
            assert [server.recv(2000) for _ in sent] == sent
        finally:
            hq["host-a"].run("ethtool -K eth0 tx on tso on tx-udp-segmentation on")
            hq["hq"].run("ethtool -K lan0 rx-gro-list off gro off")
    assert counter(hq, "hq", "malformed") == before[0]
    assert counter(hq, "hq", "packets-in") - before[1] > 5 * (counter(hq, "hq", "trains-in") - before[2]), "there were such lists"


# --- tunnels of others, whose packets come in trains ---

# The arguments of `ip link add`, the family of the outer addresses, and whether IPv6 passes through.
CARRIERS = {
    "gre": ("gre", 4, True), "gretap": ("gretap", 4, True), "ipip": ("ipip", 4, False), "sit": ("sit mode any", 4, True),
    "ip6gre": ("ip6gre", 6, True), "ip6tnl": ("ip6tnl mode any", 6, True),
    "vxlan": ("vxlan id 5 dstport 4789", 4, True), "vxlan-ipv6": ("vxlan id 5 dstport 4789", 6, True),
}
OPEN = (("application office;", "application any;"), ("application office;", "application any;"))
OPEN_HQ = (*OPEN, ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];", "application any;"),
           ("    global {", "    from untrust to trust { rule back { match { source any; destination any; application any; } then { permit; } } }\n"
            "    global {"))
UNTRANSLATED = (("source-nat interface;", "source-nat off;"), ("source-nat interface-ipv6;", "source-nat off;"))


def send_all(lab, source, sink, address, octets):
    """Sends that much by TCP and checks that the sink received the same."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent, got = os.urandom(octets), []
    with listener(lab, sink, 5301, family=family) as server:
        def take():
            with server.accept()[0] as s:
                s.settimeout(20)
                while part := s.recv(1 << 16):
                    got.append(part)
                s.sendall(b"".join(got))

        thread = threading.Thread(target=take)
        thread.start()
        with lab[source].socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(20)
            s.connect((address, 5301))
            s.sendall(sent)
            s.shutdown(socket.SHUT_WR)
            back = b""
            while part := s.recv(1 << 16):
                back += part
        thread.join()
    assert b"".join(got) == sent == back


@pytest.fixture()
def open_sites(lab):
    """Everything is permitted, nothing is translated, and the Internet has a route to the LAN of hq."""
    lab.commit("hq", config_of("hq", *OPEN_HQ, *UNTRANSLATED), "open, untranslated")
    lab.commit("branch", config_of("branch", *OPEN), "open")
    routes = (("", "10.1.0.0/24", "198.51.100.2"), ("-6", "fd00:1::/64", "2001:db8:1::2"))
    for family, prefix, via in routes:
        lab["internet"].run(f"ip {family} route add {prefix} via {via}")
    lab.wait_for_tunnel()
    yield lab
    for family, prefix, via in routes:
        lab["internet"].run(f"ip {family} route del {prefix} via {via}")
    for gateway in ("hq", "branch"):
        lab.commit(gateway, config_of(gateway), "as before")
    lab.wait_for_tunnel()


@pytest.mark.parametrize("far", ["host-b", "web"])
@pytest.mark.parametrize("kind", CARRIERS)
def test_tcp_in_a_tunnel_of_others(open_sites, kind, far):
    """A tunnel between hosts behind us, inside ours and in clear: TCP in it comes in trains and arrives whole, both ways."""
    lab, (how, family, ipv6) = open_sites, CARRIERS[kind]
    ends = {4: {"host-a": HOST_A, "host-b": HOST_B, "web": WEB}, 6: {"host-a": "fd00:1::2", "host-b": "fd00:2::2", "web": "2001:db8:80::80"}}[family]
    before = {gateway: (counter(lab, gateway, "malformed"), counter(lab, gateway, "packets-in"), counter(lab, gateway, "trains-in"))
              for gateway in ("hq", "branch")}
    try:
        for node, other, n in (("host-a", far, 1), (far, "host-a", 2)):
            done = lab[node].run(f"ip link add carried type {how.split()[0]} {' '.join(how.split()[1:])} local {ends[node]} remote {ends[other]}",
                                 check=False)
            if "Unknown device type" in done.stderr:
                pytest.skip(f"this kernel has no links of type {how.split()[0]}")
            assert done.returncode == 0, done.stderr
            lab[node].run(f"ip addr add 10.99.0.{n}/24 dev carried")
            if ipv6:
                lab[node].run(f"ip -6 addr add fd00:99::{n}/64 dev carried nodad")
            lab[node].run("ip link set carried up mtu 1280")
        for address in ("10.99.0.2", "fd00:99::2") if ipv6 else ("10.99.0.2",):
            send_all(lab, "host-a", far, address, 4 << 20)
        malformed, packets, trains = before["hq"]
        assert counter(lab, "hq", "malformed") == malformed, drops(lab, "hq")
        assert counter(lab, "branch", "malformed") == before["branch"][0], drops(lab, "branch")
        # They did come in trains: otherwise this test would test nothing.
        assert counter(lab, "hq", "packets-in") - packets > 2 * (counter(lab, "hq", "trains-in") - trains)
    finally:
        for node in ("host-a", far):
            lab[node].run("ip link del carried", check=False)


def partial_sum(src, dst, proto, n):
    words = struct.unpack("!12H", socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!HHIQ", proto, n, 0, 0))
    total = sum(words)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


@pytest.fixture()
def guest(hq):
    """A virtual machine's link at hq, in zone trust: what it sends comes with the header that says what is left to compute."""
    fd = open_tun(hq["hq"], "vm0", IFF_TAP | IFF_VNET_HDR)
    hq["hq"].run("ip addr add 10.6.0.1/24 dev vm0")
    hq["hq"].run("ip link set vm0 up")
    hq.commit("hq", config_of("hq", ("interfaces lan0;", "interfaces [ lan0 vm0 ];"), ("[ 10.1.0.0/24 fd00:1::/64 ]", "[ 10.1.0.0/24 10.6.0.0/24 ]"),
                              ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];", "application any;")), "a guest")
    wait_for(lambda: interface(hq, "vm0")["state"] == "up", 5, "vm0 in use")
    hq["hq"].run("ping -c 1 -W 1 198.51.100.1")
    yield hq, fd
    os.close(fd)


GUEST, INSIDE = "10.6.0.2", ("172.16.0.1", "172.16.0.2")


def guest_sends(guest, ip, left, size, come):
    """An IP packet whose last `left` octets, from its TCP header on, are to be cut into segments of `size`; what hq0 sees then, and that
    so many come."""
    from scapy.all import IP, Ether, raw
    hq, fd = guest
    frame = raw(Ether(dst=own_mac(hq, "hq", "vm0"), src="02:00:00:00:06:02") / ip)
    l4 = len(frame) - left
    virtio = struct.pack("<BBHHHH", 1, 1, l4 + 20, size, l4, 16)  # NEEDS_CSUM, GSO_TCPV4
    with Capture(hq, "internet", "hq0", f"dst {WEB}") as seen:
        os.write(fd, virtio + frame)
        seen.wait(come)
    return [Ether(octets)[IP] for _, octets in seen.frames()]


@pytest.mark.parametrize("front", ["gre", "gre with a key and a sum", "ip"])
def test_a_train_in_a_tunnel_as_a_kernel_leaves_it(guest, front):
    """On every kernel: the train of a guest's GRE or IP in IP comes out as packets, translated and with correct checksums."""
    from scapy.all import GRE, IP, TCP, raw
    payload = os.urandom(20000)
    ip = IP(src=GUEST, dst=WEB)
    if front != "ip":
        ip /= GRE(proto=0x0800, chksum_present=1, key_present=1, key=9, chksum=0) if "sum" in front else GRE(proto=0x0800)
    tcp = TCP(sport=4000, dport=80, seq=77, ack=1, flags="A", chksum=partial_sum(*INSIDE, 6, 20020))
    packets = guest_sends(guest, ip / IP(src=INSIDE[0], dst=INSIDE[1]) / tcp / payload, 20020, 1200, (20000 + 1199) // 1200)
    assert len(packets) == (20000 + 1199) // 1200, drops(guest[0], "hq")
    got = b""
    for packet in packets:
        assert packet.src == "198.51.100.2" and packet.len <= 1500
        inside = packet[IP:2]
        assert inside.src == INSIDE[0] and inside[TCP].seq == 77 + len(got)
        got += raw(inside[TCP].payload)
        there, again = raw(packet), packet.copy()
        for layer in (again, again[IP:2], again[TCP]) + ((again[GRE],) if "sum" in front else ()):
            del layer.chksum
        assert raw(again) == there
    assert got == payload


def test_a_guest_cannot_hold_up_the_others(guest):
    """60,000 octets in segments of one octet are not processed: dropped, with a named reason."""
    from scapy.all import IP, TCP
    hq = guest[0]
    before = counter(hq, "hq", "segment-limit")
    assert not guest_sends(guest, IP(src=GUEST, dst=WEB) / TCP(sport=9, dport=80, flags="A", chksum=1) / bytes(60000), 60020, 1, 0)
    wait_for(lambda: counter(hq, "hq", "segment-limit") == before + 60000, 10, f"the counter; {drops(hq, 'hq')}")
