"""Two tunnels with an interface between the gateways of the lab two-sites: st0.1 outside in IPv4, st0.2 in IPv6, both with all addresses as
selectors."""
import contextlib

from kit import GATEWAYS, config_of, own_lab, show, verify_ledger, wait_for

ENDS = {"hq": "10.255.{n}.1/30", "branch": "10.255.{n}.2/30"}
ENDS6 = {"hq": "fd00:255:{n}::1/64", "branch": "fd00:255:{n}::2/64"}
SERVICES = "[ ping ospf bgp udp/3784-3785 ]"
TUNNEL = """    tunnel {name} {{
        peer {peer};
        zone vpn;
        interface st0.{n};
        local [ 0.0.0.0/0 ::/0 ];
        remote [ 0.0.0.0/0 ::/0 ];
        proposals modern;
    }}
"""


def other(gateway):
    return "branch" if gateway == "hq" else "hq"


def config(gateway, *changes):
    """The lab's configuration with the two tunnels in place of its own."""
    far = other(gateway)
    text = config_of(gateway, ("zone vpn {\n        host-inbound ping;", f"zone vpn {{\n        host-inbound {SERVICES};"))
    text = text.replace("dpd 10;", "dpd 10;\n        start always;").replace("start always;\n        force-encapsulation;\n        start always;",
                                                                                "start always;\n        force-encapsulation;")
    start, end = text.index(f"    peer {far} {{"), text.index("}\n\nipsec")
    four = text[start:end]
    six = four.replace(f"peer {far} ", f"peer {far}6 ")
    for v4, v6 in (("198.51.100.2", "2001:db8:1::2"), ("203.0.113.2", "2001:db8:2::2")):
        six = six.replace(v4, v6)
    text = text[:end] + six + text[end:]
    at = text.index(f"    tunnel {far} {{")
    text = text[:at] + TUNNEL.format(name="one", peer=far, n=1) + TUNNEL.format(name="two", peer=f"{far}6", n=2) + "}\n"
    for old, new in changes:
        assert old in text, f"the configuration of {gateway} has no {old!r}"
        text = text.replace(old, new, 1)
    return text


def address_interfaces(lab, gateway):
    for n in (1, 2):
        for address in (ENDS[gateway], ENDS6[gateway]):
            lab[gateway].run(f"ip addr replace {address.format(n=n)} dev st0.{n}")


def has_carrier(lab, gateway, interface):
    return "LOWER_UP" in lab[gateway].run(f"ip link show {interface}").stdout


def both_up(lab):
    return all(has_carrier(lab, gateway, f"st0.{n}") for gateway in GATEWAYS for n in (1, 2))


def ping(lab, node, address, *options):
    return lab[node].run(["ping", "-c", "1", "-W", "1", *options, address], check=False).returncode == 0


def carried(lab):
    return {row["tunnel"]: row["packets_out"] for row in show(lab, "hq", "tunnels")}


@contextlib.contextmanager
def routed_lab(name):
    """Both tunnels are up, and their interfaces have addresses."""
    two_sites = own_lab(name)
    two_sites.up("on", configs={gateway: config(gateway) for gateway in GATEWAYS})
    try:
        for gateway in GATEWAYS:
            address_interfaces(two_sites, gateway)
        wait_for(lambda: both_up(two_sites), 30, "carrier of the tunnels' interfaces")
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()
