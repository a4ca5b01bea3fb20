"""TCP connections both ends of which were lost silently: the same port connects again, through the tunnel and through source NAT."""
import socket

import pytest
from kit import HOST_B, WEB, calm_time, connect, listener, show

TCP_REPAIR = 19
PORT = 5205


def forget(s):
    """The kernel drops its end and sends nothing, as in a power cut."""
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    s.close()


@pytest.mark.parametrize("node, address", [("host-b", HOST_B), ("web", WEB)])
def test_both_ends_forget(lab, node, address):
    with listener(lab, node, PORT) as server:
        for number in range(3):
            began = calm_time()
            client = connect(lab, "host-a", address, PORT, timeout=20, bind=("", 901))
            assert isinstance(client, socket.socket), (number, client)
            accepted, _ = server.accept()
            accepted.sendall(b"again")
            assert client.recv(5) == b"again"
            assert calm_time() - began < 1.5  # before the first SYN is repeated a second time
            sessions = [row for row in show(lab, "hq", "sessions", "--dst", address) if row["src"].endswith(":901")]
            assert [row["state"] for row in sessions] == ["established"], sessions
            forget(accepted)
            forget(client)
