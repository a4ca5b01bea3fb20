"""Redirect (RFC 5685) with strongSwan of this machine's Debian: each side sends the other one to a second address of its own, which stands for another gateway
that has the same identity and keys."""
import re

import pytest
from kit import ledger_entries, show, wait_for
from sites import flowing

PEER = ("strongSwan", "charon-systemd")
OURS, THEIRS = "198.51.100.3", "203.0.113.3"
ANYWHERE = ("local-address 198.51.100.2;", "")


def second_addresses(both):
    both.lab["hq"].run(f"ip addr add {OURS}/24 dev wan0")
    both.lab["branch"].run(f"ip addr add {THEIRS}/24 dev wan0")
    text = both.swan.config.read_text(encoding="utf-8")
    both.swan.load(text.replace("local_addrs = 203.0.113.2", f"local_addrs = 203.0.113.2, {THEIRS}"))


def at(both, address):
    return [row for row in show(both.lab, "hq", "ike") if row["state"] == "established" and
            address in (row["local"].rsplit(":", 1)[0], row["remote"].rsplit(":", 1)[0])]


@pytest.mark.row("redirect in IKE_SA_INIT, strongSwan follows")
def test_strongswan_follows_in_ike_sa_init(sites):
    both = sites(more=[ANYWHERE, ("dpd 30", f"redirect {{\n            to {OURS};\n        }}\n        dpd 30")])
    second_addresses(both)
    both.start_from("strongswan")
    row = wait_for(lambda: at(both, OURS), 15, f"the IKE SA at the other address; charon: {both.swan.log()[-1500:]}", pause=0.1)[0]
    assert row["redirected_from"] == "198.51.100.2" and re.search(r"redirected to .*198\.51\.100\.3", both.swan.log())
    with flowing(both) as udp:
        udp.wait_flowing()
    assert not udp.lost()


@pytest.mark.row("redirect of an established IKE SA, strongSwan follows")
def test_strongswan_follows_when_established(sites):
    both = sites(more=[ANYWHERE])
    second_addresses(both)
    both.start_from("strongswan")
    assert at(both, "198.51.100.2")
    both.plaingate(f"ike redirect branch to {OURS}")
    wait_for(lambda: at(both, OURS) and not at(both, "198.51.100.2"), 20,
             f"the IKE SA at the other address; {show(both.lab, 'hq', 'ike')}; charon: {both.swan.log()[-1500:]}", pause=0.1)
    wait_for(both.settled, 10, "both sides to agree", pause=0.1)
    with flowing(both) as udp:
        udp.wait_flowing()
    assert not udp.lost()
    acts = [entry["body"]["detail"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "admin_act"]
    assert f"redirect branch to {OURS}" in acts, acts


@pytest.mark.row("redirect of an established IKE SA by strongSwan, make before break")
def test_strongswan_redirects(sites):
    both = sites(more=[("dpd 30", "redirect {\n            accept;\n        }\n        dpd 30")])
    second_addresses(both)
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        both.swan.swanctl(f"--redirect --ike hq --gateway {THEIRS}")
        wait_for(lambda: at(both, THEIRS) and not at(both, "203.0.113.2"), 20,
                 f"the IKE SA at the other address; {show(both.lab, 'hq', 'ike')}; charon: {both.swan.log()[-1500:]}", pause=0.1)
        wait_for(both.settled, 10, "both sides to agree", pause=0.1)
        udp.wait_flowing()
    assert not udp.twice()
    row = at(both, THEIRS)[0]
    assert row["redirected_from"] == "203.0.113.2"
    entry = next(entry for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_redirected")
    assert entry["body"]["authenticated"] == 1 and entry["body"]["to"] == THEIRS and entry["body"]["from"].startswith("203.0.113.2:"), entry


@pytest.mark.row("redirect by strongSwan that is not configured: not announced")
def test_not_announced(sites):
    both = sites()
    second_addresses(both)
    both.start_from("plaingate")
    both.swan.swanctl(f"--redirect --ike hq --gateway {THEIRS}")
    wait_for(lambda: "client does not support IKE redirection" in both.swan.log(), 10, f"what charon says: {both.swan.log()[-800:]}", pause=0.1)
    assert at(both, "203.0.113.2") and not at(both, THEIRS)
