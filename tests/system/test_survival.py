"""kill -9 of each process under traffic. Nothing leaves in clear and no sequence number is reused meanwhile: the links carry one packet
per frame here, and what passes between the gateways is captured and examined."""
import os
import signal
import time

import pytest
from kit import (GATEWAYS, HOST_A, HOST_B, HOST_B6, LAN_FILTER, PROCESSES, WEB, Capture, LabError, TcpStream, UdpStream, config_of,
                 drops, ledger_entries, memory, own_lab, own_mac, processes, show, verify_ledger, wait_for)

SURVIVES = [name for name in PROCESSES if name != "dataplane"]


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgs")
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


def kill(lab, gateway, name):
    """kill -9, and waits until another process has taken its place."""
    before = processes(lab, gateway)
    os.kill(before[name][0], signal.SIGKILL)

    def back():
        try:
            rows = {row["process"]: row for row in show(lab, gateway, "status")}
        except LabError:  # control itself was killed
            return False
        return rows[name]["state"] == "ready" and int(rows[name]["restarts"]) > before[name][1]

    wait_for(back, 15, f"a new {name} on {gateway}", pause=0.05)
    after = processes(lab, gateway)
    assert after[name][0] != before[name][0]
    assert {n: p for n, p in after.items() if n != name} == {n: p for n, p in before.items() if n != name}, "others died with it"


def assert_nothing_leaked(capture, *texts):
    assert capture.lost == 0, "tcpdump lost packets, so it proves nothing"
    assert capture.count(LAN_FILTER) == 0, capture.lines(LAN_FILTER)[:5]
    for text in texts:
        assert not capture.holds(text)


def assert_no_number_twice(capture, least):
    seen, packets = set(), 0
    for spi, sequence, _ in capture.esp():
        assert (spi, sequence) not in seen, f"sequence number {sequence} of SPI {spi:08x} was sent twice"
        seen.add((spi, sequence))
        packets += 1
    assert packets >= least, f"only {packets} ESP packets were captured"


class Traffic:
    """Through the tunnel in IPv4 and IPv6, and through source NAT."""

    def __init__(self, lab):
        self.udp = UdpStream(lab, "host-a", "host-b", HOST_B, port=5201)
        self.udp6 = UdpStream(lab, "host-a", "host-b", HOST_B6, port=5203, rate=100)
        self.nat = UdpStream(lab, "host-a", "web", WEB, port=5201, rate=200)
        self.tcp = TcpStream(lab, "host-a", "host-b", HOST_B)
        self.nat_tcp = TcpStream(lab, "host-a", "web", WEB)
        self.all = (self.udp, self.udp6, self.nat, self.tcp, self.nat_tcp)

    def __enter__(self):
        for stream in self.all:
            stream.__enter__()
        self.wait_flowing()
        return self

    def __exit__(self, *_):
        for stream in (self.udp, self.udp6, self.nat):
            stream.hush()
        for stream in self.all:
            stream.stop()

    def wait_flowing(self):
        for stream in self.all:
            stream.wait_flowing()

    def silences(self):
        return {name: round(getattr(self, name).longest_silence(), 3) for name in ("udp", "udp6", "nat", "tcp", "nat_tcp")}


@pytest.mark.parametrize("gateway", [GATEWAYS[0], pytest.param(GATEWAYS[1], marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SURVIVES)
def test_flows_survive(lab, gateway, name):
    lab.wait_for_tunnel()
    with Capture(lab, "internet", "hq0") as seen, Traffic(lab) as traffic:
        kill(lab, gateway, name)
        traffic.wait_flowing()
        time.sleep(1)  # the aftermath: SAs negotiated again, entries that waited
        traffic.wait_flowing()
    assert not traffic.tcp.failure and not traffic.nat_tcp.failure
    lost = {s: len(getattr(traffic, s).lost()) for s in ("udp", "udp6", "nat")}
    assert lost == {"udp": 0, "udp6": 0, "nat": 0}, f"{lost} of {len(traffic.udp.sent)}; {drops(lab, gateway)}"
    assert len(traffic.nat.peers) == 1, "the translated port changed"
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 500)
    lab.wait_for_tunnel()
    for each in GATEWAYS:
        verify_ledger(lab, each)


def test_a_keeper_that_ends_again_and_again(lab):
    """The next one comes later each time. What ike asks while there is none waits for it, so that the tunnel is negotiated again."""
    lab.wait_for_tunnel()
    for _ in range(5):
        kill(lab, "hq", "keeper")
    wait_for(lab.ike_up, 30, "IKE SAs of the new keeper")


class Forbidden:
    """What the policy denies, sent continuously: out of the LAN, into the LAN from the Internet, and with spoofed addresses of the tunnel."""

    def __init__(self, lab):
        self.lab = lab
        self.streams = (UdpStream(lab, "host-a", "web", WEB, port=9999, rate=200), UdpStream(lab, "host-a", "host-b", HOST_B, port=9999, rate=200),
                        UdpStream(lab, "internet", "host-a", HOST_A, port=5207, rate=200))

    def __enter__(self):
        self.lab["internet"].run("ip route replace 10.1.0.0/24 via 198.51.100.2")
        for stream in self.streams:
            stream.__enter__()
        return self

    def __exit__(self, *_):
        for stream in self.streams:
            stream.hush()
        for stream in self.streams:
            stream.stop()
        self.lab["internet"].run("ip route del 10.1.0.0/24", check=False)

    def assert_none_arrived(self):
        assert [len(stream.arrived) for stream in self.streams] == [0, 0, 0]
        assert all(len(stream.sent) > 200 for stream in self.streams)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_data_plane_is_back_in_a_second(lab, gateway):
    lab.wait_for_tunnel()
    spis = {row["spi_in"] for row in show(lab, "hq", "ipsec")}
    not_internet = f"not ether src {own_mac(lab, 'internet', 'hq0')} or not dst net 10.1.0.0/24"
    with Capture(lab, "internet", "hq0", not_internet) as seen, Traffic(lab) as traffic, Forbidden(lab) as forbidden:
        time.sleep(0.5)
        kill(lab, gateway, "dataplane")
        traffic.wait_flowing()
        time.sleep(1)
        traffic.wait_flowing()
    forbidden.assert_none_arrived()
    assert not traffic.tcp.failure and not traffic.nat_tcp.failure
    silences = traffic.silences()
    assert max(silences["udp"], silences["udp6"], silences["nat"]) < 1, silences
    assert len(traffic.nat.peers) == 1, "the translated port changed"
    assert spis & {row["spi_in"] for row in show(lab, "hq", "ipsec")}, "the tunnel went on with its SAs"
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 500)


def test_memory_that_outlives_the_process_is_sparse(lab):
    """It has room for a million sessions; neither a start nor a commit reads what was never written."""
    lab.commit("hq", config_of("hq"), "the same again")
    kill(lab, "hq", "dataplane")
    lab.wait_for_tunnel()
    pid = processes(lab, "hq")["dataplane"][0]
    held = sum(len(part) for _, part in memory(pid, shared_only=True))
    assert 0 < held < 64 << 20, f"{held >> 20} MB are held"


def test_data_plane_killed_again_and_again(lab):
    """Each new process begins above every sequence number that the ones before can have used."""
    lab.wait_for_tunnel()
    with Capture(lab, "internet", "hq0") as seen, UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        for _ in range(3):
            udp.wait_flowing()
            kill(lab, "hq", "dataplane")
        udp.wait_flowing()
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 200)


def test_a_rekey_while_the_data_plane_is_dead(lab):
    """Requests made meanwhile are repeated; in the end both sides have the same pairs."""
    lab.wait_for_tunnel()
    with Capture(lab, "internet", "hq0") as seen, UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
        lab["hq"].run("plaingate ike rekey-child branch", check=False)
        udp.wait_flowing()
        lab["hq"].run("plaingate ike rekey-child branch", check=False)
        os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
        udp.wait_flowing()
        os.kill(processes(lab, "branch")["dataplane"][0], signal.SIGKILL)
        udp.wait_flowing()
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 200)

    def fit():
        ours, theirs = ({(row["spi_in"], row["spi_out"]) for row in show(lab, gateway, "ipsec")} for gateway in GATEWAYS)
        return ours and {(b, a) for a, b in ours} == theirs
    wait_for(fit, 20, "both sides to have the same pairs")


def test_all_at_once(lab):
    """Every process of hq except the supervisor dies at the same moment."""
    lab.wait_for_tunnel()
    with Capture(lab, "internet", "hq0") as seen, Traffic(lab) as traffic:
        before = processes(lab, "hq")
        for name in PROCESSES:
            os.kill(before[name][0], signal.SIGKILL)
        traffic.wait_flowing()
        time.sleep(2)
        traffic.wait_flowing()
    assert not traffic.tcp.failure and not traffic.nat_tcp.failure
    assert max(traffic.silences()[name] for name in ("udp", "udp6", "nat")) < 2, traffic.silences()
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 500)
    lab.wait_for_tunnel()
    wait_for(lambda: all(row["state"] == "ready" for row in show(lab, "hq", "status")), 10, "every process to be ready")


def test_nothing_passes_without_the_data_plane(lab):
    """The data plane is suspended, not killed, so that no other one is started: meanwhile nothing may pass, in clear or otherwise."""
    lab.wait_for_tunnel()
    pid = processes(lab, "hq")["dataplane"][0]
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}")
    with Capture(lab, "internet", "hq0") as outside, Capture(lab, "host-a", "eth0") as inside:
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(0.2)
            start = time.time()
            lab["internet"].run("ip route add 10.1.0.0/24 via 198.51.100.2")
            pings = [lab[node].popen(f"ping -c 5 -i 0.2 -W 1 {address}")
                     for node, address in (("host-a", WEB), ("host-a", HOST_B), ("internet", HOST_A))]
            assert all(ping.wait(10) != 0 for ping in pings)
        finally:
            end = time.time()
            os.kill(pid, signal.SIGCONT)
            lab["internet"].run("ip route del 10.1.0.0/24", check=False)
    leaked = [line for line in outside.lines(f"{LAN_FILTER} or (icmp and host {WEB})", "-tt") if start < float(line.split()[0]) < end
              and "> 10.1.0.2" not in line]
    assert not leaked, leaked
    came_in = [line for line in inside.lines(f"icmp and dst {HOST_A} and icmp[0] == 8", "-tt") if start < float(line.split()[0]) < end]
    assert not came_in, came_in
    wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0, 15, "traffic again")


def test_restarts_are_entered(lab):
    entries = ledger_entries(lab, "hq")
    exits = {entry["body"]["process"] for entry in entries if entry["type"] == "process_exit"}
    assert set(PROCESSES) <= exits, exits
    assert any(entry["type"] == "process_start" and entry["body"]["restarts"] > 0 for entry in entries)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_supervisor_takes_everything_with_it_and_comes_back(lab, sent):
    """Without the supervisor its children end and the filter stays closed, even if somebody enables forwarding in the kernel; a new start
    begins from nothing, with its own stored configuration."""
    daemon = lab.daemons["hq"]
    pids = [pid for pid, _ in processes(lab, "hq").values()]
    with Capture(lab, "internet", "hq0") as seen, Traffic(lab) as traffic:
        os.kill(daemon.inner_pid(), sent)
        daemon.wait(5)
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/ns/net") for pid in pids), 5, "the children to end")
        time.sleep(0.1)
        dead = time.time()
        lab["hq"].sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
        time.sleep(1)
        lab["hq"].sysctl({"net.ipv4.ip_forward": 0, "net.ipv6.conf.all.forwarding": 0})
        for tcp in (traffic.tcp, traffic.nat_tcp):  # they need not come back: the memory of sessions is gone
            tcp.abandon()
        assert len(traffic.udp.sent) > 500
    assert_nothing_leaked(seen)
    assert_no_number_twice(seen, 10)
    host_says = "icmp[icmptype] == icmp-unreach"  # the kernel, for its own address: nobody has port 4500 open
    left = [line for line in seen.lines(f"ether src {own_mac(lab, 'hq', 'wan0')} and ip and not ({host_says})", "-tt")
            if float(line.split()[0]) > dead]
    assert not left, f"packets left hq while nobody was there: {left[:5]}"
    if sent == signal.SIGTERM:
        assert daemon.returncode == 0, "an ordered stop"
    lab.start_gateway("hq")
    wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0, 60, "the tunnel again")
    verify_ledger(lab, "hq")
