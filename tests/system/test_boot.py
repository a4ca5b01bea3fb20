"""A Debian 13 machine with its own kernel and systemd, and Plaingate from packages: installed by apt, booted closed and booted with a
configuration, killed, removed. The tests form one sequence, in this order. What counts is what an observer on the wire sees, not what the
machine reports."""
import json
import os
import socket
import struct
import threading
import time

import pytest
from booted import CARDS, MACS, Machine
from kit import PROCESSES, LabError, connect, listener, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

PORT = 2222  # nothing listens there: once it has an address the kernel answers with a reset, unless the call is filtered
LAN, WAN = CARDS
SITE = f"""
zones {{
    zone inside {{
        interfaces eth0;
        host-inbound [ ping tcp/{PORT} ];
    }}
    zone outside {{
        interfaces [ eth1 other0 ];
    }}
}}
policy {{
    from inside to outside {{
        rule out {{
            match {{
                source any;
                destination any;
                application any;
            }}
            then {{
                permit;
            }}
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def machine():
    if os.geteuid() != 0:
        pytest.skip("a root directory, namespaces and qemu's cards need root")
    try:
        made = Machine(f"pgb-{os.getpid()}-")
    except LabError as error:
        pytest.skip(str(error)[:300])
    try:
        made.up()
        yield made
    finally:
        made.down()


class Wire:
    """Calls the machine's port from a neighbour repeatedly, and observes on the wire what the machine sends: `seen`, times when it sent
    anything; `answers`, times when it answered from that port."""

    def __init__(self, machine, node, card):
        self.machine, self.node, self.address = machine, node, f"10.9.{card}.1"
        self.seen, self.answers, self.running = [], [], True
        self.packets = machine[node].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.packets.bind((f"tap{card}", 0))
        self.packets.settimeout(0.2)
        self.mac = bytes.fromhex(MACS[node].replace(":", ""))
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._call, self._look)]

    def _call(self):
        while self.running:
            s = connect(self.machine, self.node, self.address, PORT, timeout=0.1)
            if isinstance(s, socket.socket):
                s.close()
            time.sleep(0.05)

    def _look(self):
        while self.running:
            try:
                frame = self.packets.recv(2048)
            except TimeoutError:
                continue
            if frame[6:12] != self.mac:
                continue
            self.seen.append(time.monotonic())
            head = (frame[14] & 15) * 4 + 14
            if frame[12:14] == b"\x08\x00" and frame[23] == 6 and struct.unpack_from("!H", frame, head)[0] == PORT:
                self.answers.append(time.monotonic())

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()
        self.packets.close()


def is_reached(machine, *neighbours):
    for node, card in neighbours:
        with Wire(machine, node, card) as wire:
            wait_for(lambda: wire.answers, 60, f"an answer to {node}")  # pylint: disable=cell-var-from-loop


def is_not_reached(machine, node, card):
    with Wire(machine, node, card) as wire:
        time.sleep(10)
    assert not wire.answers


def monotonic(machine, unit, moment):
    return int(machine.run(f"systemctl show --value -p {moment}TimestampMonotonic {unit}"))


def is_closed(machine):
    return "hook input priority filter; policy drop;" in machine.run("nft list chain inet plaingate input")


def processes(machine):
    return {row["process"]: row for row in json.loads(machine.run("plaingate show status --json"))}


def test_installing_it_changes_no_traffic(machine):
    assert machine.run("cat /etc/debian_version").startswith("13") and " 6.12" in f" {machine.run('uname -r')}"
    is_reached(machine, LAN, WAN)
    machine.run("apt-get install -y --no-install-recommends /root/packages/plaingate_*.deb", timeout=600)
    assert machine.run("dpkg -V plaingate") == ""
    assert machine.run("systemctl is-enabled plaingate", check=False) == "disabled"
    assert machine.run("systemctl is-active plaingate", check=False) == "inactive"
    assert machine.run("nft list ruleset") == ""
    is_reached(machine, LAN, WAN)


def test_it_boots_closed_without_a_configuration(machine):
    machine.run("systemctl enable plaingate")
    with Wire(machine, *LAN) as lan, Wire(machine, *WAN) as wan:
        wait_for(lambda: lan.answers and wan.answers, 60, "answers before")
        went = time.monotonic()
        machine.reboot()
        for node, card in CARDS:  # the addresses are configured, and connections that the machine begins are answered
            assert f"10.9.{card}.1/24" in machine.run(f"ip -br address show eth{card - 1}")
            with listener(machine, node, PORT):
                machine.run(f"timeout 60 bash -c 'until : </dev/tcp/10.9.{card}.2/{PORT}; do sleep 1; done'")
        time.sleep(2)
    boot = monotonic(machine, "plaingate", "ActiveEnter")
    assert 0 < boot <= monotonic(machine, "network-pre.target", "ActiveEnter") <= monotonic(machine, "systemd-networkd", "InactiveExit")
    up = time.monotonic() - float(machine.run("cat /proc/uptime").split()[0])
    assert up > went, "it was a boot"
    for wire in (lan, wan):  # it answered until it went down, and never again
        assert [at for at in wire.seen if at > up] and not [at for at in wire.answers if at > up]
    assert machine.run("systemctl is-active plaingate") == "active"
    assert machine.run("systemctl show --value -p Type plaingate") == "notify"
    assert machine.run("ls /var/lib/plaingate/config/running.conf", check=False).endswith("No such file or directory") and is_closed(machine)
    states = wait_ready(machine)
    assert set(states) >= set(PROCESSES)
    assert machine.run("systemctl --failed --no-legend") == ""


def wait_ready(machine):
    """Each process of its own user, in its sandbox, on this kernel."""
    wait_for(lambda: all(row["state"] == "ready" for row in processes(machine).values()), 120, "all processes to be ready", pause=2)
    return processes(machine)


def test_it_boots_with_its_configuration(machine):
    machine.run(f"cat >/root/site.conf <<'END'\n{SITE}\nEND\nplaingate commit /root/site.conf", timeout=120)
    is_reached(machine, LAN)
    is_not_reached(machine, *WAN)
    before = machine.run("cat /var/lib/plaingate/config/running.conf")
    with Wire(machine, *WAN) as wan:
        machine.reboot()
        wait_ready(machine)
        wait_for(lambda: "zone_0" in machine.run("nft list table inet plaingate"), 120, "the configuration's own filter", pause=2)
        is_reached(machine, LAN)  # what the stored configuration opens
        time.sleep(1)
    up = time.monotonic() - float(machine.run("cat /proc/uptime").split()[0])
    assert [at for at in wan.seen if at > up] and not wan.answers, "and nothing else, at no time"
    assert machine.run("cat /var/lib/plaingate/config/running.conf") == before
    # Forwarded by the data plane, on this kernel.
    assert machine.run("cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert machine["lan"].run("ping -c 5 -W 5 10.9.2.2").returncode == 0
    assert machine["wan"].run("ping -c 2 -W 2 10.9.1.2", check=False).returncode == 1
    machine.run(f"plaingate verify ledger {json.loads(machine.run('plaingate show ledger --json'))[0]['directory']}", timeout=120)


def test_links_of_a_vrf_reach_each_other_and_not_main(machine):
    """eth0 and eth1 are enslaved to a VRF; other0, a link without anybody behind it, has a network of main."""
    lan = machine["lan"]

    def sent():
        return int(machine.run("cat /sys/class/net/other0/statistics/tx_packets"))

    def leaves_by_other0():
        before = sent()
        lan.run("ping -c 2 -i 0.3 -W 1 10.9.3.2", check=False)
        return sent() > before

    machine.run("ip link add other0 type dummy && ip link set other0 up arp on && ip address add 10.9.3.1/24 dev other0 && "
                "ip neighbour add 10.9.3.2 lladdr 02:00:00:00:00:02 dev other0")
    wait_for(leaves_by_other0, 60, "forwarding into main's other network")
    machine.run("ip link add blue type vrf table 10 && ip link set blue up && ip route add table 10 unreachable default metric 4278198272 && "
                "ip link set eth0 master blue && ip link set eth1 master blue")
    wait_for(lambda: lan.run("ping -c 1 -W 2 10.9.2.2", check=False).returncode == 0, 60, "forwarding between the links of the VRF")
    assert {row["interface"]: row.get("vrf") for row in json.loads(machine.run("plaingate show interfaces --json"))} == {
        "eth0": "blue", "eth1": "blue", "other0": None}
    assert "VRF" in machine.run("plaingate show routes") and "not followed" not in machine.run("plaingate show routes")
    assert not leaves_by_other0()
    is_not_reached(machine, *LAN)  # the gateway itself is in no VRF
    machine.run("ip route add table 10 10.9.3.0/24 dev other0 && ip route add 10.9.1.0/24 dev blue")
    wait_for(leaves_by_other0, 60, "a route that leads out of the VRF")
    machine.run("ip link del blue && ip link del other0")
    wait_for(lambda: lan.run("ping -c 1 -W 2 10.9.2.2", check=False).returncode == 0, 60, "forwarding in main again")
    is_reached(machine, LAN)


def test_a_supervisor_that_dies_leaves_the_filter_and_comes_again(machine):
    with Wire(machine, *WAN) as wan:
        old = machine.run("systemctl show --value -p MainPID plaingate")
        machine.run(f"kill -9 {old}")
        assert is_closed(machine)
        wait_for(lambda: machine.run("systemctl show --value -p MainPID plaingate") not in (old, "0"), 60, "another one", pause=1)
        wait_ready(machine)
        assert is_closed(machine)
    assert not wan.answers
    machine.run("systemctl stop plaingate", timeout=120)
    assert is_closed(machine)
    is_not_reached(machine, *WAN)
    machine.run("systemctl start plaingate", timeout=120)
    wait_ready(machine)


def test_purge_leaves_no_filter(machine):
    machine.run("install -m 0400 /dev/null /etc/plaingate/keys/one.psk")
    said = machine.run("DEBIAN_FRONTEND=noninteractive apt-get purge -y plaingate", timeout=300)
    assert "THE FILTER IS GONE" in said
    assert machine.run("nft list ruleset") == ""
    assert "20551" not in machine.run("ip rule; ip -6 rule")
    assert machine.run("systemctl is-active plaingate", check=False) == "inactive"
    assert machine.run("ls /etc/systemd/system/multi-user.target.wants/plaingate.service", check=False).endswith("No such file or directory")
    is_reached(machine, LAN, WAN)
    machine.run("test -d /var/lib/plaingate/ledger && test -f /etc/plaingate/keys/one.psk")
