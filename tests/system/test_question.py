"""`test policy` on a running gateway: what it says is what the next packet meets, and asking leaves nothing behind."""
import json

from kit import HOST_B, WEB, config_of, drops, hits, show


def ask(lab, gateway, question, status=0):
    done = lab[gateway].run(f"plaingate test policy {question} --json", check=False)
    assert done.returncode == status, (question, done.stdout, done.stderr)
    return json.loads(done.stdout)[0] if status == 0 else done.stderr


def test_answers(lab):
    before = (drops(lab, "hq"), hits(lab, "hq"), len(show(lab, "hq", "sessions")))
    web = ask(lab, "hq", f"--src 10.1.0.2 --dst {WEB} --proto tcp --dport 80 --sport 41234")
    assert (web["verdict"], web["rule"], web["from"], web["interface"], web["to"], web["egress"]) == \
        ("permit", "to-internet", "trust", "lan0", "untrust", "wan0"), web
    assert web["nat_src_rule"] == "internet" and web["log"] == "nothing", web
    there = ask(lab, "hq", f"--src 10.1.0.2 --dst {HOST_B} --proto icmp")
    assert (there["verdict"], there["rule"], there["tunnel"], there["to"]) == ("permit", "to-branch", "branch", "vpn"), there
    back = ask(lab, "hq", f"--src {HOST_B} --dst 10.1.0.2 --proto tcp --dport 22")
    assert (back["from_tunnel"], back["rule"], back["egress"]) == ("branch", "from-branch", "lan0"), back
    telnet = ask(lab, "hq", f"--src 10.1.0.2 --dst {WEB} --proto tcp --dport 23")
    assert (telnet["verdict"], telnet["rule"], telnet["log"]) == ("reject", "no-telnet", "denied"), telnet
    forged = ask(lab, "hq", f"--interface wan0 --src {HOST_B} --dst 10.1.0.2 --proto tcp --dport 22")
    assert (forged["verdict"], forged["drop"]) == ("drop", "tunnel-required"), forged
    ssh = ask(lab, "hq", f"--from-zone untrust --src {WEB} --dst {show_address(lab)} --proto tcp --dport 22")
    assert (ssh["drop"], ssh["to"]) == ("host-inbound", "host"), ssh
    after = (drops(lab, "hq"), hits(lab, "hq"), len(show(lab, "hq", "sessions")))
    assert after[1:3] == before[1:3]
    assert {k: v for k, v in after[0].items() if k in ("drop-policy-reject", "drop-tunnel-required", "drop-host-inbound")} == \
        {k: v for k, v in before[0].items() if k in ("drop-policy-reject", "drop-tunnel-required", "drop-host-inbound")}


def show_address(lab):
    wan = next(row for row in show(lab, "hq", "interfaces") if row["interface"] == "wan0")
    return next(a for a in wan["addresses"] if ":" not in a).split("/")[0]


def test_the_packet_meets_what_was_said(lab):
    said = ask(lab, "hq", f"--src 10.1.0.2 --dst {WEB} --proto tcp --dport 80 --sport 41235")
    lab["host-a"].run(f"curl -s -o /dev/null --local-port 41235 http://{WEB}/")
    row = next(row for row in show(lab, "hq", "sessions", "--sport", "41235"))
    assert (row["rule"], row["nat_src"]) == (said["rule"], said["nat_src"])
    again = ask(lab, "hq", f"--src 10.1.0.2 --dst {WEB} --proto tcp --dport 80 --sport 41235")
    assert again["session"] == row["id"]


def test_a_rule_for_one_tunnel(lab):
    """`tunnel` in a rule: what it permits goes by that tunnel; a rule that could leave in clear is refused, with both names."""
    rule = "destination branch-lan;\n                application office;\n            }\n            then {\n                permit;"
    stamps = "application stamps {\n        protocol icmp;\n        icmp-type 13;\n        icmp-code 0;\n    }\n    application-set office {"
    lab.commit("hq", config_of("hq", (rule, rule + "\n                tunnel branch;"), ("application-set office {", stamps),
                               ("application [ http https dns", "application [ stamps http https dns")), "a rule for one tunnel, and one code of ICMP")
    codes = [ask(lab, "hq", f"--src 10.1.0.2 --dst {WEB} --proto icmp --icmp-type 13 --icmp-code {code}") for code in (0, 1)]
    assert [row["verdict"] for row in codes] == ["permit", "deny"] and codes[1]["icmp_code"] == 1, codes
    there = ask(lab, "hq", f"--src 10.1.0.2 --dst {HOST_B} --proto icmp")
    assert (there["verdict"], there["rule"], there["tunnel"]) == ("permit", "to-branch", "branch"), there
    lab["host-a"].run(f"ping -c 1 -W 5 {HOST_B}")
    clear = lab["hq"].state / "etc/clear.conf"
    clear.write_text(config_of("hq", (rule, rule + "\n                tunnel branch;"), ("        rule to-branch {", """        rule wide {
            match {
                source any;
                destination any;
                application any;
            }
            then {
                permit;
                tunnel branch;
            }
        }
        rule to-branch {"""), ("    zone vpn {", "    zone vpn {\n        interfaces other0;")), encoding="utf-8")
    said = lab["hq"].run("plaingate check /etc/plaingate/clear.conf", check=False)
    assert said.returncode != 0 and "rule 'wide' permits through tunnel 'branch' only, but its source (any)" in said.stdout + said.stderr, said
    lab.commit("hq", config_of("hq"), "as before")


def test_text_and_mistakes(lab):
    text = lab["hq"].run(f"plaingate test policy --src 10.1.0.2 --dst {WEB} --proto tcp --dport 23").stdout
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {"verdict reject", "rule no-telnet", "log denied"} <= lines, text
    assert "did you mean 'trust'?" in ask(lab, "hq", f"--from-zone trus --src 10.1.0.2 --dst {WEB} --proto tcp --dport 23", 1)
    for question in ("--src 10.1.0.2", f"--src 10.1.0.0/24 --dst {WEB} --proto udp --dport 53", f"--src 10.1.0.2 --dst {WEB} --proto tcp",
                     f"--src 10.1.0.2 --dst {WEB} --proto icmp --dport 8", f"--src 10.1.0.2 --dst fd00::1 --proto udp --dport 53"):
        assert "test policy" in ask(lab, "hq", question, 2), question


def test_rules_that_never_match(lab):
    assert json.loads(lab["hq"].run("plaingate show policy shadowed --json").stdout) == []
    rule = "        rule never {\n            match {\n                source hq-lan;\n                destination branch-lan;\n                application ssh;\n" \
        "            }\n            then {\n                deny;\n            }\n        }\n    }\n    from vpn to trust {"
    said = lab.commit("hq", config_of("hq", ("    }\n    from vpn to trust {", rule)), "a rule too many")
    rows = json.loads(lab["hq"].run("plaingate show policy shadowed --json").stdout)
    assert rows == [{"from": "trust", "to": "vpn", "rule": "never", "by": ["to-branch"]}], (rows, said)
