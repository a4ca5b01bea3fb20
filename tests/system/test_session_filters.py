"""Filters of `show sessions`, `show sessions summary` and `clear sessions`, from the command line to the session table."""
import json

import pytest
from kit import HOST_B, UdpStream, own_lab

FILL = """
import socket, time
for port in range(20000, 20040):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.1.0.2", port))
    s.sendto(b"x" * (10 if port < 20020 else 500), ("10.2.0.2", 5201))
"""


@pytest.fixture(scope="module")
def lab():
    made = own_lab("pgfil")
    try:
        made.up("on")
        made.wait_for_tunnel()
        yield made
    finally:
        made.down()


def show(lab, options):
    return json.loads(lab["hq"].run(f"plaingate show sessions --json {options}").stdout)


def test_filters(lab):
    lab["hq"].run("plaingate clear sessions")
    lab["host-a"].run(["python3", "-c", FILL])
    everything = show(lab, "--sport 20000-20039")
    assert len(everything) == 40
    one = everything[0]
    assert len(show(lab, f"--sport 20000-20039 --from-zone {one['from']} --to-zone {one['to']} --rule {one['rule']} --tunnel {one['tunnel']} "
                         f"--interface {one['interface']} --state unanswered --src 10.1.0.2 --dst 10.2.0.0/24 --proto udp --age-max 60")) == 40
    assert len(show(lab, "--sport 20000-20039 --bytes-min 400")) == 20
    assert [row["id"] for row in show(lab, f"--id {one['id']}")] == [one["id"]]
    assert show(lab, "--sport 20000-20039 --idle-min 1d") == show(lab, "--sport 20000-20039 --nat-src 0.0.0.0/0") == []
    assert show(lab, f"--sport 20000-20039 --from-zone {one['to']}") == []


def test_names_and_values_that_are_wrong(lab):
    for options, status, says in [("--from-zone turst", 1, "there is no zone 'turst', expected one of: "), ("--rule nope", 1, "there is no rule 'nope'"),
                                  ("--state open", 1, "expected one of: unanswered, answered, syn-sent"), ("--sport 9-8", 2, "--sport: '9-8' found, expected"),
                                  ("--idle-min soon", 2, "expected a time")]:
        for command in ("show sessions", "show sessions summary", "clear sessions"):
            done = lab["hq"].run(f"plaingate {command} {options}", check=False)
            assert done.returncode == status and says in done.stderr, (command, options, done.stderr)


def test_clear_ends_what_is_selected(lab):
    with UdpStream(lab, "host-a", "host-b", HOST_B, rate=50) as udp:
        udp.wait_flowing()
        lab["host-a"].run(["python3", "-c", FILL])
        assert lab["hq"].run("plaingate clear sessions --sport 20000-20009 --from-zone trust").stdout == "10 sessions ended\n"
        assert len(show(lab, "--sport 20000-20039")) == 30
        assert lab["hq"].run("plaingate clear sessions --idle-min 1h").stdout == "0 sessions ended\n"
        assert len(show(lab, "--state answered")) >= 1


def test_summary(lab):
    lab["hq"].run("plaingate clear sessions")
    lab["host-a"].run(["python3", "-c", FILL])
    rows = {(row["by"], row["value"]): row for row in
            json.loads(lab["hq"].run("plaingate show sessions summary --json --sport 20000-20039").stdout)}
    assert rows["all", ""]["sessions"] == rows["protocol", "udp"]["sessions"] == rows["state", "unanswered"]["sessions"] == 40
    assert rows["all", ""]["packets"] == 40 and rows["from zone", "trust"]["bytes"] == rows["all", ""]["bytes"]
    assert lab["hq"].run("plaingate show sessions summary --src 198.18.0.1 --json").stdout.count('"by"') <= 1


def test_talkers(lab):
    lab["hq"].run("plaingate clear sessions")
    lab["host-a"].run(["python3", "-c", FILL])
    rows = json.loads(lab["hq"].run("plaingate show talkers --json --by pair --order sessions --sport 20000-20039").stdout)
    assert [(row["src"], row["dst"], row["sessions"], row["overcount"]) for row in rows] == [("10.1.0.2", "10.2.0.2", 40, 0)]
    assert rows[0]["packets"] >= 40 and rows[0]["bytes"] >= 20 * 38 + 20 * 528
    rows = json.loads(lab["hq"].run("plaingate show talkers --json --sport 20000-20039").stdout)
    assert [row["src"] for row in rows] == ["10.1.0.2"] and "dst" not in rows[0]
    for options in ("show talkers --limit 65", "show sessions --by pair", "show talkers --order octets"):
        assert lab["hq"].run(f"plaingate {options}", check=False).returncode == 2
