"""Plaingate's single tunnel with two networks on each side, against a peer that has a child SA for each pair of networks, as policy-based
gateways do (strongSwan with four children): each pair carries its own traffic, whoever begins.
"""
import itertools
import time

import pytest
from kit import config_of, show, verify_ledger, wait_for
from sites import Sites

PEER = ("strongSwan", "charon-systemd")
HERE, THERE = ("10.1.0", "10.1.8"), ("10.2.0", "10.2.8")
PAIRS = list(itertools.product(HERE, THERE))


@pytest.fixture(params=["never", "on-traffic"])
def pairs(request):
    both = Sites()
    try:
        for node, side, host in (("hq", HERE, "host-a"), ("branch", THERE, "host-b")):
            both.lab[node].run(f"ip address add {side[1]}.1/24 dev lan0")
            both.lab[host].run(f"ip address add {side[1]}.2/24 dev eth0")
        text = both.swan.config.read_text(encoding="utf-8")
        start, end = text.index("lan {"), text.index("dpd_action = clear") + len("dpd_action = clear")
        child = text[start:end] + "\n\t\t\t}\n"
        children = "".join(child.replace("lan {", f"c{n} {{").replace("10.2.0.0/24", f"{there}.0/24").replace("10.1.0.0/24", f"{here}.0/24")
                           for n, (here, there) in enumerate(PAIRS))
        both.swan.load(text[:start] + children + text[end:].lstrip().removeprefix("}").lstrip("\n"))
        both.lab.commit("hq", config_of(
            "hq", ("prefix [ 10.1.0.0/24 fd00:1::/64 ];", "prefix [ 10.1.0.0/24 10.1.8.0/24 ];"),
            ("prefix [ 10.2.0.0/24 fd00:2::/64 ];", "prefix [ 10.2.0.0/24 10.2.8.0/24 ];"),
            ("local [ 10.1.0.0/24 fd00:1::/64 ]", "local [ 10.1.0.0/24 10.1.8.0/24 ]"),
            ("remote [ 10.2.0.0/24 fd00:2::/64 ]", "remote [ 10.2.0.0/24 10.2.8.0/24 ]"), ("start always", f"start {request.param}")), "pairs")
        yield both, request.param
        verify_ledger(both.lab, "hq")
    finally:
        both.down()


def answered(both, here, there, tries=1):
    for _ in range(tries):
        if both.lab["host-a"].run(f"ping -c 1 -W 1 -I {here}.2 {there}.2", check=False).returncode == 0:
            return True
    return False


@pytest.mark.row("a child for each of four pairs of networks")
def test_each_pair_has_its_own(pairs):
    both, start = pairs
    if start == "never":
        for n in range(len(PAIRS)):
            both.swan.initiate(f"c{n}")
    else:
        for here, there in PAIRS:  # the first packet asks; the next pair's two seconds later at the earliest
            assert answered(both, here, there, tries=6), f"{here} to {there}: {show(both.lab, 'hq', 'ipsec')} {both.swan.log()[-1500:]}"
    rows = [row for row in show(both.lab, "hq", "ipsec") if row["state"] == "active"]
    assert {(row["local_ts"].split(".0/")[0], row["remote_ts"].split(".0/")[0]) for row in rows} == set(PAIRS), rows
    for _ in range(2):
        for here, there in PAIRS:
            assert answered(both, here, there), f"{here} to {there}: {show(both.lab, 'hq', 'ipsec')}"
    # A rekey keeps each pair as it is.
    both.lab["hq"].run("plaingate ike rekey-child branch")
    time.sleep(1)
    wait_for(lambda: len([row for row in show(both.lab, "hq", "ipsec") if row["state"] == "active"]) >= 4, 10, "the rekeyed children", pause=0.2)
    for here, there in PAIRS:
        assert answered(both, here, there), f"after the rekey: {here} to {there}: {show(both.lab, 'hq', 'ipsec')}"
