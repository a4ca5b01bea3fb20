"""Rekeys while traffic flows: by time, by volume, by an administrator, of child SAs and of IKE SAs, started by either side or by both. No
packet is lost or duplicated, and none leaves in clear."""
import time

import pytest
from kit import (GATEWAYS, HOST_B, LAN_FILTER, Capture, TcpStream, UdpStream, config_of, counter, drops, ledger_entries, own_lab, show,
                 verify_ledger, wait_for)

LIFETIME = 30  # the shortest that the model takes; rekeyed a little before


@pytest.fixture(scope="module")
def lab():
    """hq rekeys its child by the clock, branch by bytes when a test asks for it."""
    two_sites = own_lab("pgr")
    text = config_of("hq", ("        zone vpn;\n        local [", f"        zone vpn;\n        lifetime {LIFETIME};\n        local ["))
    two_sites.up("off", configs={"hq": text})
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


class Flow:
    """Streams in both directions and a connection; at the end nothing may be missing."""

    def __init__(self, lab):
        self.lab = lab
        self.out = UdpStream(lab, "host-a", "host-b", HOST_B)
        self.back = UdpStream(lab, "host-b", "host-a", "10.1.0.2", port=5204)
        self.tcp = TcpStream(lab, "host-a", "host-b", HOST_B)
        self.capture = Capture(lab, "internet", "hq0")

    def __enter__(self):
        for part in (self.capture, self.out, self.back, self.tcp):
            part.__enter__()
        self.wait_flowing()
        return self

    def wait_flowing(self):
        for stream in (self.out, self.back, self.tcp):
            stream.wait_flowing()

    def __exit__(self, kind, *_):
        for part in (self.out, self.back, self.tcp, self.capture):
            part.__exit__(None, None, None)
        if kind:
            return
        reasons = {gateway: drops(self.lab, gateway) for gateway in GATEWAYS}
        assert not self.tcp.failure, self.tcp.failure
        assert not self.out.lost() and not self.back.lost(), f"{len(self.out.lost())} and {len(self.back.lost())} lost: {reasons}"
        assert not self.out.twice() and not self.back.twice()
        assert self.capture.lost == 0 and self.capture.count(LAN_FILTER) == 0
        seen = set()
        for spi, sequence, _ in self.capture.esp():
            assert (spi, sequence) not in seen, f"number {sequence} of SPI {spi:08x} was sent twice"
            seen.add((spi, sequence))
        assert len(seen) > 100


def newest(lab, gateway="hq"):
    """The SPI of the pair that sends."""
    rows = [row for row in show(lab, gateway, "ipsec") if row["state"] == "active"]
    return min(rows, key=lambda row: int(row["age_s"]))["spi_in"] if rows else None


def established(lab, gateway="hq"):
    return {row["spi_i"] for row in show(lab, gateway, "ike") if row["state"] == "established"}


def spis(lab, gateway="hq"):
    return {row["spi_in"] for row in show(lab, gateway, "ipsec")}


def one_tunnel_again(lab):
    """What was replaced is gone on both sides, and the remaining pairs match each other."""
    wait_for(lambda: all(len(spis(lab, gateway)) == 1 for gateway in GATEWAYS), 15, "the old pairs to go")
    ours, theirs = (show(lab, gateway, "ipsec")[0] for gateway in GATEWAYS)
    assert (ours["spi_in"], ours["spi_out"]) == (theirs["spi_out"], theirs["spi_in"])
    for gateway in GATEWAYS:
        assert len(established(lab, gateway)) == 1


@pytest.mark.slow
def test_by_the_clock(lab):
    first = len(ledger_entries(lab, "hq"))
    with Flow(lab) as flow:
        old = newest(lab)
        wait_for(lambda: newest(lab) != old, LIFETIME + 5, "a rekey by the clock", pause=0.5)
        flow.wait_flowing()
        time.sleep(1)
    rekeys = [entry for entry in ledger_entries(lab, "hq")[first:] if entry["type"] == "sa_install" and entry["body"]["rekeys"]]
    assert rekeys and rekeys[-1]["body"]["rekeys"] == old, rekeys
    one_tunnel_again(lab)


@pytest.mark.parametrize("words", ["rekey-child", "rekey"])
@pytest.mark.parametrize("gateway, name", [("hq", "branch"), ("branch", "hq")])
def test_by_an_administrator(lab, gateway, name, words):
    one_tunnel_again(lab)
    before = show(lab, gateway, "tunnels")[0]
    with Flow(lab) as flow:
        old, ike = newest(lab), established(lab, gateway)
        lab[gateway].run(f"plaingate ike {words} {name}")
        if words == "rekey":
            wait_for(lambda: not ike & established(lab, gateway), 5, "a new IKE SA")
        else:
            wait_for(lambda: newest(lab) != old, 5, "a new pair")
        flow.wait_flowing()
        during = show(lab, gateway, "tunnels")[0]
        time.sleep(0.5)
    one_tunnel_again(lab)
    after, pair = show(lab, gateway, "tunnels")[0], show(lab, gateway, "ipsec")[0]
    for key in ("packets_in", "bytes_in", "packets_out", "bytes_out"):
        assert before[key] < during[key] < after[key], f"{key}: the tunnel's count goes on with a rekey"
        assert pair[key] < after[key] or words == "rekey", f"{key}: the pair that is gone is counted"
    assert after["rekeys"] - before["rekeys"] == (words == "rekey-child") and after["state"] == "up"


@pytest.mark.parametrize("words", ["rekey-child", "rekey"])
def test_by_both_at_once(lab, words):
    one_tunnel_again(lab)
    with Flow(lab) as flow:
        old = newest(lab), established(lab)
        both = [lab[gateway].popen(f"plaingate ike {words} {name}") for gateway, name in (("hq", "branch"), ("branch", "hq"))]
        assert [p.wait(10) for p in both] == [0, 0]
        wait_for(lambda: (newest(lab), established(lab)) != old, 5, f"something new; there is {show(lab, 'hq', 'ike')}")
        flow.wait_flowing()
        time.sleep(1)
    one_tunnel_again(lab)


def test_by_bytes(lab):
    """branch's tunnel may carry one megabyte: several rekeys follow each other."""
    text = config_of("branch", ("        zone vpn;\n        local [", "        zone vpn;\n        lifetime-bytes 1048576;\n        local ["))
    lab.commit("branch", text, "rekey by bytes")
    lab.wait_for_tunnel()
    one_tunnel_again(lab)
    seen = set()
    try:
        with Flow(lab) as flow:
            def three():
                seen.update(spis(lab))
                return len(seen) >= 4
            wait_for(three, 30, "three rekeys by bytes", pause=0.2)
            flow.wait_flowing()
    finally:
        lab.commit("branch", config_of("branch"), "as before")
    one_tunnel_again(lab)
    assert counter(lab, "hq", "esp-sequence-overflow") == 0
