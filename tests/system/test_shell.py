"""The shell on a terminal: a day's changes by the editor, with its completion, a mistake that comes back by itself, and somebody else's commit in between."""
import re

import pexpect
import pytest
from kit import HOST_B, WEB, TcpStream, config_of, ledger_entries, show, wait_for

TIMEOUT = 60  # a loaded machine is slow; what is awaited comes


class Session:
    def __init__(self, lab, gateway="hq"):
        words = lab[gateway].words("plaingate")
        self.child = pexpect.spawn(words[0], words[1:], encoding="utf-8", timeout=TIMEOUT, dimensions=(200, 160), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"})
        self.child.expect("@hq> ")

    def does(self, line, prompt="# "):
        """What the line prints, without its echo."""
        self.child.sendline(line)
        self.child.expect(r"@hq" + prompt)
        return "\n".join(self.child.before.replace("\r", "").split("\n")[1:])

    def close(self):
        self.child.close(force=True)


@pytest.fixture
def session(lab):
    one = Session(lab)
    yield one
    one.close()


def web(lab):
    return lab["host-a"].run(f"curl -sS --max-time 3 http://{WEB}/", check=False).returncode


def test_words_are_completed_and_explained(session):
    assert "branch" in session.does("sho ike", "> ")
    session.child.send("show sess\t")
    session.child.expect("sessions ")
    session.child.send("?")
    session.child.expect("summary +sessions counted by")
    session.child.expect("dport +")
    session.child.send("\x03")
    session.child.sendline("ping -here")  # prompts were written again
    session.child.expect("found -here")
    session.child.expect("@hq> ")
    assert re.search(r"Count: [1-9]\d* lines", session.does("show ike | count", "> "))
    assert "set zones zone trust" in session.does("show configuration | display set", "> ")
    assert "host-inbound" in session.does("show configuration zones zone untrust", "> ")
    assert "rollback" in session.does("show system commit", "> ")
    assert re.search(r"error: .*did you mean 'sessions'", session.does("show sesions", "> "))


def test_a_change_is_made_compared_tried_and_kept(lab, session):
    assert web(lab) == 0
    session.does("configure")
    session.does("edit policy from trust to untrust")
    for part in ("match source any", "match destination any", "match application http", "then reject"):
        session.does(f"set rule no-web {part}")
    assert "found 'nothing'" in session.does("set rule no-web then nothing")
    assert session.does("insert rule no-web before rule no-telnet").strip() == "[edit policy from trust to untrust]\nroot"
    session.does("annotate rule no-web \"until Monday\"")
    session.does("top")
    compared = session.does("show | compare")
    assert "[edit policy from trust to untrust]" in compared and "+  rule no-web {" in compared, compared
    assert "is valid" in session.does("commit check")
    done = session.does("commit confirmed 5 comment \"no web\"")
    assert "generation" in done, done
    assert web(lab) != 0
    assert "rule" not in session.does("show | compare")
    assert "is confirmed" in session.does("commit")
    assert "nothing to commit" in session.does("commit")
    entry = [e for e in ledger_entries(lab, "hq") if e["type"] == "config_commit"][-1]
    assert entry["body"]["comment"] == "no web"
    running = lab["hq"].run("plaingate show configuration").stdout
    assert "/* until Monday */" in running and running.index("no-web") < running.index("no-telnet")
    assert "load complete" in session.does("rollback 1")
    assert "-  rule no-web" in session.does("show | compare")
    assert "generation" in session.does("commit and-quit", "> ")
    assert web(lab) == 0


def test_a_zone_is_renamed_while_its_sessions_live(lab, session):
    session.does("configure")
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5207) as tcp:
        tcp.wait_flowing()
        assert re.search(r"[1-9]\d* uses of the name follow", session.does("rename zones zone trust to zone office"))
        done = session.does("commit")
        assert "generation" in done, done
        wait_for(lambda: any(row["zone"] == "office" for row in show(lab, "hq", "interfaces")), 10, "the interface in the renamed zone")
        tcp.wait_flowing()
        assert not tcp.failure
    session.does("rename zones zone office to zone trust")
    assert "generation" in session.does("commit and-quit", "> ")


def test_nobody_takes_back_what_another_committed(lab, session):
    session.does("configure")
    session.does("set system host-name mine")
    lab.commit("hq", config_of("hq", ("host-name hq;", "host-name theirs;")), "another")
    refused = session.does("commit")
    assert "another configuration has been committed" in refused and "+  host-name theirs;" in refused, refused
    assert "theirs" in lab["hq"].run("plaingate show configuration").stdout
    session.does("rollback")
    assert "host-name theirs;" in session.does("show system")
    session.does("load override terminal\n" + config_of("hq") + "\n.")
    assert "generation" in session.does("commit")
    session.child.sendline("set system host-name lost")
    session.child.expect("@hq# ")
    session.child.sendline("quit")
    session.child.expect("not committed")
    session.child.sendline("yes")
    session.child.expect("@hq> ")
