"""hq's peer is a template for *.example.net; strongSwan comes as two of its identities at once, each with its half of the network and a
key of its own."""
import pytest
from kit import HOST_B, LabError, ledger_entries, show, wait_for

PEER = ("strongSwan", "charon-systemd")
UPPER = "10.2.0.200"
TEMPLATE = (("remote-address 203.0.113.2", "remote-address any"), ("remote-id branch.example.net", "remote-id *.example.net;\n        connections-limit 2"))


def another(connection, name, child, network):
    """The same connection of strongSwan's under another name, identity and network."""
    return (connection.replace("hq {", f"{name} {{", 1).replace("lan {", f"{child} {{").replace("branch.example.net", f"{name}.example.net")
            .replace("local_ts = 10.2.0.0/25", f"local_ts = {network}").replace("remote_ts = 10.1.0.0/24", "remote_ts = 10.1.0.0/25"))


def own_keys(both, names):
    """Each identity gets a key of its own, at hq too. Returns strongSwan's secrets."""
    for name in names:
        both.lab.write_key("hq", f"{name}.example.net.psk", f"the key of {name} alone")
    config = (both.lab["hq"].state / "etc/hq.conf").read_text()
    both.lab.commit("hq", config.replace("pre-shared-key hq-branch;", "identity-keys;"), "a key for each")
    secrets = "".join(f'\tike-{name} {{\n\t\tid-own = {name}.example.net\n\t\tsecret = "the key of {name} alone"\n\t}}\n' for name in names)
    return f"secrets {{\n{secrets}}}\n"


def refusals(lab):
    return [str(entry["body"]) for entry in ledger_entries(lab, "hq") if entry["type"] == "handshake_refused"]


@pytest.mark.row("two identities of one template at once")
def test_two_identities_at_once(sites):
    both = sites(more=TEMPLATE)
    text = both.swan.config.read_text().replace("local_ts = 10.2.0.0/24", "local_ts = 10.2.0.0/25")
    begin, end = text.index("\thq {"), text.index("\n}\n") + 1
    one = text[begin:end]
    more = another(one, "other", "lan2", "10.2.0.128/25") + another(one, "third", "lan3", "10.2.0.64/26")
    both.swan.load((text[:end] + more + text[end:]).split("secrets {")[0] + own_keys(both, ("branch", "other", "third")))
    both.lab["host-b"].run(f"ip address add {UPPER}/32 dev lo")
    both.lab["branch"].run("ip address add 10.2.0.129/24 dev lan0")  # kernel-libipsec wants one of its own in each network
    both.start_from("strongswan")
    both.swan.initiate("lan2")
    wait_for(lambda: len(both.ours()) == 2, 15, "a tunnel of each identity", pause=0.1)
    for host in (HOST_B, UPPER):
        both.lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {host}")
    assert all(row["packets_in"] and row["packets_out"] for row in both.ours()), both.ours()
    rows = {row.get("identity"): row for row in show(both.lab, "hq", "ike")}
    assert {"branch.example.net", "other.example.net"} < set(rows) and rows[None]["identities"] == 2, rows
    # One too many; then one in the place of another, with an address that is the first one's.
    with pytest.raises(LabError):
        both.swan.initiate("lan3", timeout=3)
    said = refusals(both.lab)
    assert said and "in use by 2 identities" in said[-1] and "third.example.net" in said[-1], said
    both.swan.swanctl("--terminate --ike third --force", check=False)
    both.plaingate("ike terminate other.example.net")
    wait_for(lambda: len(both.ours()) == 1, 15, "the other identity's tunnel to end", pause=0.1)
    with pytest.raises(LabError):
        both.swan.initiate("lan3", timeout=10)
    said = refusals(both.lab)
    assert "in use by 'branch.example.net'" in said[-1], said
    both.lab["host-a"].run(f"ping -c 1 -W 2 {HOST_B}")
    up = str([entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_sa_up"])
    assert all(f"{name}.example.net" in up for name in ("branch", "other", "third")), up
