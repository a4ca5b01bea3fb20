"""One peer, one source, one zone, one administrator fills what it can; the others can continue: a second peer's handshake completes, a
connection from elsewhere is made, a commit completes, `show` answers. bench/floods measures how fast; here each has ten seconds."""
import os
import signal
import time

import pytest
from kit import GATEWAYS, HOST_A, UdpStream, own_lab, processes, show, verify_ledger

from floods import BOUND, FLOODS, Floods

PAIRS = [("sessions of one source", "SYNs"), ("half-open IKE SAs", "a peer with a key"), ("absent neighbours", "denied and logged"),
         ("administrators who read nothing", "IKE and ESP to 4500")]


@pytest.fixture(scope="module")
def lab():
    floods = own_lab("lim", Floods)
    try:
        floods.begin()
        yield floods
        for gateway in GATEWAYS:
            verify_ledger(floods, gateway)
    finally:
        floods.end()


def go_on(lab, *names):
    with lab.flooded(*names):
        took = lab.others(*names)
    assert max(took.values()) < BOUND, took
    assert all(row["restarts"] == 0 and row["state"] == "ready" for row in show(lab, "hq", "status"))


@pytest.mark.parametrize("name", FLOODS)
def test_the_others_go_on(lab, name):
    go_on(lab, name)


def test_a_puzzle_is_solved(lab):
    """Where a stranger has filled the half-open IKE SAs in the name of a peer, that peer is served because it solves a puzzle (RFC 8019)."""
    def count(gateway, name):
        return next(int(row["value"]) for row in show(lab, gateway, "ike", "counters") if row["counter"] == name)

    with lab.flooded("half-open IKE SAs"):
        for _ in range(5):  # the moment in which the strangers' have ended is without cookies
            lab.handshake()
            if count("hq", "puzzles-solved"):
                break
    assert count("hq", "puzzles-solved") and count("branch", "peer-puzzles-solved")
    assert count("hq", "puzzles-given") and count("hq", "cookies-demanded") > 64


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_two_at_once(lab, names):
    go_on(lab, *names)


def test_the_data_plane_comes_back_in_a_flood(lab):
    """It starts with a full table, and with more than it can read at its sockets."""
    names = "sessions of one source", "SYNs"
    with lab.flooded(*names):
        with UdpStream(lab, "host-b", "host-a", HOST_A, port=5202) as stream:
            stream.wait_flowing()
            os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
            stream.wait_flowing()
            time.sleep(0.5)
        assert processes(lab, "hq")["dataplane"][1] == 1
        took = lab.others(*names)
    silence = stream.longest_silence()
    print(f"silence over the restart: {silence:.2f} s; then {took}")
    assert silence < BOUND / 2
