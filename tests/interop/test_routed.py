"""Plaingate's tunnel with an interface against strongSwan with all addresses as selectors on both sides, whose routes into the tunnel an
administrator sets: whoever begins, routes choose what passes, and a rekey changes nothing for it."""
import pytest
from kit import HOST_B, show, verify_ledger, wait_for
from sites import Sites

PEER = ("strongSwan", "charon-systemd")
MORE = (("local 10.1.0.0/24;", "interface st0.1;\n        local 0.0.0.0/0;"), ("remote 10.2.0.0/24;", "remote 0.0.0.0/0;"))


@pytest.fixture(scope="module")
def sites():
    both = Sites(more=MORE, routed=True)
    try:
        text = both.swan.config.read_text(encoding="utf-8")
        both.swan.load(text.replace("local_ts = 10.2.0.0/24", "local_ts = 0.0.0.0/0").replace("remote_ts = 10.1.0.0/24", "remote_ts = 0.0.0.0/0"))
        both.lab["hq"].run("ip addr add 10.255.0.1/30 dev st0.1")
        both.lab["branch"].run("ip addr add 10.255.0.2/30 dev ipsec0")
        yield both
        verify_ledger(both.lab, "hq")
    finally:
        both.down()


def answers(sites_, node, address):
    return sites_.lab[node].run(["ping", "-c", "1", "-W", "1", address], check=False).returncode == 0


@pytest.mark.row("tunnel with an interface, 0/0 to 0/0; routes choose")
@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
def test_routes_choose(sites, initiator):
    sites.start_from(initiator)
    assert all(row["local_ts"] == row["remote_ts"] == "0.0.0.0/0" for row in sites.ours()), sites.ours()
    wait_for(lambda: answers(sites, "hq", "10.255.0.2"), 10, f"the other end of the interface; charon: {sites.swan.log()[-600:]}")
    assert not answers(sites, "host-a", HOST_B)
    sites.lab["hq"].run("ip route add 10.2.0.0/24 via 10.255.0.2 dev st0.1")
    sites.lab["branch"].run("ip route add 10.1.0.0/24 dev ipsec0")
    wait_for(lambda: answers(sites, "host-a", HOST_B), 10, "an answer by the route")
    wait_for(lambda: answers(sites, "host-b", "10.1.0.2"), 10, "an answer the other way")
    spis = sites.our_spis()
    sites.plaingate("ike rekey-child branch")
    wait_for(lambda: sites.settled() and sites.our_spis() != spis, 15, "the rekeyed child SA")
    assert answers(sites, "host-a", HOST_B)
    sites.lab["hq"].run("ip route del 10.2.0.0/24")
    sites.lab["branch"].run("ip route del 10.1.0.0/24")
    sites.plaingate("ike terminate branch")
    wait_for(lambda: not sites.ours() and not sites.swan.sas(), 10, "the end of all SAs")
    assert show(sites.lab, "hq", "tunnels")[0]["state"] == "down"
