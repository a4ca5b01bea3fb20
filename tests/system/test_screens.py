"""Each screen that there is, met by a generator on the Internet side: a row for each of the product's own table (oddities.py has them), IPv4 and IPv6, with
its verdict: dropped, answered with a cookie, or an alarm alone. What headers tell is counted exactly, so that a packet that another screen took is seen.
An ordinary download beside them meets none."""
import pytest
from kit import HOST_A, HOST_A6, config_of, connect, counter, drops, listener, own_lab, own_mac, send_frames, show, verify_ledger
from nodes import wait_for
from screens import all_screens

PORT = 5201
TAKE_FRAGMENTS = "fragment;", "block-frag;", "fragment-header;", "destination-header;"
COUNTS = {
    "icmp": "flood { threshold 20; } ip-sweep { threshold 1000000; }",
    "ip": "",
    "tcp": """port-scan { threshold 1000000; } tcp-sweep { threshold 1000000; } syn-ack-ack-proxy { threshold 3; }
        syn-flood { source-threshold 10; alarm-threshold 15; attack-threshold 20; destination-threshold 25; }""",
    "udp": "flood { threshold 20; } port-scan { threshold 1000000; } udp-sweep { threshold 1000000; }",
    "limit-session": "source-ip-based 4; destination-ip-based 40; source-session-rate 30;",
}
RULE = "    from untrust to trust { rule in { match { source any; destination any; application any; } then { permit; } } }\n"
# For handshakes by cookies: a flood that no other limit ends, nor the sessions that it leaves.
FLOODED = {**COUNTS, "tcp": COUNTS["tcp"].replace("destination-threshold 25", "destination-threshold 1000000"),
           "limit-session": "source-ip-based 100000; destination-ip-based 100000; source-session-rate 100000;"}
LIMITS = {"source-sessions", "destination-sessions"}  # what passes the others begins sessions
PASS = {"tcp-syn-flood-alarm": "alarm", "tcp-syn-flood-attack": "cookie"}


def text(flags="", without=(), counts=None):
    screens = all_screens(counts or COUNTS)
    for word in without:
        assert f" {word}" in screens
        screens = screens.replace(f" {word}", "", 1)
    return config_of("hq", ("zone untrust {", "zone untrust {\n        screen all;"), ("policy {\n", "policy {\n" + RULE),
                     ("zones {\n", f"screens {{\n    screen all {{ {flags} {screens} }}\n}}\nzones {{\n"))


def routes(lab):
    lab["internet"].run(f"ip route add {HOST_A} via 198.51.100.2")
    lab["internet"].run(f"ip route add {HOST_A6} via 2001:db8:1::2")


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("scr")
    try:
        two_sites.up("on", {"hq": "plaingate", "branch": "none"}, {"hq": text()}, routes)
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def met(lab):
    return {row["recognises"]: row["packets"] for row in show(lab, "hq", "screens")}


def since(lab, before):
    """What was met since then."""
    return {name: n - before.get(name, 0) for name, n in met(lab).items() if n != before.get(name, 0)}


def dropped(lab):
    """{screen: packets}, of all that there are."""
    return {row["counter"].removeprefix("drop-screen-"): int(row["value"]) for row in show(lab, "hq", "counters")
            if row["counter"].startswith("drop-screen-")}


def send(lab, packets):
    link = bytes.fromhex((own_mac(lab, "hq", "wan0") + own_mac(lab, "internet", "hq0")).replace(":", ""))
    send_frames(lab, "internet", [link + (b"\x08\0" if octets[0] >> 4 == 4 else b"\x86\xdd") + octets for octets in map(bytes, packets)], "hq0")


def clear(lab):
    lab["hq"].run("plaingate clear sessions")


def meets_exactly(lab, rows, expected):
    before = met(lab)
    send(lab, [packet for packets in rows.values() for packet in packets])
    wait_for(lambda: sum(since(lab, before).values()) >= sum(expected.values()), 20, f"the packets to be met: {expected}, {drops(lab, 'hq')}", pause=0.05)
    assert since(lab, before) == expected


def test_ordinary_traffic_meets_none(lab):
    lab["host-a"].run("curl -sf -o /dev/null http://192.0.2.80/1m.bin")
    lab["host-a"].run("ping -c 2 -i 0.2 192.0.2.80")
    assert set(met(lab).values()) == {0}


def test_each_has_a_row(lab):
    """In what follows, and in the configuration."""
    from oddities import HEADERS, counted
    rows = {*HEADERS, "ip-tear-drop", "tcp-syn-ack-ack-proxy", *(name for name, *_ in counted(4))}
    assert rows == set(dropped(lab)) == set(met(lab))


def test_headers(lab):
    from oddities import HEADERS
    meets_exactly(lab, HEADERS, {name: len(packets) for name, packets in HEADERS.items()})


@pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
def test_counted(lab, family):
    """Again until it is met: a second may end meanwhile. What is in a session begins none."""
    from oddities import counted
    before = met(lab)
    for name, packets, also in counted(family):
        def again(name=name, packets=packets, tried=[]):
            if tried:
                clear(lab)
            tried.append(name)
            send(lab, packets)
            got = since(lab, before)
            return got if got.get(name) else None
        got = wait_for(again, 30, f"{name} to be met", pause=0.05)
        assert set(got) <= {name, *also, *LIMITS}, name
        before = {each: n + got.get(each, 0) for each, n in before.items()}


def test_handshakes_by_cookies(lab):
    """A machine that answers cookies: beyond three sessions it is reset. Which of its handshakes are in a second of the flood is the machine's load's matter; the others
    are sessions as any, and count for nothing here."""
    from oddities import IP, TCP, IPv6
    lab.commit("hq", text(counts=FLOODED), "a flood that only cookies answer")
    for address in HOST_A, HOST_A6:
        before, held = met(lab), []
        flood = [(IP(src=f"198.18.9.{i}", dst=address) if address == HOST_A else IPv6(src=f"2001:db8:9{i:02}::1", dst=address)) /
                 TCP(sport=4000, dport=PORT, flags="S") for i in range(60)]
        with listener(lab, "host-a", PORT, family=10 if ":" in address else 2):
            def again(before=before, held=held, flood=flood, address=address):
                send(lab, flood)
                held.append(connect(lab, "web", address, PORT, timeout=1))
                return since(lab, before).get("tcp-syn-ack-ack-proxy")
            try:
                wait_for(again, 30, "the source to be refused", pause=0.05)
            finally:
                for s in held:
                    if not isinstance(s, OSError):
                        s.close()
        clear(lab)
    lab.commit("hq", text(), "as before")


def test_verdicts(lab):
    """Each that met something since the start has dropped it, but for those that pass it or answer it."""
    rows, drop = {row["recognises"]: row for row in show(lab, "hq", "screens")}, dropped(lab)
    for name, row in rows.items():
        assert row["action"] == PASS.get(name, "drop")
        assert (row["packets"] > 0) == (name != "ip-tear-drop"), name  # its fragments had no chance to meet
        assert drop[name] == (0 if name in PASS else row["packets"]), name
    assert counter(lab, "hq", "syn-cookies-sent") + counter(lab, "hq", "syn-cookies-unsent") == rows["tcp-syn-flood-attack"]["packets"]


def test_fragments(lab):
    from oddities import FRAGMENTS, FRAGMENTS_MET
    lab.commit("hq", text(without=TAKE_FRAGMENTS), "fragments reach reassembly")
    meets_exactly(lab, FRAGMENTS, FRAGMENTS_MET)


def test_alarms(lab):
    """The same without a drop, nor an answer. Of several screens that a packet meets each one counts."""
    from oddities import HEADERS, counted
    lab.commit("hq", text(flags="alarm-without-drop;"), "alarms")
    assert {row["action"] for row in show(lab, "hq", "screens")} == {"alarm"}
    before, drop, cookies = met(lab), dropped(lab), counter(lab, "hq", "syn-cookies-sent")
    rows = {**HEADERS, **{name: packets for name, packets, _ in counted(4)}}

    def again():
        clear(lab)
        send(lab, [packet for packets in rows.values() for packet in packets])
        got = since(lab, before)
        left = [name for name, packets in rows.items() if got.get(name, 0) < (len(packets) if name in HEADERS else 1)]
        missing[:] = left
        return not left
    missing = []
    wait_for(again, 30, missing, pause=0.1)  # the list, as it is then
    assert dropped(lab) == drop and counter(lab, "hq", "syn-cookies-sent") == cookies
