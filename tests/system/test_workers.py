"""Gateways whose data planes have two workers: the traffic of test_traffic.py again, and their number changed by commits."""
import socket

import pytest
from kit import GATEWAYS, HOST_B, WEB, config_of, connect, counter, drops, listener, own_lab, show, verify_ledger, wait_for
# pylint: disable=unused-import
from test_traffic import (test_an_answer_without_a_question_is_dropped, test_clear_packets_of_the_tunnels_addresses_are_refused,
                          test_clear_sessions, test_commits_lose_nothing, test_data_plane_dies_while_trains_pass,
                          test_error_about_translated_traffic_comes_back, test_many_connections_at_once, test_much_data_arrives_unchanged, test_nat_ping_of_two_hosts_with_one_identifier,
                          test_nat_tcp, test_nat_udp, test_page_through_the_tunnel_is_not_seen, test_permitted_connections_show_their_rule,
                          test_streams_through_the_tunnel, test_the_gateways_own_traffic_through_the_tunnel,
                          test_trace_names_stages_and_rule)


@pytest.fixture(scope="module", name="lab")
def two_workers():
    lab = own_lab("pgw")
    lab.workers = 2
    lab.up("on")
    try:
        lab.wait_for_tunnel()
        yield lab
        for gateway in GATEWAYS:
            verify_ledger(lab, gateway)
    finally:
        lab.down()


def test_both_workers_have_sessions(lab):
    """Each gives ids of its own: of two workers one has the even ones."""
    with listener(lab, "host-b", 5207) as server:
        held = [connect(lab, "host-a", HOST_B, 5207) for _ in range(32)] + [server]
        failed = [s for s in held if isinstance(s, OSError)]
        assert not failed, f"{len(failed)} of 32, {failed[0]}: {drops(lab, 'hq')}, {drops(lab, 'branch')}"
        rows = [row for row in show(lab, "hq", "sessions") if row["dst"].endswith(":5207")]
        for s in held:
            s.close()
    assert len(rows) == 32 and {int(row["id"]) % 2 for row in rows} == {0, 1}
    assert counter(lab, "hq", "worker-queue-full") == 0 and counter(lab, "hq", "worker-notes-lost") == 0


def test_another_number_ends_the_sessions_and_no_tunnel(lab):
    spi = show(lab, "hq", "ipsec")[0]["spi_in"]
    for number in (1, 4, 2):
        with listener(lab, "web", 5204) as server:
            before = connect(lab, "host-a", WEB, 5204)
            server.accept()
            text = config_of("hq", ("host-name hq;", f"host-name hq;\n    workers {number};"))
            lab.commit("hq", text, f"{number} workers")
            assert not [row for row in show(lab, "hq", "sessions") if row["dst"].endswith(":5204")]
            # The supervisor opens the links' sockets anew.
            after = wait_for(lambda: _connected(connect(lab, "host-a", WEB, 5204, timeout=1)), 10, "a connection", pause=0.1)
            for s in (before, after):
                s.close()
        assert show(lab, "hq", "ipsec")[0]["spi_in"] == spi
        assert "served by host-b" in lab["host-a"].run(["curl", "-sS", "--max-time", "5", f"http://{HOST_B}/"]).stdout


def _connected(s):
    return s if isinstance(s, socket.socket) else None


def test_persistent_nat(lab):
    """One translated address and port for each inside port, whichever worker has the sessions; answers come back by it."""
    lab.commit("hq", config_of("hq", ("source-nat interface;", "source-nat interface;\n                persistent-nat address-and-port-dependent;")), "persistent")
    servers = [listener(lab, "web", port, socket.SOCK_DGRAM) for port in (5201, 5202)]
    clients = [lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
    try:
        seen = {}
        for n, client in enumerate(clients):
            client.settimeout(3)
            for server in servers:
                client.sendto(b"%d" % n, (WEB, server.getsockname()[1]))
                data, mapped = server.recvfrom(100)
                assert data == b"%d" % n and seen.setdefault(n, mapped) == mapped, f"{mapped} after {seen}"
                server.sendto(data, mapped)
                assert client.recvfrom(100) == (data, (WEB, server.getsockname()[1]))
        rows = show(lab, "hq", "sessions", "--dst", WEB, "--proto", "udp")
        assert len(set(seen.values())) == 16 and {int(row["id"]) % 2 for row in rows} == {0, 1}
        assert next(int(row["bindings"]) for row in show(lab, "hq", "nat") if row["rule"] == "internet") == 16
    finally:
        for s in servers + clients:
            s.close()
