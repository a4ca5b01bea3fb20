"""A zone's `session-limit` and `tcp-loose`, from the configuration to the packets."""
import contextlib
import socket

import pytest
from kit import HOST_B, TcpStream, config_of, connect, counter, listener

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
            stack.enter_context(connect(hq, "host-a", HOST_B, 5208, timeout=5))
        assert isinstance(connect(hq, "host-a", HOST_B, 5208, timeout=1), OSError)
    assert counter(hq, "hq", "source-session-limit") > before


def test_loose_tcp_is_picked_up(hq):
    zone(hq, "        tcp-loose;")
    with TcpStream(hq, "host-a", "host-b", HOST_B, port=5207) as tcp:
        tcp.wait_flowing()
        hq["hq"].run("plaingate clear sessions --dport 5207")
        tcp.wait_flowing()
        assert not tcp.failure
