"""Tables of any length: printed in pieces, with every row whole, while packets flow and other clients read too."""
import json
import select
import subprocess
import time

import pytest
from kit import HOST_B, UdpStream, config_of, counter, own_lab

SESSIONS = 40_000
FILL = f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.1.0.2", 20000))
for n in range({SESSIONS}):
    s.sendto(b"x", ("192.0.2.%d" % (100 + n // 20000), 10000 + n % 20000))
    if n % 500 == 0:
        time.sleep(0.005)  # no faster than the link takes them
"""


@pytest.fixture(scope="module")
def lab():
    made = own_lab("pgtab")
    try:
        made.up("on")
        made.commit("hq", config_of("hq", ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];", "application any;")), "all")
        yield made
    finally:
        made.down()


@pytest.fixture
def busy(lab):
    """Unanswered sessions last half a minute: each test creates them again."""
    lab["hq"].run("plaingate clear sessions")
    for _ in range(5):  # what the links of a busy machine lose is sent again
        lab["host-a"].run(["python3", "-c", FILL])
        if counter(lab, "hq", "sessions-now") >= SESSIONS:
            break
    return lab


def test_every_session_is_printed_while_packets_flow(busy):
    lab = busy
    with UdpStream(lab, "host-a", "host-b", HOST_B, rate=200) as udp:
        udp.wait_flowing()
        text = lab["hq"].run("plaingate show sessions --json --dst 192.0.2.100-192.0.2.110", timeout=60).stdout
        table = lab["hq"].run("plaingate show sessions --dst 192.0.2.100-192.0.2.110", timeout=60).stdout
    rows = json.loads(text)
    assert len(rows) == SESSIONS and len({row["id"] for row in rows}) == SESSIONS
    assert {row["dst"].split(":")[0] for row in rows} == {"192.0.2.100", "192.0.2.101"}
    lines = table.splitlines()
    assert len(lines) == SESSIONS + 1 and all(line.startswith("udp ") for line in lines[1:])
    assert len(udp.lost()) <= len(udp.sent) // 100, f"{len(udp.lost())} of {len(udp.sent)} lost"


def test_a_limit_is_exact(busy):
    lab = busy
    for limit in (1, 64, 65, 3000):
        assert len(json.loads(lab["hq"].run(f"plaingate show sessions --json --limit {limit}").stdout)) == limit


def test_a_reader_may_pause(busy):
    """As a pager does: the table continues where it stopped, and others are served meanwhile."""
    lab = busy
    with lab["hq"].popen("plaingate show sessions --dst 192.0.2.100-192.0.2.110", stdout=subprocess.PIPE, text=True) as reader:
        select.select([reader.stdout], [], [], 10)
        time.sleep(7)
        assert len(json.loads(lab["hq"].run("plaingate show sessions --json --limit 500").stdout)) == 500
        lines = reader.communicate(timeout=60)[0].splitlines()
    assert len(lines) == SESSIONS + 1 and reader.returncode == 0


def test_one_name(lab):
    """A line for each value, if a row is requested by name."""
    shown = lab["hq"].run("plaingate show ike branch").stdout
    assert "\npeer" in "\n" + shown and "established" in shown and all(len(line) < 80 for line in shown.splitlines())
    missing = lab["hq"].run("plaingate show ike nobody", check=False)
    assert missing.returncode == 1 and "nobody" in missing.stderr


def test_an_empty_table_says_so(lab):
    assert lab["hq"].run("plaingate show sessions --dst 198.18.0.1").stdout == "none\n"
    assert lab["hq"].run("plaingate show sessions --json --dst 198.18.0.1").stdout == "[]\n"
