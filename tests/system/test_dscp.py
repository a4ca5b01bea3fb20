"""Code points that rules set, and what the kernel's own queues make of them: packets that leave by a zone's interface pass its qdisc, where a
filter on the DS field puts them into their class. In a tunnel the outer packet has the code point of the inner one."""
import pytest
from kit import HOST_B, WEB, Capture, config_of, drops, own_lab, show, wait_for

EF, AF41, PINGS = 46, 34, 20


@pytest.fixture(scope="module", params=[1, 2], ids=lambda n: f"{n} workers")
def lab(request):
    two_sites = own_lab("upl")
    two_sites.workers = request.param
    two_sites.up("on")
    try:
        hq = config_of("hq", ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];\n            }\n            then {\n                permit;",
                              "application [ http https dns ping traceroute iperf-tcp iperf-udp ];\n            }\n            then {\n                permit;\n                dscp ef;"),
                       ("application office;\n            }\n            then {\n                permit;", "application office;\n            }\n            then {\n                permit;\n                dscp af41;"))
        two_sites.commit("hq", hq, "code points")
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def classes(lab):
    """What each class of the qdisc on wan0 has sent, in packets."""
    sent, now = {}, None
    for line in lab["hq"].run("tc -s class show dev wan0").stdout.splitlines():
        words = line.split()
        if words[:2] == ["class", "htb"]:
            now = words[2]
        elif words[:1] == ["Sent"]:
            sent[now] = int(words[3])
    return sent


def test_a_marked_flow_is_put_into_its_class(lab):
    hq = lab["hq"]
    hq.run("tc qdisc add dev wan0 root handle 1: htb default 20 r2q 100")
    for number in (10, 20, 30):
        hq.run(f"tc class add dev wan0 parent 1: classid 1:{number} htb rate 100mbit")
    hq.run(f"tc filter add dev wan0 parent 1: protocol ip prio 1 u32 match ip dsfield {EF << 2:#x} 0xfc flowid 1:10")
    hq.run(f"tc filter add dev wan0 parent 1: protocol ip prio 1 u32 match ip dsfield {AF41 << 2:#x} 0xfc flowid 1:30")
    try:
        before = classes(lab)
        lab["host-a"].run(f"ping -c {PINGS} -i 0.02 {WEB}")
        after = classes(lab)
        assert after["1:10"] - before["1:10"] == PINGS, (before, after, drops(lab, "hq"))
        assert after["1:30"] == before["1:30"]
        # Sealed packets are the host's own sockets', with the outer code point.
        wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0, 10, "the tunnel")
        before = classes(lab)
        lab["host-a"].run(f"ping -c {PINGS} -i 0.02 {HOST_B}")
        after = classes(lab)
        assert after["1:30"] - before["1:30"] == PINGS, (before, after)
        assert after["1:10"] == before["1:10"]
    finally:
        hq.run("tc qdisc del dev wan0 root")


def test_both_directions(lab):
    with Capture(lab, "host-a", "eth0", "icmp and src host 192.0.2.80") as answers:
        lab["host-a"].run(f"ping -c 3 -i 0.1 {WEB}")
    assert sum(f"tos {EF << 2:#x}" in line for line in answers.lines("", "-v")) >= 3, answers.lines("", "-v")
    assert {row["rule"]: row.get("dscp") for row in show(lab, "hq", "policy") if row["rule"] in ("to-internet", "rest")} == {"to-internet": EF, "rest": None}
