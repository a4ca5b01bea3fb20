"""The NAT in front of the branch loses its mapping (rebooted, another port; another address; both) while ESP flows to head office. DPD
would ask only a minute later: the packets received tell where the answers have to go (RFC 7296 section 2.23)."""
import re
import signal
import subprocess
import time

import pytest
from kit import HOST_A, HOST_A6, config_of, own_lab, show, wait_for

BACK_S = 3  # a second until the data plane tells; the rest is for a busy machine
PORT, OTHER_PORT = 41000, 43000
FAMILIES = {  # of the outer packets: hq, branch, the NAT's first and later mapping; a family of nftables; the address that is pinged
    "IPv4": ("198.51.100.2", "203.0.113.2", "198.51.100.1", "198.51.100.77", "ip", HOST_A),
    "IPv6": ("2001:db8:1::2", "2001:db8:2::2", "2001:db8:1::1", "2001:db8:1::77", "ip6", HOST_A6),
}
FLUSH = """
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
s.send(struct.pack("=IHHII", 20, 1 << 8 | 2, 5, 1, 0) + bytes(4))  # IPCTNL_MSG_CT_DELETE without a tuple: all of them
answer = s.recv(4096)
raise SystemExit(-struct.unpack_from("=i", answer, 16)[0])
"""


def port_of(endpoint):
    return int(endpoint.rpartition(":")[2])


def nat(lab, address, port):
    """The mapping of the branch's UDP; previous mappings are forgotten. Head office reaches the branch's ports at the first address."""
    _, branch, first, _, family, _ = lab.addresses
    to = f"[{address}]" if ":" in address else address
    (lab["internet"].state / "nat.nft").write_text(f"""flush ruleset
table {family} nat {{
	chain pre {{ type nat hook prerouting priority dstnat; iifname hq0 {family} daddr {first} udp dport {{ 500, 4500 }} dnat to {branch}; }}
	chain post {{ type nat hook postrouting priority srcnat; oifname hq0 {family} saddr {branch} meta l4proto udp snat to {to}:{port}; }}
}}
""", encoding="utf-8")
    lab["internet"].run(["nft", "-f", str(lab["internet"].state / "nat.nft")])
    lab["internet"].run(["/usr/bin/python3", "-c", FLUSH])


def configs(addresses, begins):
    hq, branch, first = addresses[:3]
    remote = {"hq": first if begins == "hq" else "any", "branch": hq}
    old = {"hq": ("198.51.100.2", "203.0.113.2"), "branch": ("203.0.113.2", "198.51.100.2")}
    texts = {}
    for name, local in (("hq", hq), ("branch", branch)):
        start = "always" if name == begins else "never"
        texts[name] = config_of(name, (f"local-address {old[name][0]}", f"local-address {local}"), (f"remote-address {old[name][1]}", f"remote-address {remote[name]}"),
                                ("        force-encapsulation;\n", ""), ("dpd 10;", f"dpd 60; start {start};"))
    texts["hq"] = texts["hq"].replace("        start always;\n", "")
    return texts


@pytest.fixture(scope="module", params=[(family, begins) for family in FAMILIES for begins in ("branch", "hq")], ids=lambda p: f"{p[0]}, {p[1]} begins")
def lab(request):
    family, begins = request.param
    two_sites = own_lab("pgm")
    two_sites.addresses = FAMILIES[family]
    first, later = FAMILIES[family][2:4]

    def prepare(lab):
        lab["internet"].run(f"ip addr add {later}/{64 if ':' in later else 24} dev hq0" + (" nodad" if ":" in later else ""))
        nat(lab, first, PORT)

    try:
        two_sites.up("off", configs=configs(FAMILIES[family], begins), prepare=prepare)
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def seen_at(lab):
    """Where head office has the branch: for IKE and for ESP."""
    ike = [row["remote"] for row in show(lab, "hq", "ike") if row["state"] == "established"]
    return ike + [row["remote"] for row in show(lab, "hq", "ipsec")]


def gap_s(text):
    """The longest time between two answers."""
    times = [float(at) for at in re.findall(r"^\[([0-9.]+)\] .*bytes from", text, re.M)]
    assert len(times) > 20, text[-500:]
    return max(b - a for a, b in zip(times, times[1:])), times


@pytest.mark.parametrize("change", ("port", "address", "both"))
def test_answers_go_where_the_esp_comes_from(lab, change):
    address, port = lab.addresses[2], PORT
    host_a = lab.addresses[5]
    nat(lab, address, port)
    wait_for(lambda: lab["host-b"].run(f"ping -c 1 -W 1 {host_a}", check=False).returncode == 0, 10, "the tunnel")
    wait_for(lambda: all(port_of(e) == port for e in seen_at(lab)), 5, f"head office to see port {port}: {seen_at(lab)}")
    stream = lab["host-b"].popen(f"ping -D -i 0.05 {host_a}", stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    if change != "port":
        address = lab.addresses[3]
    if change != "address":
        port = OTHER_PORT
    changed = time.time()
    nat(lab, address, port)
    time.sleep(max(changed + BACK_S + 1 - time.time(), 1))
    stream.send_signal(signal.SIGINT)
    text = stream.communicate(timeout=30)[0]
    longest, times = gap_s(text)
    assert times[-1] > changed + BACK_S, f"no answer any more: {lab.log_end('hq', 5)}"
    assert longest < BACK_S, f"{longest:.1f} s without an answer"
    assert seen_at(lab) and all(port_of(e) == port and address in e for e in seen_at(lab)), f"{address} port {port}: {seen_at(lab)}"
    assert "moved from" in lab.log_end("hq", 40) and "as its ESP shows" in lab.log_end("hq", 40)
