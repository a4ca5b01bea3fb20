"""A zone's `session-limit` and `tcp-loose`, from the configuration to the packets."""
import contextlib
import json
import socket
import time

import pytest
from kit import HOST_B, UdpStream, config_of, connect, counter, listener

TRUST = "        host-inbound [ ping ssh ];"


@pytest.fixture()
def hq(lab):
    yield lab
    lab.commit("hq", config_of("hq"), "as before")
    lab.wait_for_tunnel()


def zone(lab, statements):
    lab.commit("hq", config_of("hq", (TRUST, f"{TRUST}\n{statements}")), "sessions")
    lab.wait_for_tunnel()


def test_a_source_has_so_many(hq):
    zone(hq, "        session-limit {\n            source 3;\n        }")
    hq["hq"].run("plaingate clear sessions")
    before = counter(hq, "hq", "source-session-limit")
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener(hq, "host-b", 5208, socket.SOCK_STREAM, socket.AF_INET))
        for _ in range(3):
            stack.enter_context(connect(hq, "host-a", HOST_B, 5208, timeout=20))
        assert isinstance(connect(hq, "host-a", HOST_B, 5208, timeout=1), OSError)
    assert counter(hq, "hq", "source-session-limit") > before


def test_loose_tcp_is_picked_up(hq):
    """By what comes out of the loose zone; an answer that is on its way when its session ends is lost, and belongs to none."""
    zone(hq, "        tcp-loose;")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listener(hq, "host-b", 5207))
        client = stack.enter_context(connect(hq, "host-a", HOST_B, 5207, timeout=10))
        peer = stack.enter_context(server.accept()[0])
        peer.settimeout(10)
        for word in (b"before", b"after"):
            client.sendall(word)
            assert peer.recv(100) == word
            peer.sendall(word)
            assert client.recv(100) == word
            time.sleep(0.3)  # until nothing is on its way
            hq["hq"].run("plaingate clear sessions --dport 5207")


FILL = """
import socket, time
for port in range(20000, 20600):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.1.0.2", port))
    s.sendto(b"x" * 10, ("10.2.0.2", 5201))
    s.close()
"""


def sessions(hq, options):
    return len(json.loads(hq["hq"].run(f"plaingate show sessions --json {options}").stdout))


def test_idle_sessions_end_early(hq):
    """Between the watermarks of `aging`, whatever their timeout; what is in use stays."""
    hq.commit("hq", config_of("hq", ("host-name hq;", "host-name hq;\n    session-limit 1024;\n    aging {\n        high-watermark 50;\n"
                                     "        low-watermark 20;\n        early-ageout 2;\n    }")), "aging")
    hq.wait_for_tunnel()
    hq["hq"].run("plaingate clear sessions")
    with UdpStream(hq, "host-a", "host-b", HOST_B, rate=20) as udp:
        udp.wait_flowing()
        hq["host-a"].run(["python3", "-c", FILL])
        assert sessions(hq, "") >= 512
        deadline = time.monotonic() + 60
        while sessions(hq, "") > 204 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert 150 < sessions(hq, "") <= 210
        assert 1 <= counter(hq, "hq", "early-ageing-begun") <= hq.workers and counter(hq, "hq", "sessions-aged-early") >= 300
        assert counter(hq, "hq", "early-ageing-now") == 0
        udp.wait_flowing()
        assert sessions(hq, "--idle-max 1") >= 1
