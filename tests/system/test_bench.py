"""bench/firewall and bench/ike work: each brings its rows up, measures what it says, and leaves nothing behind. Their figures are not tested."""
import json
import os
import subprocess

from kit import ROOT

PREFIX = "tbf-"


def test_firewall():
    words = [ROOT / "bench/firewall", "--json", "--runs", "1", "--seconds", "0.3", "--rules", "1,50", "--tests", "cps,fin,imix", "--workers", "1,2",
             "--sessions", "2000"]
    done = subprocess.run(words, env={**os.environ, "PLAINGATE_LAB_PREFIX": PREFIX}, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    values = {row["name"]: row["value"] for row in rows if "value" in row}
    for gateways in ("kernel", "nftables", "plaingate", "plaingate-2"):
        assert values[f"{gateways}.sessions"] == values[f"{gateways}.sessions.alive"] == 2000
        for rules in (1, 50):
            for test in ("cps", "fin", "imix"):
                assert values[f"{gateways}.{rules}.{test}"] > 0 and values[f"{gateways}.{rules}.{test}.cpu"] > 0
    for rules in (1, 50):
        assert all(row[key] > 0 for row in rows if row.get("name") == f"plaingate.{rules}.cps" for key in ("ratio", "also_ratio"))
    assert {row["name"] for row in rows if "limit" in row} >= {"generator.plaingate.1.cps", "generator.nftables.50.fin"}
    goals = {row["goal"]: row for row in rows if "goal" in row}
    assert goals["connections per second, 1 rule, of nftables"]["measured"] > 0
    assert goals["TCP throughput, one stream, 1 rule, of nftables"]["measured"] is None
    assert not [name for name in os.listdir("/run/netns") if name.startswith(PREFIX)]


def test_ike():
    """With a few peers: certificates, a peer that dies and comes back, and Plaingate at both ends."""
    words = [ROOT / "bench/ike", "--json", "--runs", "1", "--peers", "3", "--auth", "certificate-rsa-3072", "--restart", "--standing", "3",
             "--dpd", "2"]
    done = subprocess.run(words, env={**os.environ, "PLAINGATE_LAB_PREFIX": "tbi-"}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    for part in ("handshakes", "cpu", "wall", "restart"):
        assert rows[f"plaingate.certificate-rsa-3072.{part}"]["ratio"] > 0
    plaingate = {name.removeprefix("plaingate.certificate-rsa-3072."): row["value"] for name, row in rows.items()}
    assert plaingate["cpu.keeper"] > 0 and plaingate["entries"] >= 2 and plaingate["entry"] > 0  # the IKE SA's, and its child's
    assert rows["standing.count"]["value"] == 3
    for part in ("commit.first", "commit.standing", "restart.branch", "restart.hq"):
        assert rows[f"standing.{part}"]["value"] > 0
    assert rows["standing.memory.hq"]["unit"] == "octets/tunnel"  # of three tunnels it may be none: what was freed before is used again
    assert not [name for name in os.listdir("/run/netns") if name.startswith("tbi-")]
