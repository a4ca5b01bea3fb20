"""From the moment when the service is ready, which is before the network comes up, nothing reaches the machine that a configuration does
not open: not before the first configuration is loaded, not without one, not with an empty one."""
import socket
import threading
import time

import pytest
from kit import HOST_A, HQ_WAN, config_of, connect, listener, show, wait_for

LAN = "10.1.0.1"
# A witness that cannot be asked, as always before the network is up: the first configuration comes seconds after the start.
SILENT = """
evidence {
    witness one {
        address 192.0.2.99;
        key "witness.example.org/one+44adc736+BG8W8Ca6cTlqA/rph9+Vt+p4TBNkGX9Ur9KpmUp+V/o4";
    }
    quorum 1;
}
"""


class Caller:
    """Calls a port repeatedly; records which calls were answered, including by a reset: when they began."""

    def __init__(self, lab, node, address, port):
        self.lab, self.node, self.to, self.port, self.reached, self.running = lab, node, address, port, [], True
        self.thread = threading.Thread(target=self._call, daemon=True)

    def _call(self):
        while self.running:
            began = time.monotonic()
            s = connect(self.lab, self.node, self.to, self.port, timeout=0.1)
            if isinstance(s, ConnectionRefusedError) or not isinstance(s, OSError):
                self.reached.append(began)
            if isinstance(s, socket.socket):
                s.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()


def stop(lab):
    """As a machine that was switched off: no process, no filter."""
    lab.daemons["hq"].terminate()
    lab.daemons["hq"].wait(10)
    lab["hq"].run("plaingated --flush")
    assert not lab["hq"].run("nft list ruleset").stdout.strip()


def start(lab, within=30):
    """Returns when the service says that it is ready, and that moment."""
    path = lab["hq"].state / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(within)
        lab.daemons["hq"] = lab["hq"].daemon(["env", f"NOTIFY_SOCKET={path}", "plaingated"], lab["hq"].state / "plaingated.log")
        said = s.recv(500).decode().splitlines()
    assert said[0] == "READY=1"
    return time.monotonic()


def stored(lab):
    return lab["hq"].state / "lib/config/running.conf"


@pytest.fixture()
def away(lab):
    """hq is off, and restored after the test."""
    text = stored(lab).read_text(encoding="utf-8")
    yield lab
    lab.wait_gateway("hq")
    lab.commit("hq", text, "as before")
    lab.wait_for_tunnel()


def test_closed_from_the_moment_of_readiness(away):
    lab = away
    lab.commit("hq", config_of("hq") + SILENT, "a witness that nobody reaches")
    stop(lab)
    with Caller(lab, "web", HQ_WAN, 22222) as stranger, Caller(lab, "host-a", LAN, 22) as neighbour:
        wait_for(lambda: stranger.reached and neighbour.reached, 5, "answers without a filter")
        ready = start(lab)
        lab["hq"].run("ping -c 1 -W 1 198.51.100.1")  # its own connections are answered
        time.sleep(1)
        assert "zone_" not in lab["hq"].run("nft list table inet plaingate").stdout, "no configuration yet: the ledger asks its witness"
        early = time.monotonic()
        wait_for(lambda: neighbour.reached and neighbour.reached[-1] > early, 15, "the configuration's own services")
    assert not [at for at in stranger.reached if at > ready]
    assert not [at for at in neighbour.reached if ready < at < early]


def test_a_crash_key_that_was_cut_short(away):
    """Tokens only spare peers a wait: there is another secret for them, the log says so, and the gateway starts."""
    key, log = away["hq"].state / "lib/crash.key", away["hq"].state / "plaingated.log"
    stop(away)
    key.write_bytes(key.read_bytes()[:7])
    before = log.stat().st_size
    start(away)
    wait_for(lambda: key.stat().st_size == 32, 10, "another secret")
    assert "crash.key' has 7 bytes, 32 were expected" in log.read_text(errors="replace")[before:]


def test_a_connection_from_before_the_start_ends(away):
    """What the machine sends on it opens no return path, neither before the first configuration nor after it."""
    lab = away
    lab.commit("hq", config_of("hq") + SILENT, "a witness that nobody reaches")
    stop(lab)
    lab["hq"].sysctl({"net.netfilter.nf_conntrack_tcp_loose": 1})  # as it is when a machine boots
    with listener(lab, "hq", 8080) as server:
        clients = [connect(lab, "host-a", LAN, 8080) for _ in range(2)]
        served = [server.accept()[0] for _ in clients]
        start(lab)

        def has_no_way_back(here, there):
            here.settimeout(0.7)
            there.settimeout(2)
            here.sendall(b"anybody?")
            assert there.recv(20) == b"anybody?"
            there.sendall(b"yes")
            with pytest.raises(TimeoutError):
                here.recv(20)

        assert "zone_" not in lab["hq"].run("nft list table inet plaingate").stdout, "no configuration yet"
        has_no_way_back(served[0], clients[0])
        lab.wait_gateway("hq")
        wait_for(lambda: "zone_" in lab["hq"].run("nft list table inet plaingate").stdout, 15, "the configuration")
        has_no_way_back(served[1], clients[1])
        for s in (*clients, *served):
            s.close()


def test_a_rule_set_that_closes_nothing_does_not_stay(away):
    """A table of the name is there, and the chain that closes the host is not."""
    lab = away
    lab.commit("hq", config_of("hq") + SILENT, "a witness that nobody reaches")
    stop(lab)
    lab["hq"].run("nft add table inet plaingate")
    start(lab)
    assert "hook input priority filter; policy drop" in lab["hq"].run("nft list table inet plaingate").stdout
    assert "zone_" not in lab["hq"].run("nft list table inet plaingate").stdout, "no configuration yet"


@pytest.mark.slow
def test_a_machine_that_is_slow_at_its_boot(away):
    """nft takes longer than the limit while others wait for the supervisor: a failed start would let the network come up without a filter."""
    lab = away
    stop(lab)
    slow = lab["hq"].state / "nft"
    real = slow.with_name("nft-real")
    lab["hq"].run(f"cp /usr/sbin/nft {real}")
    # Twice: once to list the rule set, once to set it.
    slow.write_text(f"#!/bin/sh\nif mkdir {slow}-1 || mkdir {slow}-2; then sleep 11; fi 2>/dev/null\nexec {real} \"$@\"\n", encoding="ascii")
    slow.chmod(0o755)
    lab["hq"].run(f"mount --bind {slow} /usr/sbin/nft")
    try:
        start(lab, within=60)
        assert slow.with_name("nft-2").is_dir()
        assert "policy drop" in lab["hq"].run(f"{real} list chain inet plaingate input").stdout
    finally:
        lab["hq"].run("umount /usr/sbin/nft")


def test_a_flush_before_the_first_configuration(away):
    lab = away
    lab.commit("hq", config_of("hq") + SILENT, "a witness that nobody reaches")
    stop(lab)
    start(lab)
    lab["hq"].run("nft flush ruleset")
    wait_for(lambda: "policy drop" in lab["hq"].run("nft list ruleset").stdout, 2.5, "the filter to be there again")
    assert "zone_" not in lab["hq"].run("nft list table inet plaingate").stdout


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "system {\n    host-name hq;\n}\n", "zones {{"],
                         ids=["missing", "empty", "comment", "no zones", "malformed"])
@pytest.mark.parametrize("filter_stands", [False, True], ids=["after a boot", "after a restart"])
def test_no_configuration_closes_the_machine(away, text, filter_stands):
    lab = away
    if filter_stands:
        lab.daemons["hq"].terminate()
        lab.daemons["hq"].wait(10)
    else:
        stop(lab)
    stored(lab).unlink()
    if text is not None:
        stored(lab).write_text(text, encoding="utf-8")
    start(lab)
    lab.wait_gateway("hq")
    wait_for(lambda: "zone_" not in lab["hq"].run("nft list table inet plaingate").stdout, 5, "the closed rule set")
    with listener(lab, "hq", 22):
        for node, address in (("host-a", LAN), ("web", HQ_WAN)):
            assert isinstance(connect(lab, node, address, 22, timeout=0.5), TimeoutError)
        assert lab["host-a"].run(f"ping -c 1 -W 0.5 {LAN}", check=False).returncode != 0
    lab["hq"].run(f"ping -c 1 -W 1 {HOST_A}")
    if text is None or "{{" in text:
        assert "all traffic is denied, to the host as well" in lab.log_end("hq", 40)
    assert show(lab, "hq", "status")


def test_children_do_not_know_the_service_manager(away):
    stop(away)
    start(away)
    away.wait_gateway("hq")
    for row in show(away, "hq", "status"):
        if int(row["pid"]) and row["process"] != "supervisor":
            assert "NOTIFY" not in away["hq"].run(["sh", "-c", f"tr '\\0' '\\n' </proc/{row['pid']}/environ"]).stdout
