"""FRR over tunnels with an interface: OSPF for IPv4 and BGP for IPv6 find the other site's LAN over both, and BFD moves all traffic to the
other tunnel when the path of one is gone."""
import datetime
import json
import re
import shutil
import subprocess
import time

import pytest
from kit import GATEWAYS, HOST_B, wait_for
from nodes import calm_time
from routed import carried, other, ping, routed_lab

PEER = ("FRR", "frr")
FRR = "/usr/lib/frr"
DAEMONS = ("zebra", "bfdd", "ospfd", "bgpd")
NUMBER = {"hq": 1, "branch": 2}
LAN = {"hq": "10.1.0.0/24", "branch": "10.2.0.0/24"}
LAN6 = {"hq": "fd00:1::/64", "branch": "fd00:2::/64"}
COMMON = "hostname {gateway}\nlog file {directory}/{daemon}.log informational\nlog timestamp precision 6\n"
CONFIGS = {
    "zebra": "",
    "bfdd": "debug bfd peer\nbfd\n profile fast\n  detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100\n exit\nexit\n",
    # Only BFD can be fast: OSPF itself waits twenty seconds.
    "ospfd": "".join(f"""interface st0.{n}
 ip ospf network point-to-point
 ip ospf cost {10 * n}
 ip ospf hello-interval 1
 ip ospf dead-interval 20
 ip ospf retransmit-interval 3
 ip ospf bfd
 ip ospf bfd profile fast
exit
""" for n in (1, 2)) + """router ospf
 ospf router-id 10.255.0.{own}
 log-adjacency-changes
 passive-interface lan0
 network 10.255.0.0/16 area 0
 network {lan} area 0
exit
""",
    "bgpd": """router bgp 6500{own}
 bgp router-id 10.255.0.{own}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
""" + "".join(f""" neighbor fd00:255:{n}::{{far}} remote-as 6500{{far}}
 neighbor fd00:255:{n}::{{far}} timers connect 1
 neighbor fd00:255:{n}::{{far}} advertisement-interval 0
 neighbor fd00:255:{n}::{{far}} bfd profile fast
""" for n in (1, 2)) + """ address-family ipv6 unicast
  network {lan6}
""" + "".join(f"  neighbor fd00:255:{n}::{{far}} activate\n" for n in (1, 2)) + """ exit-address-family
exit
""",
}


class Frr:
    """FRR's daemons on a gateway."""

    def __init__(self, lab, gateway):
        self.node = lab[gateway]
        self.directory = self.node.state / "frr"
        self.directory.mkdir(exist_ok=True)
        shutil.chown(self.directory, "frr", "frr")
        values = {"gateway": gateway, "directory": self.directory, "own": NUMBER[gateway], "far": NUMBER[other(gateway)],
                  "lan": LAN[gateway], "lan6": LAN6[gateway]}
        self.processes = []
        for daemon in DAEMONS:
            config = self.directory / f"{daemon}.conf"
            config.write_text((COMMON + CONFIGS[daemon]).format(daemon=daemon, **values), encoding="utf-8")
            # Later releases have no such socket.
            old = daemon == "bfdd" and "--bfdctl" in subprocess.run([f"{FRR}/bfdd", "--help"], capture_output=True, text=True, check=False).stdout
            socket = ["--bfdctl", f"{self.directory}/bfdd.sock"] if old else []
            self.processes.append(self.node.daemon(
                [f"{FRR}/{daemon}", "-z", f"{self.directory}/zserv.api", "--vty_socket", str(self.directory),
                 "-i", f"{self.directory}/{daemon}.pid", "-f", str(config), *socket], self.directory / f"{daemon}.out"))
            wait_for((self.directory / f"{daemon}.vty").exists, 10, f"{daemon} of {gateway}")

    def show(self, words):
        return self.node.run(["vtysh", "--vty_socket", str(self.directory), "-c", f"show {words}"], check=False).stdout

    def json(self, words):
        try:
            return json.loads(self.show(f"{words} json"))
        except ValueError:
            return {}

    def route(self, network):
        """The interfaces by which FRR has the network in the kernel."""
        family = "ipv6" if ":" in network else "ip"
        return {hop.get("interfaceName") for row in self.json(f"{family} route {network}").get(network, []) if row.get("selected")
                for hop in row["nexthops"] if hop.get("fib")}

    def bfd_up(self):
        rows = self.json("bfd peers")
        return isinstance(rows, list) and len(rows) >= 4 and all(row["status"] == "up" and row["detect-multiplier"] == 3 for row in rows)


@pytest.fixture(scope="module")
def lab():
    assert shutil.which(f"{FRR}/zebra"), "FRR is not installed"
    with routed_lab("frr") as two_sites:
        yield two_sites


@pytest.fixture(scope="module")
def frr(lab):
    return {gateway: Frr(lab, gateway) for gateway in GATEWAYS}


def test_ospf_and_bgp_find_the_other_lan(lab, frr):
    for gateway in GATEWAYS:
        wait_for(lambda: frr[gateway].route(LAN[other(gateway)]) == {"st0.1"}, 60, f"OSPF's route of {gateway}")
        wait_for(lambda: frr[gateway].route(LAN6[other(gateway)]), 30, f"BGP's route of {gateway}")
        assert len(frr[gateway].json("ip ospf neighbor")["neighbors"]) >= 1
    for address in (HOST_B, "fd00:2::2"):
        wait_for(lambda: ping(lab, "host-a", address), 10, f"an answer of {address}")


def test_bfd_moves_traffic_to_the_other_tunnel(lab, frr):
    """The path outside takes everything of tunnel one and says nothing; the IKE SA would notice in ten seconds and more, OSPF in twenty.
    From there to the kernel's route, by the kernel's stamp, it is less than a second."""
    for gateway in GATEWAYS:
        wait_for(frr[gateway].bfd_up, 30, f"all BFD sessions of {gateway}")
    wait_for(lambda: ping(lab, "host-a", HOST_B), 10, "an answer")
    monitor = lab["hq"].popen("ip -ts monitor route", stdout=subprocess.PIPE, text=True)
    began, calm = time.time(), calm_time()
    try:
        lab["internet"].run("ip route add blackhole 203.0.113.2")
        wait_for(lambda: frr["hq"].route(LAN["branch"]) == {"st0.2"}, 20, "OSPF's route by the other tunnel")
        calm = calm_time() - calm
        before = carried(lab)
        for address in (HOST_B, "fd00:2::2"):
            wait_for(lambda: ping(lab, "host-a", address), 10, f"an answer of {address} by the other tunnel")
        after = carried(lab)
        assert after["two"] >= before["two"] + 2
    finally:
        lab["internet"].run("ip route del blackhole 203.0.113.2", check=False)
        monitor.terminate()
        news = monitor.communicate()[0]
    stamp = re.search(rf"^\[(\S+)\] {re.escape(LAN['branch'])} .*dev st0\.2 proto ospf", news, re.M)[1]
    took = datetime.datetime.fromisoformat(stamp).timestamp() - began
    assert min(took, calm) < 1, (took, calm, news)
