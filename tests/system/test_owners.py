"""Two tunnels on gateways with two workers: each has a pair of SAs of another worker, whether ESP comes in UDP or plain. Deaths of the
data plane and another number of workers repeat no sequence number and lose no tunnel."""
import os
import signal

import pytest
from kit import (GATEWAYS, HOST_B, HOST_B6, LAN_FILTER, Capture, LabError, UdpStream, config_of, drops, own_lab, processes, show,
                 verify_ledger, wait_for)

DIVIDED = ("""        local [ 10.1.0.0/24 fd00:1::/64 ];
        remote [ 10.2.0.0/24 fd00:2::/64 ];
        proposals modern;
""", """        local 10.1.0.0/24;
        remote 10.2.0.0/24;
        proposals modern;
    }
    tunnel branch6 {
        peer branch;
        zone vpn;
        local fd00:1::/64;
        remote fd00:2::/64;
        proposals modern;
""")
PLAIN = ("        force-encapsulation;\n", "")


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgo")
    two_sites.workers = 2
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()  # else the commits meet its handshake
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


def mirrored(gateway):
    """The other side has the networks the other way round."""
    if gateway == "hq":
        return DIVIDED
    names = (("10.1.", "10.x."), ("10.2.", "10.1."), ("10.x.", "10.2."), ("fd00:1", "fd00:x"), ("fd00:2", "fd00:1"), ("fd00:x", "fd00:2"),
             ("branch", "hq"))
    old, new = DIVIDED
    for was, is_now in names:
        old, new = old.replace(was, is_now), new.replace(was, is_now)
    return old, new


def pairs(lab, gateway):
    return [row for row in show(lab, gateway, "ipsec") if row["state"] == "active"]


def commit(lab, workers, *changes):
    for gateway in GATEWAYS:
        lab.commit(gateway, config_of(gateway, mirrored(gateway), ("host-name ", f"workers {workers};\n    host-name "), *changes),
                   f"{workers} workers")


def kill_data_plane(lab, gateway):
    pid, restarts = processes(lab, gateway)["dataplane"]
    os.kill(pid, signal.SIGKILL)

    def back():
        try:
            row = next(row for row in show(lab, gateway, "status") if row["process"] == "dataplane")
        except LabError:
            return False
        return row["state"] == "ready" and int(row["restarts"]) > restarts

    wait_for(back, 15, f"a new dataplane on {gateway}", pause=0.05)


def owners(lab, gateway):
    return {row["tunnel"]: int(row["worker"]) for row in pairs(lab, gateway)}


@pytest.mark.parametrize("encapsulation", ["udp", "none"])
def test_pairs_of_both_workers(lab, encapsulation):
    changes = (PLAIN,) if encapsulation == "none" else ()
    commit(lab, 2, *changes)
    with Capture(lab, "internet", "hq0") as seen:
        with UdpStream(lab, "host-a", "host-b", HOST_B) as v4, UdpStream(lab, "host-a", "host-b", HOST_B6, port=5203) as v6:
            for stream in (v4, v6):
                stream.wait_flowing()
            for gateway in GATEWAYS:
                wait_for(lambda g=gateway: [row["encapsulation"] for row in pairs(lab, g)] == 2 * [encapsulation], 60, "a pair for each tunnel")
                assert sorted(owners(lab, gateway).values()) == [0, 1], show(lab, gateway, "ipsec")
            before = owners(lab, "hq")
            for gateway in ("hq", "branch", "hq"):
                kill_data_plane(lab, gateway)
                for stream in (v4, v6):
                    stream.wait_flowing()
            assert owners(lab, "hq") == before
            for workers in (1, 4, 2):
                commit(lab, workers, *changes)
                for stream in (v4, v6):
                    stream.wait_flowing()
                assert all(worker < workers for worker in owners(lab, "hq").values())
            assert sorted(owners(lab, "hq").values()) == [0, 1]
            for stream in (v4, v6):
                stream.hush()
    assert seen.lost == 0 and seen.count(LAN_FILTER) == 0
    numbers = [(spi, sequence) for spi, sequence, _ in seen.esp()]
    assert len(numbers) > 500 and len(numbers) == len(set(numbers)), "a sequence number was sent twice"
    for gateway in GATEWAYS:
        # What is on its way between workers when a configuration is loaded is dropped as worker-queue-full.
        assert "drop-esp-replay" not in drops(lab, gateway), drops(lab, gateway)
