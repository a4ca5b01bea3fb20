"""The session log: what a rule logs becomes lines that the ledger vouches for, over the death of the process that writes them."""
import json
import os
import shutil
import signal

from kit import WEB, config_of, counter, ledger_directory, ledger_entries, processes, show, wait_for

LOGGED = ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];\n            }\n            then {\n                permit;",
          "application [ http https dns ping traceroute iperf-tcp iperf-udp ];\n            }\n            then {\n                permit;\n"
          "                log {\n                    session-init;\n                    session-close;\n                }")


def lines(directory):
    return [json.loads(line) for file in sorted(directory.glob("sessions-*.log")) for line in file.read_text().splitlines()]


def log_of(lab):
    return ledger_directory(lab, "hq").parent / "log"


def refused(lab):
    """A call that a rule rejects, with its record."""
    lab["host-a"].run(f"timeout 2 bash -c 'exec 3<>/dev/tcp/{WEB}/23'", check=False)


def of(lab, event):
    return [line for line in lines(log_of(lab)) if line["event"] == event]


def verify(lab, name):
    """The log of that name beside the ledger."""
    state = show(lab, "hq", "ledger")[0]["directory"].removesuffix("ledger")
    return lab["hq"].run(["plaingate", "verify", "log", state + name, "--json"], check=False)


def test_sessions_are_recorded(lab):
    lab.commit("hq", config_of("hq", LOGGED), "log")
    refused(lab)
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}")
    lab["hq"].run("plaingate clear sessions")
    wait_for(lambda: of(lab, "session-close"), 5, "the line of a session's end")
    deny, begun, end = of(lab, "session-deny")[0], of(lab, "session-init")[0], of(lab, "session-close")[0]
    assert (deny["rule"], deny["reason"], deny["dst"], deny["dst_port"]) == ("no-telnet", "policy-reject", WEB, 23)
    assert (deny["from"], deny["to"], deny["src"], deny["proto"]) == ("trust", "untrust", "10.1.0.2", 6)
    assert begun["session"] == end["session"] and begun["nat_src"] == end["nat_src"] == "198.51.100.2"
    assert (end["reason"], end["packets_forward"], end["packets_reply"]) == ("cleared", 1, 1)
    assert end["bytes_forward"] == end["bytes_reply"] == 84
    row = show(lab, "hq", "export")[0]
    assert row["state"] == "writing" and int(row["records"]) >= 3 and int(row["lost"]) == 0


def test_it_goes_on_after_a_death(lab):
    before = len(lines(log_of(lab)))
    pid = processes(lab, "hq")["export"][0]
    os.kill(pid, signal.SIGSTOP)  # what waits meanwhile is in the link
    refused(lab)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: len(lines(log_of(lab))) > before, 5, "the line that waited")
    os.kill(pid, signal.SIGKILL)
    refused(lab)
    wait_for(lambda: processes(lab, "hq").get("export", (pid,))[0] != pid, 10, "another process")
    wait_for(lambda: show(lab, "hq", "status")[-1]["state"] == "ready", 10, "it is ready")
    refused(lab)
    wait_for(lambda: len(of(lab, "session-deny")) >= 3, 5, "lines of the next process")
    numbers = [line["n"] for line in lines(log_of(lab))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(line["count"] for line in of(lab, "records-lost")) == counter(lab, "hq", "session-records-lost")
    entries = [e for e in ledger_entries(lab, "hq") if e["type"] == "session_log"]
    assert len(entries) == 2 and entries[1]["body"]["last"] >= before, "each start says how far the log had come"


def test_what_somebody_changes_is_found(lab):
    done = verify(lab, "log")
    report = json.loads(done.stdout)[0]
    assert done.returncode == 0 and report["good"] and report["compared"] == 2, done.stdout + done.stderr
    copy = log_of(lab).parent / "log-copy"
    shutil.copytree(log_of(lab), copy)
    (file,) = copy.glob("sessions-*.log")
    text = file.read_text()
    file.write_text(text.replace('"dst_port":23,', '"dst_port":22,', 1))
    done = verify(lab, "log-copy")
    assert done.returncode == 1 and not json.loads(done.stdout)[0]["good"]
    file.write_text("".join(text.splitlines(keepends=True)[:1]))
    done = verify(lab, "log-copy")
    assert done.returncode == 1 and "missing at the end" in done.stdout
    shutil.rmtree(copy)
