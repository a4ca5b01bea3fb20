"""Policy as an engineer changes it every day, from the configuration to the packets of real clients."""
import json
import re

import pytest
from kit import HOST_B, TcpStream, config_of, connect, listener

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
