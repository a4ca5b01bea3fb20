"""Tunnels in every form: IPv4 and IPv6 outside, ESP plain and in UDP, other algorithms, a NAT between the gateways. In each case both
families pass inside, small, large and in bulk, and nothing is seen in clear."""
import re

import pytest
from kit import (GATEWAYS, HOST_A, HOST_A6, HOST_B, HOST_B6, LAN_FILTER, WEB, Capture, TcpStream, UdpStream, config_of, drops, own_lab, show,
                 verify_ledger, wait_for)

V6 = {"198.51.100.2": "2001:db8:1::2", "203.0.113.2": "2001:db8:2::2"}
PLAIN = ("        force-encapsulation;\n", "")
OUTSIDE = {  # what tcpdump shows for ESP packets
    "v4-udp": "udp port 4500 and udp[8:4] != 0",
    "v4-esp": "ip proto 50",
    "v6-udp": "ip6 and udp port 4500",
    "v6-esp": "ip6 proto 50",
}


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgo")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


def commit(lab, *changes, v6=False, texts=None):
    """Both gateways' configurations with the changes, by which the tunnel is negotiated again."""
    before = {gateway: {row["spi_in"] for row in show(lab, gateway, "ipsec")} for gateway in GATEWAYS}
    for gateway in GATEWAYS[::-1]:
        text = (texts or {}).get(gateway) or config_of(gateway, *changes)
        if v6:
            for old, new in V6.items():
                text = text.replace(f"address {old};", f"address {new};")
        lab.commit(gateway, text, "another dress")
    wait_for(lambda: all({row["spi_in"] for row in show(lab, g, "ipsec") if row["state"] == "active"} - before[g] for g in GATEWAYS), 30,
             "a new tunnel by the new configuration")
    wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0, 10, "traffic by the new configuration")


def assert_carries(lab, outside):
    """Both ways, both families; large packets; bulk."""
    with Capture(lab, "internet", "hq0") as seen:
        streams = [UdpStream(lab, source, sink, address, port=port, rate=100) for source, sink, address, port in (
            ("host-a", "host-b", HOST_B, 5201), ("host-b", "host-a", HOST_A, 5202), ("host-a", "host-b", HOST_B6, 5203),
            ("host-b", "host-a", HOST_A6, 5204))]
        for stream in streams:
            stream.__enter__()
        with TcpStream(lab, "host-a", "host-b", HOST_B6, port=5205) as tcp:
            for stream in (*streams, tcp):
                stream.wait_flowing()
            for address in (HOST_B, HOST_B6):
                # In IPv6 each end is told once the MTU of its path: no router fragments.
                lab["host-a"].run(f"ping -c 4 -i 0.1 -W 2 -s 4000 {address}")
                lab["host-a"].run(["curl", "-sS", "-g", "--max-time", "10", "-o", str(lab.state / "got.bin"),
                                   f"http://{f'[{address}]' if ':' in address else address}/1m.bin"])
                assert (lab.state / "got.bin").read_bytes() == (lab.state / "host-b/www/1m.bin").read_bytes()
        for stream in streams:
            stream.hush()
        for stream in streams:
            stream.stop()
    assert not tcp.failure and [len(stream.lost()) for stream in streams] == [0] * 4, {g: drops(lab, g) for g in GATEWAYS}
    assert seen.count(LAN_FILTER) == 0 and not seen.holds(b"served by host-b")
    assert seen.count(outside) > 100, f"only {seen.count(outside)} packets of {outside}"


def assert_size_is_told(lab):
    """The largest packet that the tunnel reports passes whole, and the next larger one does not."""
    mtu = int(show(lab, "hq", "ipsec")[0]["mtu"])
    lab["host-a"].run("ip route flush cache")
    said = lab["host-a"].run(f"ping -c 1 -W 2 -M do -s {mtu - 27} {HOST_B}", check=False).stdout
    assert re.search(rf"mtu = ?{mtu}\b", said), said
    with Capture(lab, "internet", "hq0", "(ip[6:2] & 0x3fff != 0) or (ip6[6] == 44)") as fragments:
        lab["host-a"].run(f"ping -c 1 -W 2 -M do -s {mtu - 28} {HOST_B}")
    assert fragments.count() == 0, "sealed packets fit the path whole"


@pytest.mark.parametrize("dress", list(OUTSIDE))
def test_outside(lab, dress):
    v6, plain = dress.startswith("v6"), dress.endswith("esp")
    commit(lab, *([PLAIN] if plain else []), ("encryption aes256gcm16;\n        prf", "encryption aes128gcm16;\n        prf"), v6=v6)
    row = [row for row in show(lab, "hq", "ipsec") if row["state"] == "active"][0]
    assert (row["encapsulation"] == "udp") != plain and (":" in row["remote"].rsplit(":", 1)[0]) == v6, row
    assert_carries(lab, OUTSIDE[dress])
    assert_size_is_told(lab)


ALGORITHMS = {
    "chacha20poly1305": [("encryption aes256gcm16;\n        prf prfsha384;\n        dh-group x25519;",
                          "encryption chacha20poly1305;\n        prf prfsha256;\n        dh-group ecp256;"),
                         ("encryption aes256gcm16;\n        pfs x25519;", "encryption chacha20poly1305;\n        pfs ecp384;\n        esn no;")],
    "aes128gcm16": [("encryption aes256gcm16;\n        prf prfsha384;\n        dh-group x25519;",
                     "encryption aes128gcm16;\n        prf prfsha256;\n        dh-group ecp384;"),
                    ("encryption aes256gcm16;\n        pfs x25519;", "encryption aes128gcm16;\n        pfs none;\n        esn yes;")],
}


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_algorithms(lab, name):
    commit(lab, *ALGORITHMS[name])
    row = [row for row in show(lab, "hq", "ipsec") if row["state"] == "active"][0]
    assert row["algorithm"] == name and row["esn"] == (name == "aes128gcm16"), row
    assert_carries(lab, OUTSIDE["v4-udp"])
    for gateway, peer in (("hq", "branch"), ("branch", "hq")):
        before = {row["spi_in"] for row in show(lab, "hq", "ipsec")}
        lab[gateway].run(f"plaingate ike rekey-child {peer}")
        wait_for(lambda b=before: {row["spi_in"] for row in show(lab, "hq", "ipsec")} - b, 20, "a rekey with these algorithms")
    assert_carries(lab, OUTSIDE["v4-udp"])


BY_HEAD_OFFICE = {
    "hq": [("local [ 10.1.0.0/24 fd00:1::/64 ];", "local [ 0.0.0.0/0 ::/0 ];"),
           ("    global {", """    from vpn to untrust {
        rule branch-out {
            match {
                source branch-lan;
                destination any;
                application [ http ping ];
            }
            then {
                permit;
            }
        }
    }
    global {"""),
           ("nat {\n    source {", """nat {
    source {
        rule branch-out {
            from vpn;
            to untrust;
            then {
                source-nat interface;
            }
        }""")],
    "branch": [("remote [ 10.1.0.0/24 fd00:1::/64 ];", "remote [ 0.0.0.0/0 ::/0 ];"),
               ("destination hq-lan;", "destination any;")],
}


def test_everything_through_head_office(lab):
    """The branch's remote side is everything: its hosts and the gateway itself reach the Internet only through the tunnel, and one another
    as before."""
    def thrown():
        return [lab["branch"].run(f"ip {family} route show table 20551").stdout.count("throw") for family in ("-4", "-6")]

    commit(lab, texts={gateway: config_of(gateway, *changes) for gateway, changes in BY_HEAD_OFFICE.items()})
    assert thrown() == [1, 1]
    with Capture(lab, "internet", "branch0") as outside, Capture(lab, "internet", "hq0") as at_hq:
        for address in ("10.2.0.1", "fd00:2::1"):
            lab["host-b"].run(f"ping -c 2 -i 0.2 -W 2 {address}")
        for address in (HOST_B, HOST_B6):
            lab["branch"].run(f"ping -c 2 -i 0.2 -W 2 {address}")
        assert "served by web" in lab["host-b"].run(f"curl -sS --max-time 5 http://{WEB}/").stdout
        lab["branch"].run(f"ping -c 1 -W 2 {WEB}")  # from its LAN's address
        for address in (HOST_A, HOST_A6):
            lab["host-b"].run(f"ping -c 1 -W 2 {address}")
        # the documented limit: answers from its outside address have no route
        assert lab["internet"].run("ping -c 1 -W 1 203.0.113.2", check=False).returncode == 1
    assert outside.count(f"host {WEB}") == 0 and outside.count(LAN_FILTER) == 0, "nothing of it in clear"
    assert outside.count(OUTSIDE["v4-udp"]) > 10 and at_hq.count(f"host {WEB} and host 198.51.100.2") > 5
    commit(lab)
    assert thrown() == [0, 0]
    assert_carries(lab, OUTSIDE["v4-udp"])


def test_behind_a_translating_router(lab):
    """hq is behind a NAT; branch does not know its address. Encapsulation is not forced: both sides detect the NAT."""
    texts = {"hq": config_of("hq", PLAIN),
             "branch": config_of("branch", PLAIN, ("remote-address 198.51.100.2;", "remote-address any;\n        start never;"))}
    # In one step: whatever the router sees first of a flow decides whether it translates it.
    (lab["internet"].state / "translate.nft").write_text("""table ip translate {
	chain forward { type filter hook forward priority 0; iifname branch0 ip daddr 198.51.100.2 ct state new drop; }
	chain post { type nat hook postrouting priority srcnat; oifname branch0 ip saddr 198.51.100.2 meta l4proto udp masquerade to :20000-30000; }
}
""")
    lab["internet"].run(["nft", "-f", str(lab["internet"].state / "translate.nft")])
    try:
        commit(lab, texts=texts)
        def found():
            return {gateway: [row["nat"] for row in show(lab, gateway, "ike") if row["state"] == "established"] for gateway in GATEWAYS}
        wait_for(lambda: found() == {"hq": ["local"], "branch": ["peer"]}, 5, f"both to see the translation; there is {found()}")
        there = [row for row in show(lab, "branch", "ipsec") if row["state"] == "active"][0]
        address, port = there["remote"].rsplit(":", 1)
        assert there["encapsulation"] == "udp" and address == "203.0.113.1" and int(port) in range(20000, 30001), there
        assert_carries(lab, "udp port 4500")
    finally:
        lab["internet"].run(["nft", "delete table ip translate"])
