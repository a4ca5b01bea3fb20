"""Policy as an engineer changes it every day, from the configuration to the packets of real clients."""
import json

import pytest
from kit import HOST_B, config_of, connect, listener

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
