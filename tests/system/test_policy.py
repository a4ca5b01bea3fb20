"""Policy as an engineer changes it every day, from the configuration to the packets of real clients."""
import contextlib
import json
import re
import socket
import time

import pytest
from kit import HOST_B, TcpStream, config_of, connect, counter, drops, listener, wait_for

PORT = 5210


@pytest.fixture()
def hq(lab):
    yield lab
    lab.commit("hq", config_of("hq"), "as before")
    lab.wait_for_tunnel()


def rules(lab, **of):
    """Rows of `show policy` by their rule's name."""
    return {row["rule"]: row for row in json.loads(lab["hq"].run("plaingate show policy --json").stdout)
            if all(row.get(key) == value for key, value in of.items())}


def rule(name, then, before="", application="any"):
    return (f"        {before}rule {name} {{\n            match {{\n                source any;\n                destination any;\n"
            f"                application {application};\n            }}\n            then {{\n                {then}\n            }}\n        }}\n")


def with_rules(*texts, changes=()):
    """The lab's configuration, and these rules first among those from trust to vpn."""
    at = "    from trust to vpn {\n"
    return config_of("hq", (at, at + "".join(texts)), *changes)


def test_a_rule_is_switched_off(hq):
    """By one word, and back; the text keeps it, and a description is shown with the rule."""
    deny = rule("no-b", "deny;")
    with listener(hq, "host-b", PORT):
        hq.commit("hq", with_rules(deny), "on")
        assert isinstance(connect(hq, "host-a", HOST_B, PORT, timeout=1), OSError)
        text = with_rules(deny.replace("rule no-b {", 'inactive: rule no-b {\n            description "closed at night";'))
        hq.commit("hq", text, "off")
        with connect(hq, "host-a", HOST_B, PORT):
            assert "no-b" not in rules(hq)
        assert "inactive: rule no-b" in hq["hq"].run("plaingate show configuration").stdout
        hq.commit("hq", text.replace("inactive: ", ""), "on again")
        assert rules(hq)["no-b"]["description"] == "closed at night"
        assert isinstance(connect(hq, "host-a", HOST_B, PORT, timeout=1), OSError)


def test_sessions_stay_when_things_are_renamed(hq):
    """A zone, an address and a rule, at once and while it moves: one connection goes through all of it, and the rule's counts."""
    first = config_of("hq", ("rule to-branch {", "rule to-branch {\n            id 7;"))
    hq.commit("hq", first, "an identifier")
    with TcpStream(hq, "host-a", "host-b", HOST_B, port=PORT) as tcp:
        tcp.wait_flowing()
        before = rules(hq)["to-branch"]
        text = with_rules(rule("other", "deny;", application="telnet"), changes=[
            ("rule to-branch {", "rule branches {\n            id 7;")])
        for old, new in (("trust", "lan-zone"), ("hq-lan", "our-lan")):
            text = re.sub(rf"\b{old}\b", new, text)
        hq.commit("hq", text, "renamed")
        tcp.wait_flowing()
        after = rules(hq)["branches"]
        assert not tcp.failure and after["id"] == before["id"] == "7" and int(after["hits"]) == int(before["hits"])
        assert int(after["bytes"]) >= int(before["bytes"]) and len(rules(hq)["other"]["id"]) == 16
        row, = json.loads(hq["hq"].run(f"plaingate show sessions --json --proto tcp --dport {PORT}").stdout)
        assert (row["rule"], row["rule_id"], row["from"]) == ("branches", "7", "lan-zone")


BOOK = "address-book {\n"


def test_wildcard_masks_and_rates(hq):
    """All hosts .2 of 10.0.0.0/8 by one address; two new sessions a second, and established ones are not touched."""
    second = (BOOK, BOOK + "    address number-2 {\n        wildcard-address 10.0.0.2/255.0.0.255;\n    }\n")
    closed = rule("no-2", "deny;").replace("destination any", "destination number-2")
    with listener(hq, "host-b", PORT):
        hq.commit("hq", with_rules(closed, changes=[second]), "a mask")
        assert isinstance(connect(hq, "host-a", HOST_B, PORT, timeout=1), OSError)
        assert int(rules(hq)["no-2"]["hits"]) > 0
        slow = rule("slow", "permit;\n                session-rate 2;").replace("destination any", "destination number-2")
        hq.commit("hq", with_rules(slow, changes=[second]), "a rate")
        before = counter(hq, "hq", "rule-session-rate")
        with connect(hq, "host-a", HOST_B, PORT) as first, contextlib.ExitStack() as stack:
            for _ in range(30):  # at once, so that even a slow machine needs no second for more than two of them
                s = stack.enter_context(hq["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM))
                s.setblocking(False)
                s.connect_ex((HOST_B, PORT))
            wait_for(lambda: counter(hq, "hq", "rule-session-rate") > before, 10, f"the counter; {drops(hq, 'hq')}")
            first.sendall(b"still here")
            stack.close()
            with connect(hq, "host-a", HOST_B, PORT):
                assert int(rules(hq)["slow"]["hits"]) >= 3 and int(rules(hq)["slow"]["counted_s"]) < 60


def goes_by_the_clock(hq, last):
    """A rule that is on for so many seconds. False: the machine was too slow to see it in time."""
    begin, end = (time.strftime("%H:%M:%S", time.localtime(time.time() + s)) for s in (-3600, last))
    stops = time.monotonic() + last - 1
    office = f"    scheduler office {{\n        daily {{\n            start-time {begin};\n            stop-time {end};\n        }}\n    }}\n"
    timed = rule("timed", "permit;").replace("match {", "scheduler-name office;\n            match {", 1)
    text = with_rules(timed, rule("closed", "deny;", application="iperf-tcp"),
                      changes=[("policy {\n", f"schedulers {{\n{office}}}\n\npolicy {{\n")])
    hq.commit("hq", text, "office hours")
    with listener(hq, "host-b", PORT):
        client, row = connect(hq, "host-a", HOST_B, PORT, timeout=2), rules(hq)["timed"]
        if time.monotonic() > stops:
            return False
        with client:
            assert (row["scheduler"], row["state"]) == ("office", "on")
            wait_for(lambda: rules(hq)["timed"]["state"] == "off", last + 10, "the rule to be off", pause=0.3)
            assert isinstance(connect(hq, "host-a", HOST_B, PORT, timeout=1), OSError)
            assert "timed" not in hq["hq"].run(f"plaingate show sessions --json --dport {PORT}").stdout
            assert int(rules(hq)["closed"]["hits"]) > 0 and int(rules(hq)["timed"]["hits"]) == 1
    return True


def test_a_rule_goes_by_the_clock(hq):
    """Without a commit: when its scheduler is off its sessions end, and the next rule decides."""
    assert any(goes_by_the_clock(hq, last) for last in (6, 30, 90)), "the machine is too slow"
