"""IKE messages in parts (RFC 7383) between Plaingate and strongSwan, cut by both, whoever begins: identities and selectors that make IKE_AUTH
too long for one datagram of the size that is configured."""
import pytest
from kit import Capture, config_of, ledger_entries
from sites import flowing

PEER = ("strongSwan", "charon-systemd")
LONG = ".a-name-that-is-as-long-as-names-of-sites-are-in-large-companies.with-regions-and-departments.example.net"
THERE = [f"10.2.{n}.0/24" for n in range(1, 8)]


def parts(seen, source):
    """Octets of the IP packets on port 500 or 4500 from there that hold a part: SKF is the header's next payload."""
    plain, marked = (f"udp port {port} and udp[{8 + marker + 16}] = 53" for port, marker in ((500, 0), (4500, 4)))
    lines = seen.lines(f"src host {source} and ({plain} or ({marked} and udp[8:4] = 0))", "-v")
    return [int(line.split("length ")[1].split(")")[0]) for line in lines if " proto UDP" in line]


@pytest.mark.row("messages in parts, both ways")
@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
def test_both_cut(sites, initiator):
    both = sites(fragment_size=400)
    for network in THERE:  # charon demands an address of its own in each
        both.lab["branch"].run(f"ip address add {network.replace('.0/', '.1/')} dev lan0")
    text = both.swan.config.read_text(encoding="utf-8")
    for old, new in (("id = branch.example.net", f"id = branch{LONG}"), ("id = hq.example.net", f"id = hq{LONG}"),
                     ("local_ts = 10.2.0.0/24", "local_ts = 10.2.0.0/24, " + ", ".join(THERE)), ("remote_ts = 10.1.0.0/24", "remote_ts = 10.1.0.0/24, 10.1.1.0/24")):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("version = 2", "version = 2\n\t\tfragmentation = yes")
    both.swan.load(text)
    both.lab.commit("hq", config_of("hq", ("local-id hq.example.net", f"local-id hq{LONG}"), ("remote-id branch.example.net", f"remote-id branch{LONG}"),
                                    ("prefix [ 10.2.0.0/24 fd00:2::/64 ];", f"prefix [ 10.2.0.0/24 {' '.join(THERE)} ];"),
                                    ("remote [ 10.2.0.0/24 fd00:2::/64 ]", f"remote [ 10.2.0.0/24 {' '.join(THERE)} ]"),
                                    ("local [ 10.1.0.0/24 fd00:1::/64 ]", "local [ 10.1.0.0/24 10.1.1.0/24 ]"), ("prefix [ 10.1.0.0/24 fd00:1::/64 ];", "prefix [ 10.1.0.0/24 10.1.1.0/24 ];"),
                                    ("start always", "start never"), ("dpd 10", "dpd 10;\n        fragment-size 576")), "long")
    with Capture(both.lab, "internet", "hq0") as seen:
        both.start_from(initiator)
        with flowing(both) as udp:
            udp.wait_flowing()
        both.plaingate("ike rekey-child branch")
    ours, theirs = parts(seen, "198.51.100.2"), parts(seen, "203.0.113.2")
    assert len(theirs) >= 2 and max(theirs) <= 400, f"{theirs} {seen.lines()[:40]}"
    if initiator == "plaingate":  # an answer has one identity, and fits
        assert len(ours) >= 2 and max(ours) == 576, f"{ours} {seen.lines()[:40]}"
    assert {"ike_sa_up", "sa_install"} <= {entry["type"] for entry in ledger_entries(both.lab, "hq")}


@pytest.mark.row("messages in parts: off is not offered")
def test_off_is_not_offered(sites):
    both = sites(fragment_size=400)
    both.lab.commit("hq", config_of("hq", ("local [ 10.1.0.0/24 fd00:1::/64 ]", "local 10.1.0.0/24"), ("remote [ 10.2.0.0/24 fd00:2::/64 ]", "remote 10.2.0.0/24"),
                                    ("start always", "start never"), ("dpd 10", "dpd 10;\n        fragmentation off")), "off")
    with Capture(both.lab, "internet", "hq0") as seen:
        both.start_from("strongswan")
    assert not parts(seen, "203.0.113.2") and not parts(seen, "198.51.100.2")
