"""Screens with generators on the Internet side (raw packets by scapy, floods and scans by plain sockets): each is met, counted by zone, said in the
log, and an ordinary download beside it meets none."""
import pytest
from kit import HOST_A, config_of, own_lab, show, verify_ledger

SERVER = "192.0.2.130"
SCREEN = """screens {
    screen internet {
        icmp { flood { threshold 20; } ip-sweep { } large; fragment; ping-death; }
        ip { record-route-option; loose-source-route-option; unknown-protocol; tear-drop; block-frag; spoofing strict;
             tunnel { ipip-6in4; gre-4in4; bad-inner-header; } }
        tcp { land; winnuke; tcp-no-flag; syn-fin; fin-no-ack; syn-frag; port-scan { } tcp-sweep { } }
        udp { flood { threshold 20; } port-scan { } udp-sweep { } }
    }
}
"""
NAT = ("nat {\n", f"nat {{\n    static {{ rule server {{ from untrust; match {{ destination {SERVER}; }} then {{ static-nat {HOST_A}; }} }} }}\n")
PACKETS = f"""
from scapy.all import IP, TCP, UDP, ICMP, GRE, IPv6, Raw, IPOption_RR, send, fragment
to = dict(dst="{SERVER}")
for p in (IP(**to) / ICMP() / Raw(b"x" * 1200),
          IP(flags="MF", **to) / ICMP() / Raw(b"x" * 16),
          IP(frag=8190, **to) / ICMP() / Raw(b"x" * 64),
          IP(options=[IPOption_RR(routers=["0.0.0.0"])], **to) / UDP(dport=53),
          IP(proto=200, **to) / Raw(b"abcd"),
          IP(frag=100, proto=17, **to) / Raw(b"x" * 16),
          IP(**to) / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(),
          IP(**to) / GRE() / IP(src="10.9.0.1", dst="10.9.0.2") / UDP(),
          IP(**to) / IP(src="127.0.0.1", dst="10.9.0.2") / UDP(),
          IP(src="{SERVER}", **to) / TCP(dport=80, flags="S"),
          IP(**to) / TCP(dport=139, flags="UA"),
          IP(**to) / TCP(dport=80, flags=""),
          IP(**to) / TCP(dport=80, flags="SF"),
          IP(**to) / TCP(dport=80, flags="F"),
          IP(src="10.1.0.77", **to) / UDP(dport=53),
          IP(flags="MF", **to) / TCP(dport=80, flags="S", options=[]) / Raw(b"x" * 4)):
    send(p, verbose=False)
"""
FLOOD = f"""
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(3000, 3018):
    udp.sendto(b"x", ("{SERVER}", port))
for i in range(200):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("{SERVER}", 3000 + i))
for i in range(60):
    udp.sendto(b"x", ("{SERVER}", 9))
"""
EXPECTED = """icmp-large icmp-fragment icmp-ping-death ip-record-route ip-unknown-protocol ip-block-frag
    tunnel-ipip-6in4 tunnel-gre-4in4 tcp-land tcp-winnuke tcp-no-flag tcp-syn-fin tcp-fin-no-ack tcp-syn-frag
    ip-spoofing udp-flood udp-port-scan tcp-port-scan icmp-flood""".split()


def met(lab):
    return {row["recognises"]: row["packets"] for row in show(lab, "hq", "screens")}


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("scr")
    two_sites.up("on")
    try:
        two_sites.commit("hq", config_of("hq", ("zone untrust {", "zone untrust {\n        screen internet;"), ("zones {\n", SCREEN + "zones {\n"), NAT), "screens")
        two_sites["internet"].run(f"ip route add {SERVER} via 198.51.100.2")
        two_sites["web"].run(f"ip route add {SERVER} via 192.0.2.1")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def test_ordinary_traffic_meets_none(lab):
    lab["host-a"].run("curl -sf -o /dev/null http://192.0.2.80/")
    lab["host-a"].run("ping -c 3 -i 0.2 192.0.2.80")
    assert set(met(lab).values()) == {0}


def test_each_generator_meets_its_screen(lab):
    lab["web"].run(["/usr/bin/python3", "-c", PACKETS], timeout=60)
    lab["web"].run(["/usr/bin/python3", "-c", FLOOD])
    lab["web"].run(f"ping -q -f -c 100 -W 1 {SERVER}", check=False)
    counts = met(lab)
    assert not [name for name in EXPECTED if not counts[name]], counts


def test_alarms_alone(lab):
    text = config_of("hq", ("zone untrust {", "zone untrust {\n        screen internet;"),
                     ("zones {\n", SCREEN.replace("screen internet {", "screen internet {\n        alarm-without-drop;") + "zones {\n"), NAT)
    lab.commit("hq", text, "alarms")
    before = met(lab)
    lab["web"].run(["/usr/bin/python3", "-c", PACKETS], timeout=60)
    assert all(row["action"] == "alarm" for row in show(lab, "hq", "screens"))
    assert met(lab)["tcp-winnuke"] > before["tcp-winnuke"]
