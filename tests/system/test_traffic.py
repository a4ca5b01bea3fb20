"""What passes and what does not: policy, tunnel, source NAT, the gateway's own services, observed at the hosts and on the links."""
import hashlib
import json
import os
import re
import signal
import socket
import threading
import time

import pytest
from kit import (BRANCH_WAN, HOST_A, HOST_A6, HOST_B, HOST_B6, HQ_WAN, LAN_FILTER, WEB, Capture, TcpStream, UdpStream, calm_time, config_of,
                 connect, counter, drops, hits, listener, own_mac, processes, send_frames, show, tracing, wait_for)

NAT_PORTS = range(40960, 65536)
HOST_PORTS = range(32768, 40960)


# --- through the tunnel ---

@pytest.mark.parametrize("address", [HOST_B, f"[{HOST_B6}]"])
def test_page_through_the_tunnel_is_not_seen(lab, address):
    with Capture(lab, "internet", "hq0") as seen:
        page = lab["host-a"].run(["curl", "-sS", "-g", "--max-time", "5", f"http://{address}/"]).stdout
    assert "served by host-b" in page
    assert seen.count("udp port 4500 and udp[8:4] != 0") > 0
    assert seen.count(LAN_FILTER) == 0 and not seen.holds(b"served by host-b")


@pytest.mark.parametrize("source, sink, address", [("host-a", "host-b", HOST_B), ("host-b", "host-a", HOST_A),
                                                    ("host-a", "host-b", HOST_B6), ("host-b", "host-a", HOST_A6)])
def test_streams_through_the_tunnel(lab, source, sink, address):
    with UdpStream(lab, source, sink, address) as udp, TcpStream(lab, source, sink, address) as tcp:
        udp.wait_flowing()
        tcp.wait_flowing()
        time.sleep(0.5)
    assert not tcp.failure and not udp.lost() and not udp.twice(), drops(lab, "hq")


def test_much_data_arrives_unchanged(lab):
    lab["host-a"].run(f"curl -sS --max-time 20 -o {lab.state}/got.bin http://{HOST_B}/1m.bin")
    assert (lab.state / "got.bin").read_bytes() == (lab.state / "host-b/www/1m.bin").read_bytes()


@pytest.mark.parametrize("sink, address", [("host-b", HOST_B), ("web", WEB)])
def test_data_plane_dies_while_trains_pass(lab, sink, address):
    """kill -9 in the middle of a bulk transfer with the links' offloads on: the connection continues, each octet arrives once."""
    total, chunk, sent, got = 300 << 20, bytes(range(256)) * 1024, hashlib.sha256(), hashlib.sha256()
    with listener(lab, sink, 5201) as server:
        server.settimeout(10)
        out = connect(lab, "host-a", address, 5201)
        peer, _ = server.accept()
        for s in (out, peer):
            s.settimeout(20)

        def send():
            for _ in range(total // len(chunk)):
                out.sendall(chunk)
                sent.update(chunk)
            out.shutdown(socket.SHUT_WR)

        thread, n, pid = threading.Thread(target=send, daemon=True), 0, processes(lab, "hq")["dataplane"][0]
        longest, last = 0.0, calm_time()
        thread.start()
        while data := peer.recv(1 << 18):
            got.update(data)
            longest, last = max(longest, calm_time() - last), calm_time()
            n += len(data)
            if pid and n > total // 3:
                os.kill(pid, signal.SIGKILL)
                pid = 0
        thread.join(20)
        out.close()
        peer.close()
    assert n == total // len(chunk) * len(chunk) and got.digest() == sent.digest()
    assert pid == 0 and longest < 1, f"nothing came for {longest:.2f} s"


def test_tunnel_counts(lab):
    def total(key):
        return sum(int(row[key]) for row in show(lab, "hq", "ipsec"))
    before = {key: total(key) for key in ("packets_in", "packets_out", "bytes_in", "bytes_out")}
    lab["host-a"].run(f"ping -c 5 -i 0.05 -s 1000 {HOST_B}")
    wait_for(lambda: total("packets_in") >= before["packets_in"] + 5, 3, "the tunnel's counters")
    assert total("packets_out") >= before["packets_out"] + 5
    assert total("bytes_out") >= before["bytes_out"] + 5 * 1028 and total("bytes_in") >= before["bytes_in"] + 5 * 1028


def test_clear_packets_of_the_tunnels_addresses_are_refused(lab):
    """Somebody on the Internet pretends to be host-b."""
    before = counter(lab, "hq", "tunnel-required")
    lab["internet"].run(f"ip addr add {HOST_B}/32 dev lo")
    lab["internet"].run(f"ip route add 10.1.0.0/24 via {HQ_WAN}")
    try:
        with Capture(lab, "host-a", "eth0", f"src {HOST_B}") as seen:
            lab["internet"].run(f"ping -c 3 -i 0.2 -W 1 -I {HOST_B} {HOST_A}", check=False)
    finally:
        lab["internet"].run("ip route del 10.1.0.0/24")
        lab["internet"].run(f"ip addr del {HOST_B}/32 dev lo")
    assert seen.count() == 0 and counter(lab, "hq", "tunnel-required") >= before + 3, drops(lab, "hq")


# --- policy ---

def test_permitted_connections_show_their_rule(lab):
    before = hits(lab, "hq")["to-branch"]
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5203) as tcp:
        tcp.wait_flowing()
        rows = show(lab, "hq", "sessions", "--dst", HOST_B, "--dport", "5203")
    assert len(rows) == 1 and rows[0]["rule"] == "to-branch" and rows[0]["from"] == "trust" and rows[0]["to"] == "vpn", rows
    assert hits(lab, "hq")["to-branch"] > before


def test_reject_answers_at_once(lab):
    before, start = hits(lab, "hq")["no-telnet"], calm_time()
    assert isinstance(connect(lab, "host-a", WEB, 23), ConnectionRefusedError)
    assert calm_time() - start < 1 and hits(lab, "hq")["no-telnet"] > before


def test_deny_is_silent(lab):
    before = hits(lab, "hq")["rest"]
    assert isinstance(connect(lab, "host-a", WEB, 25, timeout=1.5), TimeoutError)
    assert hits(lab, "hq")["rest"] > before and counter(lab, "hq", "policy-deny") > 0


def test_rules_are_checked_at_both_ends(lab):
    """The branch's rule does not permit port 23 from head office either, so nothing arrives even if hq let it out."""
    assert isinstance(connect(lab, "host-b", HOST_A, 25, timeout=1.5), TimeoutError)


def test_nothing_starts_from_the_internet(lab):
    with Capture(lab, "host-a", "eth0", f"host {WEB}") as seen:
        lab["web"].run("ip route add 10.1.0.0/24 via 192.0.2.1")
        lab["internet"].run(f"ip route add 10.1.0.0/24 via {HQ_WAN}")
        try:
            assert isinstance(connect(lab, "web", HOST_A, 80, timeout=1.5), OSError)
            lab["web"].run(f"ping -c 2 -i 0.2 -W 1 {HOST_A}", check=False)
        finally:
            lab["web"].run("ip route del 10.1.0.0/24")
            lab["internet"].run("ip route del 10.1.0.0/24")
    assert seen.count() == 0


def test_an_answer_without_a_question_is_dropped(lab):
    """A TCP segment that does not begin a connection: no session, so nothing passes, although the policy would permit the connection."""
    from scapy.all import IP, TCP, Ether
    before = counter(lab, "hq", "no-session")
    mac = lab["hq"].run("cat /sys/class/net/lan0/address").stdout.strip()
    with Capture(lab, "internet", "hq0", "tcp port 80") as seen:
        send_frames(lab, "host-a", [Ether(dst=mac, src=own_mac(lab, "host-a")) / IP(src=HOST_A, dst=WEB) /
                                    TCP(sport=33000 + n, dport=80, flags="A", seq=1, ack=1) for n in range(3)])
        wait_for(lambda: counter(lab, "hq", "no-session") >= before + 3, 10, f"the counter; {drops(lab, 'hq')}")
    assert seen.count() == 0


@pytest.mark.parametrize("flags, reason", [("", "tcp-flags"), ("SF", "tcp-flags"), ("SR", "tcp-flags")])
def test_impossible_flags(lab, flags, reason):
    from scapy.all import IP, TCP, Ether
    before = counter(lab, "hq", reason)
    send_frames(lab, "host-a", [Ether(dst=own_mac(lab, "hq", "lan0"), src=own_mac(lab, "host-a")) / IP(src=HOST_A, dst=WEB) /
                                TCP(sport=34000, dport=80, flags=flags)])
    wait_for(lambda: counter(lab, "hq", reason) > before, 2, f"the counter {reason}; there are {drops(lab, 'hq')}")


def test_spoofed_source_is_dropped(lab):
    """From the LAN, but with an address of the Internet."""
    from scapy.all import ICMP, IP, Ether
    before = counter(lab, "hq", "spoofed")
    send_frames(lab, "host-a", [Ether(dst=own_mac(lab, "hq", "lan0"), src=own_mac(lab, "host-a")) / IP(src="192.0.2.7", dst=WEB) / ICMP()])
    wait_for(lambda: counter(lab, "hq", "spoofed") > before, 2, f"the counter spoofed; there are {drops(lab, 'hq')}")


# --- source NAT ---

def test_nat_tcp(lab):
    lines = len(lab.web_log("web"))
    for _ in range(5):
        lab["host-a"].run(f"curl -sS --max-time 5 http://{WEB}/")
    seen = [line.split()[:2] for line in lab.web_log("web")[lines:]]
    assert len(seen) == 5 and all(address == HQ_WAN and int(port) in NAT_PORTS for address, port in seen), seen
    assert len({port for _, port in seen}) == 5, "a port was used twice at once"


def test_nat_udp(lab):
    server, clients = listener(lab, "web", 5201, socket.SOCK_DGRAM), []
    try:
        for n in range(4):
            client = lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(3)
            clients.append(client)
            client.sendto(b"%d" % n, (WEB, 5201))
            data, (address, port) = server.recvfrom(100)
            assert address == HQ_WAN and port in NAT_PORTS and data == b"%d" % n
            server.sendto(data + b" back", (address, port))
            assert client.recvfrom(100) == (b"%d back" % n, (WEB, 5201))
        rows = show(lab, "hq", "sessions", "--dst", WEB, "--dport", "5201", "--proto", "udp")
        assert len(rows) == 4 and all(HQ_WAN in row["nat_src"] for row in rows), rows
    finally:
        for s in [server, *clients]:
            s.close()


def test_commits_lose_nothing(lab):
    """Through the tunnel and by NAT, while the policy becomes another one several times."""
    at = "    from trust to vpn {\n"
    more = "        rule more-{} {{\n            match {{\n                source any;\n                destination any;\n" \
           "                application any;\n            }}\n            then {{\n                permit;\n            }}\n        }}\n"
    streams = [UdpStream(lab, "host-a", sink, address, port=5210, rate=200) for sink, address in (("host-b", HOST_B), ("web", WEB))]
    try:
        with streams[0], streams[1]:
            wait_for(lambda: all(len(stream.answered) > 20 for stream in streams), 20, "the first answers")
            for number in range(4):
                lab.commit("hq", config_of("hq", (at, at + "".join(more.format(n) for n in range(number + 1)))), f"{number} more")
            for stream in streams:
                stream.sending = False
        assert not any(stream.lost() for stream in streams), f"{[stream.lost() for stream in streams]}: {drops(lab, 'hq')}, {drops(lab, 'branch')}"
    finally:
        lab.commit("hq", config_of("hq"), "as before")


def test_nat_ping_of_two_hosts_with_one_identifier(lab):
    """The identifier is translated like a port."""
    lab["host-a"].run("ip addr add 10.1.0.3/24 dev eth0")
    try:
        with Capture(lab, "internet", "hq0", f"icmp and host {WEB}") as seen:
            pings = [lab["host-a"].popen(f"ping -c 3 -i 0.2 -e 777 -I {source} {WEB}") for source in (HOST_A, "10.1.0.3")]
            assert [ping.wait(10) for ping in pings] == [0, 0]
    finally:
        lab["host-a"].run("ip addr del 10.1.0.3/24 dev eth0")
    requests = {tuple(re.search(r"IP (\S+) > .* id (\d+)", line).groups()) for line in seen.lines() if "echo request" in line}
    assert len(requests) == 2 and {source for source, _ in requests} == {HQ_WAN}, requests


def test_error_about_translated_traffic_comes_back(lab):
    """The web server has no service at UDP port 5209 and reports that; the host receives the error."""
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.connect((WEB, 5209))
        s.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            s.recv(10)


def test_the_hosts_own_connections_use_other_ports(lab):
    lines = len(lab.web_log("web"))
    lab["hq"].run(f"curl -sS --max-time 5 http://{WEB}/")
    address, port = lab.web_log("web")[lines].split()[:2]
    assert address == HQ_WAN and int(port) in HOST_PORTS


def test_many_connections_at_once(lab):
    sockets = [connect(lab, "host-a", WEB, 80) for _ in range(200)]
    try:
        assert not [s for s in sockets if isinstance(s, OSError)]
        rows = show(lab, "hq", "sessions", "--dst", WEB, "--dport", "80", "--proto", "tcp")
        assert len({row["nat_src"] for row in rows}) == len(rows) >= 200
    finally:
        for s in sockets:
            if not isinstance(s, OSError):
                s.close()


def test_clear_sessions(lab):
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5204) as tcp:
        tcp.wait_flowing()
        assert show(lab, "hq", "sessions", "--dport", "5204")
        lab["hq"].run("plaingate clear sessions --dport 5204")
        moved, dropped = tcp.blocks, counter(lab, "hq", "no-session")
        wait_for(lambda: counter(lab, "hq", "no-session") > dropped, 10, f"what both ends send again; {drops(lab, 'hq')}")
        assert tcp.blocks <= moved + 1 and not show(lab, "hq", "sessions", "--dport", "5204")
        tcp.abandon()


# --- to the gateway itself ---

@pytest.mark.parametrize("node, address, open_", [("host-a", "10.1.0.1", True), ("web", HQ_WAN, False)])
def test_ssh_only_from_the_zone_that_names_it(lab, node, address, open_):
    with listener(lab, "hq", 22):
        got = connect(lab, node, address, 22, timeout=1.5)
        assert isinstance(got, socket.socket) == open_, got
        if open_:
            got.close()


def test_other_ports_of_the_gateway_are_closed_to_both(lab):
    with listener(lab, "hq", 8080), listener(lab, "hq", 33333):  # one of them in the range of its own connections
        for node, address in (("host-a", "10.1.0.1"), ("web", HQ_WAN)):
            for port in (8080, 33333):
                assert isinstance(connect(lab, node, address, port, timeout=1), OSError), (node, port)


def test_udp_to_the_gateway_is_closed(lab):
    with listener(lab, "hq", 5000, socket.SOCK_DGRAM) as server, lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        server.settimeout(0.7)
        s.sendto(b"hello", (HQ_WAN, 5000))
        with pytest.raises(TimeoutError):
            server.recv(10)


@pytest.mark.parametrize("node, address", [("host-a", "10.1.0.1"), ("host-a", "fd00:1::1"), ("web", HQ_WAN), ("web", BRANCH_WAN)])
def test_ping_the_gateway(lab, node, address):
    lab[node].run(f"ping -c 2 -i 0.2 -W 2 {address}")


def test_the_gateways_own_traffic_through_the_tunnel(lab):
    """From hq's LAN address to host-b: by the TUN device into the tunnel."""
    lab["hq"].run(f"ping -c 2 -i 0.2 -W 2 -I 10.1.0.1 {HOST_B}")


# --- what the operator sees ---

def test_trace_names_stages_and_rule(lab):
    trace = tracing(lab, f"--dst {WEB} --dport 25 --proto tcp --count 1")
    connect(lab, "host-a", WEB, 25, timeout=1)
    said, _ = trace.communicate(timeout=30)
    assert "rest" in said and "policy-deny" in said and HOST_A in said, said
    assert re.search(rf"{HOST_A} port \d+ to {WEB} port 25, tcp, ", said), said


def test_trace_gives_icmp_no_ports(lab):
    trace = tracing(lab, f"--dst {WEB} --proto icmp --count 1")
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}", check=False)
    said, _ = trace.communicate(timeout=30)
    assert re.search(rf"{HOST_A} to {WEB}, icmp id \d+, 84 octets in 1 packet$", said, re.M), said


def test_trace_as_json_with_several_filters(lab):
    """Each fact is a field; a packet that one of the filters selects is followed."""
    trace = tracing(lab, f"--json --dst {WEB} --dport 25 --or --dst {WEB} --proto tcp --dport 80 --count 2")
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # one packet; a connection that nobody answers sends more
        s.sendto(b"mail", (WEB, 25))
    with connect(lab, "host-a", WEB, 80):
        said, _ = trace.communicate(timeout=30)
    lines = json.loads(said)
    assert {"packet": 1, "stage": "drop", "verdict": "drop", "drop": "policy-deny", "rule": "rest", "from_zone": "trust", "to_zone": "untrust",
            "in_interface": "lan0", "proto": "udp", "dst": f"{WEB}:25"}.items() <= next(l for l in lines if l["stage"] == "drop").items()
    last = [l for l in lines if l["packet"] == 2][-1]
    assert {"stage": "egress", "verdict": "pass", "out_interface": "wan0", "dst": f"{WEB}:80", "direction": "forward"}.items() <= last.items()
    assert last["src"] == last["nat_src"] and last["nat_src_rule"] and "drop" not in last


TABLES = ("status", "interfaces", "routes", "policy", "sessions", "nat", "ike", "ipsec", "tunnels", "counters", "ledger", "keys")


@pytest.mark.parametrize("table", TABLES)
def test_every_table_in_both_forms(lab, table):
    """JSON that parses, with the same keys in every row of a kind; and text whose columns have each a name of their own."""
    with TcpStream(lab, "host-a", "web", WEB, port=5205) as tcp:
        tcp.wait_flowing()
        rows = show(lab, "hq", table)
        text = lab["hq"].run(["plaingate", "show", table]).stdout.splitlines()
    assert rows and all(isinstance(row, dict) and row for row in rows)
    heads = re.split(r"\s{2,}", text[0].strip())
    assert len(heads) == len(set(heads)), f"a column stands twice: {text[0]}"
    assert len(text) > len(rows) * 0.5 and len(text) >= 2


def test_ledger_names_its_directory(lab):
    row = show(lab, "hq", "ledger")[0]
    assert row["directory"] == "/var/lib/plaingate/ledger" and int(row["size"]) > 5 and len(row["root"]) == 64


def test_sessions_by_filter(lab):
    with TcpStream(lab, "host-a", "web", WEB, port=5205) as one, TcpStream(lab, "host-a", "host-b", HOST_B, port=5206) as two:
        one.wait_flowing()
        two.wait_flowing()
        for words, port in ((("--dst", WEB, "--dport", "5205"), "5205"), (("--dst", "10.2.0.0/24", "--dport", "5206"), "5206")):
            rows = show(lab, "hq", "sessions", *words)
            assert rows and all(row["dst"].endswith(f":{port}") for row in rows), rows
        assert not show(lab, "hq", "sessions", "--src", "10.1.0.99")
        assert show(lab, "branch", "sessions", "--src", HOST_A, "--dport", "5206")[0]["from"] == "vpn"


def test_tables_are_filled(lab):
    for gateway in ("hq", "branch"):
        interfaces = {row["interface"]: row for row in show(lab, gateway, "interfaces")}
        assert interfaces["lan0"]["zone"] == "trust" and interfaces["wan0"]["zone"] == "untrust"
        assert int(interfaces["wan0"]["rx_packets"]) > 0
        assert any(row["prefix"] in ("0.0.0.0/0", "default") for row in show(lab, gateway, "routes") if "prefix" in row)
        ike = show(lab, gateway, "ike")
        assert len(ike) == 1 and ike[0]["peer"] in ("hq", "branch") and ike[0]["state"] in ("established", "up"), ike
        assert [row["rule"] for row in show(lab, gateway, "nat")] == ["internet", "internet-ipv6"]
        assert {row["process"] for row in show(lab, gateway, "status")} >= {"supervisor", "keeper", "ike", "dataplane", "ledger", "control"}
        assert any("hq-branch" in str(row["name"]) for row in show(lab, gateway, "keys"))
