"""Rows of nodes whose gateways run Plaingate: as a plain firewall, with source NAT at hq, or with a tunnel."""
from measure import PREFIX, LabError, Row, run, wait_for

GATEWAYS = ("hq", "branch")
PEERS = {  # for each: the other gateway, local and remote address, both LANs
         "hq": ("branch", "198.51.100.2", "198.51.100.3", "10.1.0.0/24", "10.2.0.0/24"),
         "branch": ("hq", "198.51.100.3", "198.51.100.2", "10.2.0.0/24", "10.1.0.0/24")}

RULE = """
        rule bench {
            match {
                source any;
                destination any;
                application [ iperf udp-load ping ];
            }
            then {
                permit;
            }
        }
"""


def pair(from_zone, to_zone):
    return f"    from {from_zone} to {to_zone} {{{RULE}    }}\n"


def config(name, kind, encryption="aes256gcm16"):
    """kind: plain, nat (source NAT at hq) or tunnel."""
    peer, local, remote, lan, far_lan = PEERS[name]
    other = "vpn" if kind == "tunnel" else "untrust"
    text = f"""
system {{
    host-name {name};
}}
zones {{
    zone trust {{
        interfaces lan0;
        host-inbound ping;
    }}
    zone untrust {{
        interfaces wan0;
        host-inbound [ ike ping ];
    }}
    zone vpn {{
        host-inbound ping;
    }}
}}
applications {{
    application iperf {{
        protocol tcp;
        destination-port 5201;
    }}
    application udp-load {{
        protocol udp;
        destination-port 9;
    }}
}}
policy {{
{pair("trust", other)}{pair(other, "trust")}}}
"""
    if kind == "nat" and name == "hq":
        text += """
nat {
    source {
        rule all {
            from trust;
            to untrust;
            then {
                source-nat interface;
            }
        }
    }
}
"""
    if kind == "tunnel":
        text += f"""
ike {{
    proposal bench {{
        encryption {encryption};
        dh-group x25519;
    }}
    peer {peer} {{
        local-address {local};
        remote-address {remote};
        local-id {name}.example.net;
        remote-id {peer}.example.net;
        pre-shared-key hq-branch;
        proposals bench;
        force-encapsulation;
        start {"always" if name == "hq" else "never"};
    }}
}}
ipsec {{
    proposal bench {{
        encryption {encryption};
    }}
    tunnel {peer} {{
        peer {peer};
        zone vpn;
        local {lan};
        remote {far_lan};
        proposals bench;
    }}
}}
"""
    return text


class Gateways:
    """A row whose gateways run Plaingate; afterwards it is checked that Plaingate carried the traffic."""

    def __init__(self, kind, offloads, lab=None, configs=None):
        self.kind, self.lab = kind, lab or Row(f"{PREFIX}{kind}-")
        self.lab.up(offloads, "plaingate", configs or {name: config(name, kind) for name in GATEWAYS})
        if kind == "tunnel":
            self.lab.wait_for_tunnel()
        else:
            for gateway, prefix, via in Row.kernel_routes:
                run(["ip", "-n", self.lab[gateway].netns, "route", "add", prefix, "via", via])
        wait_for(lambda: self.lab["host-a"].run("ping -c 1 -W 1 10.2.0.2", check=False).returncode == 0, 10,
                 f"a ping through the row {kind}")
        self.pids = self.processes()

    def processes(self):
        return {gateway: sorted((row["process"], row["pid"]) for row in self.lab.show(gateway, "status")) for gateway in GATEWAYS}

    def assert_carried(self):
        """Checks that the processes are still the same ones, and that the kernel could not have forwarded in their place."""
        if self.processes() != self.pids:
            raise LabError(f"a process of the gateways {self.kind} died during the measurement: {self.pids} {self.processes()}")
        for gateway in GATEWAYS:
            forwards = self.lab[gateway].run("sysctl -n net.ipv4.conf.lan0.forwarding net.ipv4.ip_forward").stdout.split()
            if any(value != "0" for value in forwards):
                raise LabError(f"the kernel of {gateway} forwards")
