"""kill -9 of the data plane with many sessions in its table: the next one forwards before it has adopted them all, and adopts them all."""
import os
import signal
import sys

import pytest
from kit import HOST_B, WEB, LabError, TcpStream, UdpStream, config_of, counter, own_lab, processes, show, wait_for

SESSIONS = 60000
FILL = f"""
import socket, time
for k in range({SESSIONS} // 500):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.1.0.2", 20000 + k))
    for port in range(6000, 6500):
        s.sendto(b"x", ("{WEB}", port))
    time.sleep(0.01)
"""


@pytest.fixture(scope="module", params=[1, 2], ids=lambda n: f"{n} workers")
def lab(request):
    two_sites = own_lab("pgk")
    two_sites.workers = request.param
    two_sites.up("on")
    try:
        services = "application [ http https dns ping traceroute iperf-tcp iperf-udp ];"
        two_sites.commit("hq", config_of("hq", (services, "application any;")), "all may go out")
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def is_back(lab, restarts):
    try:
        row = next(row for row in show(lab, "hq", "status") if row["process"] == "dataplane")
    except LabError:
        return False
    return row["state"] == "ready" and int(row["restarts"]) > restarts


@pytest.mark.parametrize("deaths", [1, 3])
def test_a_large_table_is_taken_over(lab, deaths):
    """3: each of them soon after the one before."""
    with UdpStream(lab, "host-a", "web", WEB, port=5201, rate=200) as nat, TcpStream(lab, "host-a", "host-b", HOST_B) as tcp:
        nat.wait_flowing()
        tcp.wait_flowing()
        for _ in range(5):  # of a busy machine the links lose many
            lab["host-a"].run([sys.executable, "-c", FILL])
            before = counter(lab, "hq", "sessions-now")
            if before > SESSIONS / 2:
                break
        assert before > SESSIONS / 2, "too few sessions to tell anything"
        for _ in range(deaths):
            pid, restarts = processes(lab, "hq")["dataplane"]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda n=restarts: is_back(lab, n), 15, "a new data plane", pause=0.02)
        nat.wait_flowing()
        wait_for(lambda: counter(lab, "hq", "sessions-to-adopt") == 0, 30, "all sessions to be adopted")
        after = counter(lab, "hq", "sessions-now")
        tcp.wait_flowing()
        nat.hush()
        assert not tcp.failure
        assert len(nat.peers) == 1, "the translated port changed"
    assert after > before * 9 / 10, f"of {before} sessions {after} are left"
    print(f"{before} sessions, {deaths} deaths: silent for {nat.longest_silence():.3f} s")
    assert nat.longest_silence() < 3 * deaths
