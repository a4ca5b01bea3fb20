"""Rows of nodes for bench/firewall: the same policy of N rules for nftables and for Plaingate, kernel forwarding without a policy, and two
hosts without gateways, which show what the load generators can do.

The policy permits what comes from the LAN of host-a to that of host-b, with connection tracking. Only its last rule matches the loads; each of the
others names another destination. For nftables it is written as an administrator writes it: what is established first, then a rule on each line.
"""
import json
import os
import re
import socket
import struct
from pathlib import Path

from gateways import GATEWAYS, Gateways
from measure import HEADERS, PREFIX, LabError, Row, wait_for
from screens import all_screens

TCP_PORT, TCP_PORTS = 7000, 64     # of conngen
UDP_PORT, UDP_PORTS = 10000, 4000  # of udpgen: a thousand for each size
IPERF_PORT = 5201
SMALL, IMIX, LARGE = (18,), (18, 548, 1472), (1372,)  # octets of payload: frames of 64 octets, a simple IMIX, packets of 1,400 octets
LARGE_PORT = UDP_PORT + 3000
SIZES = {UDP_PORT + i * 1000: size for i, size in enumerate((*IMIX, *LARGE))}
SIDES = {"hq": ("lan0", "wan0"), "branch": ("wan0", "lan0")}  # which way the connections are opened
OTHER_PORTS = {"http": 80, "https": 443, "ssh": 22, "dns-tls": 853}
SLAB = Path("/proc/slabinfo")


def other_destinations(rules):
    """Of all rules but the last: (address, application)."""
    return [(f"172.{16 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", list(OTHER_PORTS)[i % len(OTHER_PORTS)]) for i in range(rules - 1)]


def nftables_ruleset(name, rules):
    """Zones are a chain of their own, and each rule begins with what differs: about as little work for each as nftables can have."""
    from_link, to_link = SIDES[name]
    near_to_far = [f"ip daddr {address} tcp dport {OTHER_PORTS[application]} accept" for address, application in other_destinations(rules)]
    near_to_far.append(f"ip daddr 10.2.0.0/24 meta l4proto {{ tcp, udp }} th dport "
                       f"{{ {IPERF_PORT}, {TCP_PORT}-{TCP_PORT + TCP_PORTS - 1}, {UDP_PORT}-{UDP_PORT + UDP_PORTS - 1} }} accept")
    forward = ["ct state established,related accept", "ct state invalid drop",
               f'iifname "{from_link}" oifname "{to_link}" ip saddr 10.1.0.0/24 jump near-to-far', "ip protocol icmp accept"]
    near_to_far, forward = ("".join(f"\t\t{line}\n" for line in chain) for chain in (near_to_far, forward))
    return (f"table ip firewall\ndelete table ip firewall\ntable ip firewall {{\n\tchain near-to-far {{\n{near_to_far}\t}}\n"
            f"\tchain forward {{\n\t\ttype filter hook forward priority filter; policy drop;\n{forward}\t}}\n}}\n")


def plaingate_rule(name, destination, applications):
    return f"""
        rule {name} {{
            match {{
                source lan;
                destination {destination};
                application {applications};
            }}
            then {{
                permit;
            }}
        }}"""


def plaingate_config(name, rules, workers=1, screens=False):
    """screens: all that there are in both zones. Without a drop, because the loads are what some of them refuse: a thousand flows of one host at once."""
    from_link, to_link = SIDES[name]
    named, defined = ("\n        screen all;", f"screens {{\n    screen all {{\n    alarm-without-drop;\n{all_screens()}\n    }}\n}}\n") if screens else ("", "")
    others = other_destinations(rules)
    book = "".join(f"""
    address other-{i} {{
        prefix {address};
    }}""" for i, (address, _) in enumerate(others))
    text = "".join(plaingate_rule(f"other-{i}", f"other-{i}", application) for i, (_, application) in enumerate(others))
    return f"""
system {{
    host-name {name};
    workers {workers};
}}
{defined}zones {{
    zone near {{{named}
        interfaces {from_link};
        host-inbound ping;
    }}
    zone far {{{named}
        interfaces {to_link};
        host-inbound ping;
    }}
}}
address-book {{
    address lan {{
        prefix 10.1.0.0/24;
    }}
    address far-lan {{
        prefix 10.2.0.0/24;
    }}{book}
}}
applications {{
    application iperf {{
        protocol tcp;
        destination-port {IPERF_PORT};
    }}
    application connections {{
        protocol tcp;
        destination-port {TCP_PORT}-{TCP_PORT + TCP_PORTS - 1};
    }}
    application datagrams {{
        protocol udp;
        destination-port {UDP_PORT}-{UDP_PORT + UDP_PORTS - 1};
    }}
}}
policy {{
    from near to far {{{text}{plaingate_rule("bench", "far-lan", "[ iperf connections datagrams ping ]")}
    }}
}}
"""


class Loaded(Row):
    """A row whose last host counts datagrams of each size on ports of their own, and drops them before it does anything else. The first of a flow,
    of one octet, is answered: a policy that begins with what is established means flows of which both directions have been seen."""
    server = "10.2.0.2"

    def _sink(self):
        rules = "\n".join(f"\t\tudp dport {port}-{port + 999} counter drop" for port in SIZES)
        file = self.state / "sink.nft"
        file.write_text(f"table ip sink {{\n\tchain before {{\n\t\ttype filter hook prerouting priority -300;\n"
                        f"\t\tudp length 9 accept\n{rules}\n\t}}\n}}\n", encoding="utf-8")
        return str(file)

    def datagrams(self):
        """As Row.datagrams(), of all sizes."""
        counters = [part["counter"] for item in json.loads(self["host-b"].run("nft -j list table ip sink").stdout)["nftables"]
                    for part in item.get("rule", {}).get("expr", ()) if "counter" in part]
        if len(counters) != len(SIZES):
            raise LabError("the counters of host-b are gone")
        return sum((counter["bytes"] - HEADERS * counter["packets"]) // size for counter, size in zip(counters, SIZES.values()))


class WithoutGateways(Loaded):
    links = (("host-a", "eth0", ("10.1.0.2/24",), "host-b", "eth0", ("10.1.0.3/24",)),)
    default_routes = kernel_routes = ()
    server = "10.1.0.3"


class Direct:
    """The two hosts with one cable between them."""
    name = "direct"

    def __init__(self, offloads):
        self.lab = WithoutGateways(f"{PREFIX}direct-")
        self.lab.up(offloads, "none")

    def load(self, rules):
        pass

    def clear(self, gateway):
        pass

    def assert_carried(self):
        pass


class Kernel(Direct):
    """The kernel forwards, without policy and without connection tracking."""
    name = "kernel"

    def __init__(self, offloads):
        self.lab = Loaded(f"{PREFIX}{self.name}-")
        self.lab.up(offloads, "kernel")

    def sessions(self):
        return None

    def octets(self):
        return None


class Nftables(Kernel):
    name = "nftables"

    def load(self, rules):
        for name in GATEWAYS:
            file = self.lab.state / f"{name}.nft"
            file.write_text(nftables_ruleset(name, rules), encoding="utf-8")
            self.lab[name].run(["nft", "-f", file], timeout=120)

    def sessions(self):
        return int(self.lab["hq"].run("cat /proc/sys/net/netfilter/nf_conntrack_count").stdout)

    def octets(self):
        """Octets of the entries in use at one gateway: slabs are those of the machine, that is of both gateways. Its table of buckets, which is as
        large without entries, is left out."""
        used, size = map(int, re.search(r"^nf_conntrack +(\d+) +\d+ +(\d+)", SLAB.read_text(encoding="ascii"), re.M).groups())
        return used * size / len(GATEWAYS)

    def clear(self, gateway):
        """What `conntrack -F` does: a delete without a tuple."""
        request = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 0x0005, 1, 0, 0, 0, 0)  # of the subsystem ctnetlink: IPCTNL_MSG_CT_DELETE; request, ack
        with self.lab[gateway].socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
            s.settimeout(60)
            s.send(request)
            answer = s.recv(4096)
            error = struct.unpack_from("=i", answer, 16)[0]
            if error:
                raise LabError(f"the kernel did not delete its connections: {os.strerror(-error)}")

    def assert_carried(self):
        if "policy drop" not in self.lab["hq"].run("nft list chain ip firewall forward", timeout=60).stdout[:200]:
            raise LabError("the policy of nftables is gone")


class Plaingate(Gateways):
    def __init__(self, offloads, workers=1, screens=False):
        self.workers, self.screens = workers, screens
        self.name = "plaingate" + (f"-{workers}" if workers > 1 else "") + ("-screens" if screens else "")
        lab = Loaded(f"{PREFIX}{self.name}-")
        lab.workers = 1  # the text says how many
        super().__init__(self.name, offloads, lab, {name: plaingate_config(name, 1, workers, screens) for name in GATEWAYS})

    def load(self, rules):
        for name in GATEWAYS:
            self.lab.commit(name, plaingate_config(name, rules, self.workers, self.screens), f"{rules} rules")

    def sessions(self):
        return next(int(row["value"]) for row in self.lab.show("hq", "counters") if row["counter"] == "sessions-now")

    def octets(self):
        """Octets that the data plane of one gateway has resident: records, index, and the tables beside them that are the process's own."""
        inner = next(row["pid"] for row in self.lab.show("hq", "status") if row["process"] == "dataplane")
        status = self.lab["hq"].run(["cat", f"/proc/{inner}/status"]).stdout
        return sum(int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) for name in ("RssAnon", "RssShmem")) * 1024

    def clear(self, gateway):
        self.lab[gateway].run("plaingate clear sessions", timeout=60)


def wait_for_ping(row):
    wait_for(lambda: row.lab["host-a"].run(["ping", "-c", 1, "-W", 1, row.lab.server], check=False).returncode == 0, 10,
             f"a ping through the row {row.name}")

