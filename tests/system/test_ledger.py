"""Receipt before action: privileged actions are in the ledger before they are done, and are not done if the ledger cannot enter them. hq's
ledger is on a small disk of its own that can be filled."""
import os
import shutil
import signal
import subprocess
import time

import pytest
from kit import (HOST_B, LAN_FILTER, PROCESSES, WEB, Capture, TcpStream, UdpStream, calm_time, config_of, counter, drops, entries_in,
                 ledger_directory, ledger_entries, own_lab, processes, show, tracing, verify_ledger, wait_for)

PSK = "hq-branch.psk"


def small_disk(lab):
    """A few times what the tests enter on a slow machine: with 2 MB it was full before their end."""
    lab["hq"].run("mkdir -p /var/lib/plaingate/ledger")
    lab["hq"].run("mount -t tmpfs -o size=8m,mode=0700 tmpfs /var/lib/plaingate/ledger")


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgl")
    two_sites.up("on", prepare=small_disk)
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in ("hq", "branch"):
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


class Stopped:
    """A process that is stopped, so that it neither answers nor is restarted."""

    def __init__(self, lab, gateway, name):
        self.pid = processes(lab, gateway)[name][0]

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def since(lab, gateway, n, type_):
    return [entry for entry in ledger_entries(lab, gateway)[n:] if entry["type"] == type_]


def act(lab, words, gateway="hq"):
    return lab[gateway].run(["plaingate", *words.split()], check=False, timeout=60)


def up_again(lab):
    act(lab, "ike initiate branch")
    lab.wait_for_tunnel()
    wait_for(lambda: lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0, 10, "traffic through the tunnel")


@pytest.mark.parametrize("words, name, detail", [
    ("clear sessions --dport 5299", "clear sessions", "5299"), ("ike rekey branch", "ike", "rekey branch"),
    ("ike rekey-child branch", "ike", "rekey-child branch")])
def test_acts_are_entered(lab, words, name, detail):
    before = len(ledger_entries(lab, "hq"))
    done = act(lab, words)
    assert done.returncode == 0, done.stderr
    entry = since(lab, "hq", before, "admin_act")
    assert len(entry) == 1 and entry[0]["body"]["act"] == name and detail in entry[0]["body"]["detail"], entry
    assert entry[0]["body"]["admin"] == "root (console)" and entry[0]["source"] == "control"


def test_trace_is_entered(lab):
    before = len(ledger_entries(lab, "hq"))
    trace = tracing(lab, f"--dst {WEB} --count 1")
    assert since(lab, "hq", before, "admin_act")
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}")
    trace.communicate(timeout=30)
    assert trace.returncode == 0


def test_tunnels_come_and_go_by_the_ledger(lab):
    before = {gateway: len(ledger_entries(lab, gateway)) for gateway in ("hq", "branch")}
    spis = {row["spi_in"] for row in show(lab, "hq", "ipsec")}
    assert act(lab, "ike terminate branch").returncode == 0
    wait_for(lambda: not lab.tunnel_up(["hq"]) and not lab.tunnel_up(["branch"]), 10, "the end of the tunnel")
    for gateway in before:
        removed = since(lab, gateway, before[gateway], "sa_remove")
        assert removed and all(entry["body"]["reason"] for entry in removed), removed
    assert spis & {entry["body"]["spi_in"] for entry in since(lab, "hq", before["hq"], "sa_remove")}
    assert since(lab, "hq", before["hq"], "ike_sa_down")[-1]["body"]["reason"]
    up_again(lab)
    for gateway in before:
        new = since(lab, gateway, before[gateway], "sa_install")
        active = [row for row in show(lab, gateway, "ipsec") if row["state"] == "active"]
        assert active[0]["spi_in"] in {entry["body"]["spi_in"] for entry in new}
        proven = since(lab, gateway, before[gateway], "ike_sa_up")[-1]
        assert proven["body"]["id"] == {"hq": "branch", "branch": "hq"}[gateway] + ".example.net", proven


def test_a_wrong_key_is_refused_entered_and_told(lab):
    right = (lab["branch"].state / "etc/keys" / PSK).read_text()
    before = {gateway: len(ledger_entries(lab, gateway)) for gateway in ("hq", "branch")}
    lab.write_key("branch", PSK, "00" * 32 + "\n")
    lab.commit("branch", config_of("branch"), "the keys are read again")
    try:
        act(lab, "ike terminate branch")
        wait_for(lambda: not lab.tunnel_up(["hq"]), 10, "the end of the tunnel")
        with Capture(lab, "internet", "hq0", LAN_FILTER) as seen:
            act(lab, "ike initiate branch")
            wait_for(lambda: since(lab, "branch", before["branch"], "handshake_refused"), 10, "a refusal in the ledger")
            down = counter(lab, "hq", "tunnel-down")
            lab["host-a"].run(f"ping -c 3 -i 0.2 -W 1 {HOST_B}", check=False)
        assert seen.count() == 0 and counter(lab, "hq", "tunnel-down") >= down + 3, drops(lab, "hq")
        assert not lab.tunnel_up(["hq"]) and not lab.tunnel_up(["branch"])
        entry = since(lab, "branch", before["branch"], "handshake_refused")[0]["body"]
        assert entry["remote"].startswith("198.51.100.2") and entry["id"] == "hq.example.net" and entry["peer"] == "hq", entry
        assert "authentication failed" in entry["reason"], entry
        reason = wait_for(lambda: [row["reason"] for row in show(lab, "hq", "ike") if "AUTHENTICATION_FAILED" in row.get("reason", "")], 10,
                          "show ike of hq to say why")
        assert reason
    finally:
        lab.write_key("branch", PSK, right)
        lab.commit("branch", config_of("branch"), "the right key")
    up_again(lab)
    # The one that ended with the replaced key may still be there, until its last packets have come.
    assert not any(row["reason"] for row in show(lab, "hq", "ike") if row["state"] != "ended"), "an established SA has no reason to be down"


def test_nothing_privileged_without_the_ledger(lab):
    """The ledger does not answer: actions are refused and do not happen; traffic continues."""
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5208) as tcp, UdpStream(lab, "host-a", "web", WEB, port=5208) as udp:
        tcp.wait_flowing()
        generation = act(lab, "show configuration").stdout
        with Stopped(lab, "hq", "ledger"):
            commit = lab["hq"].popen("plaingate commit /etc/plaingate/hq.conf")
            clear = lab["hq"].popen("plaingate clear sessions --dport 5208")
            terminate = lab["hq"].popen("plaingate ike terminate branch")
            assert [p.wait(12) for p in (commit, clear, terminate)] == [1, 1, 1]
            tcp.wait_flowing()
            udp.wait_flowing()
            assert show(lab, "hq", "sessions", "--dport", "5208"), "the sessions were not cleared"
            assert lab.tunnel_up(["hq"]) and act(lab, "show configuration").stdout == generation
        tcp.wait_flowing()
    assert not tcp.failure and not udp.lost()
    verify_ledger(lab, "hq")


def test_no_new_tunnel_without_the_ledger(lab):
    """The responder's ledger does not answer: the peer authenticates, but nothing is installed before that is entered."""
    act(lab, "ike terminate branch")
    wait_for(lambda: not lab.tunnel_up(["hq"]) and not lab.tunnel_up(["branch"]), 10, "the end of the tunnel")
    with Stopped(lab, "branch", "ledger"), Capture(lab, "internet", "hq0", "udp port 4500 and udp[8:4] != 0") as esp:
        act(lab, "ike initiate branch")
        time.sleep(4)
        lab["host-a"].run(f"ping -c 2 -i 0.2 -W 1 {HOST_B}", check=False)
        assert not lab.tunnel_up(["hq"]) and not [row for row in show(lab, "branch", "ipsec") if row["state"] == "active"]
    assert esp.count() == 0
    lab.wait_for_tunnel()
    up_again(lab)


def test_disk_full(lab):
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5209) as tcp:
        tcp.wait_flowing()
        before = act(lab, "show configuration").stdout
        lab["hq"].run("dd if=/dev/zero of=/var/lib/plaingate/ledger/fill bs=4k", check=False)
        try:
            done = lab["hq"].run(["plaingate", "commit", "/etc/plaingate/hq.conf", "--comment", "x" * 200], check=False, timeout=20)
            for _ in range(20):  # the rest of the last page still takes some entries
                if done.returncode:
                    break
                done = lab["hq"].run(["plaingate", "commit", "/etc/plaingate/hq.conf", "--comment", "x" * 200], check=False, timeout=20)
            assert done.returncode == 1 and "ledger" in done.stderr and "nothing is changed" in done.stderr, done
            assert act(lab, "clear sessions --dport 5209").returncode == 1
            tcp.wait_flowing()
            assert act(lab, "show configuration").stdout == before
            assert processes(lab, "hq")["ledger"][1] == 0, "a full disk is no reason to die"
        finally:
            lab["hq"].run("rm -f /var/lib/plaingate/ledger/fill")
        tcp.wait_flowing()
        done = act(lab, "commit /etc/plaingate/hq.conf --comment room")
        assert done.returncode == 0, done.stderr
    assert not tcp.failure
    verify_ledger(lab, "hq")
    assert since(lab, "hq", 0, "config_commit")[-1]["body"]["comment"] == "room"


def stop(lab, gateway):
    """An orderly stop, without any warning. Returns the log lines written meanwhile."""
    log = lab[gateway].state / "plaingated.log"
    before = log.stat().st_size
    lab.daemons[gateway].send_signal(signal.SIGTERM)
    lab.daemons[gateway].wait(15)
    said = log.read_text(errors="replace")[before:]
    assert not [line for line in said.splitlines() if " warn: " in line or " error: " in line], said
    return said


def web_answers(lab):
    return lab["host-a"].run(f"ping -c 1 -W 1 {WEB}", check=False).returncode == 0


def test_start_with_a_full_disk(lab):
    """A power cycle while the ledger has no room: what an earlier start entered runs, traffic flows by the stored configuration,
    nothing new is admitted, `show status` says why; with room all is back and entered."""
    directory = ledger_directory(lab, "hq")
    stop(lab, "hq")
    before = len(entries_in(directory))
    lab["hq"].run("dd if=/dev/zero of=/var/lib/plaingate/ledger/fill bs=4k", check=False)
    try:
        lab.start_gateway("hq")
        started = calm_time()
        wait_for(lambda: all(row["state"] == "ready" for row in show(lab, "hq", "status") if row["process"] != "offload"), 10, "all processes")
        wait_for(lambda: web_answers(lab), 10, "traffic by the stored configuration")
        reasons = wait_for(lambda: [row["reason"] for row in show(lab, "hq", "status") if row["process"] == "ledger" and row["reason"]], 10,
                           "the reason")
        assert "No space left" in reasons[0], reasons
        assert calm_time() - started < 20
        act(lab, "ike initiate branch")
        assert act(lab, "commit /etc/plaingate/hq.conf").returncode == 1
        time.sleep(3)
        assert not lab.tunnel_up(["hq"]), "a peer was admitted without a receipt"
        assert not any("AUTHENTICATION_FAILED" in row.get("reason", "") for row in show(lab, "branch", "ike"))
    finally:
        lab["hq"].run("rm -f /var/lib/plaingate/ledger/fill")
    wait_for(lambda: not any(row["reason"] for row in show(lab, "hq", "status")), 15, "the ledger to take entries")
    up_again(lab)
    entries = entries_in(directory)[before:]
    starts = {entry["body"]["process"] for entry in entries if entry["type"] == "process_start"}
    assert starts == {"supervisor", *PROCESSES}, starts
    assert any(entry["type"] == "ledger_outage" for entry in entries) and any(entry["type"] == "config_load" for entry in entries)
    verify_ledger(lab, "hq")


def test_another_executable_waits_for_its_receipt(lab):
    """With a full ledger only executables that an earlier start entered run: one octet more, and the executable waits."""
    directory = ledger_directory(lab, "hq")
    stop(lab, "hq")
    before = len(entries_in(directory))
    path = "/usr/libexec/plaingate/plaingate-entropy"
    lab["hq"].run(["sh", "-c", f"printf x >>{path}"])
    lab["hq"].run("dd if=/dev/zero of=/var/lib/plaingate/ledger/fill bs=4k", check=False)

    def states():
        return {row["process"]: row for row in show(lab, "hq", "status")}
    try:
        lab.start_gateway("hq")
        wait_for(lambda: all(states()[name]["state"] == "ready" for name in ("ledger", "dataplane", "ike", "control")), 10, "the others")
        wait_for(lambda: "No space left" in states()["entropy"]["reason"], 10, "the reason")
        entropy = states()["entropy"]
        assert entropy["state"] != "ready" and not entropy["pid"], entropy
        assert "did not enter its start" in entropy["reason"] and "No space left" in entropy["reason"], entropy
    finally:
        lab["hq"].run(f"truncate -s -1 {path}")
        lab["hq"].run("rm -f /var/lib/plaingate/ledger/fill")
    wait_for(lambda: states()["entropy"]["state"] == "ready", 15, "its start")
    started = [entry["body"] for entry in entries_in(directory)[before:] if entry["type"] == "process_start"]
    assert states()["entropy"]["sha256"] in [body["sha256"] for body in started if body["process"] == "entropy"], started
    up_again(lab)


def test_numbers_have_no_silent_gaps(lab):
    """The entries of each source are numbered; refused ones are named by an entry, and nothing else is missing."""
    for gateway in ("hq", "branch"):
        due, gaps = {}, {}
        entries = ledger_entries(lab, gateway)
        for entry in entries:
            if entry["type"] == "counter_gap":
                body = entry["body"]
                gaps.setdefault((entry["boot"], body["source"], body["run"]), []).append((body["first"], body["last"]))
        for entry in entries:
            source = (entry["boot"], entry["source"], entry.get("run", 0))
            n = due.get(source, 1)
            while n < entry["n"]:
                named = [last for first, last in gaps.get(source, []) if first <= n <= last]
                assert named, f"{gateway}: number {n} of {source} is missing and no entry says why"
                n = named[0] + 1
            assert n == entry["n"], f"{gateway}: number {entry['n']} of {source} stands twice"
            due[source] = n + 1


def test_last_words_are_entered(lab):
    """What the others sent before they ended is in the ledger's sockets when the ledger is told to stop: it reads that first."""
    directory = ledger_directory(lab, "branch")
    before = sum(entry["type"] == "vrf_epoch_end" for entry in entries_in(directory))
    with Stopped(lab, "branch", "ledger"):
        lab.daemons["branch"].send_signal(signal.SIGTERM)
        time.sleep(2.3)  # longer than the supervisor waits
    lab.daemons["branch"].wait(15)
    types = [entry["type"] for entry in entries_in(directory)]
    assert types.count("vrf_epoch_end") == before + 1 and "leaf_batch_end" in types, types[-12:]
    lab.start_gateway("branch")
    lab["branch"].run("plaingate ike initiate hq", check=False)  # no goodbye was said: hq would wait for its dead peer detection
    lab.wait_for_tunnel()


# ---- the ledger on other hardware, from a backup, under another key: docs/operating.md ----

def state_of(lab, gateway):
    return lab[gateway].state / "lib"


def packed(state, archive):
    """As documented, on a machine where the processes' users have other numbers than here."""
    users = archive.with_suffix(".users")
    users.write_text("".join(f"plaingate-{name} plaingate-{name}:{61000 + i}\n"
                             for i, name in enumerate(PROCESSES)), encoding="utf-8")
    subprocess.run(["tar", f"--owner-map={users}", f"--group-map={users}", "-C", str(state), "-czf", str(archive), "lib", "etc"], check=True)


def replaced_by(state, archive):
    """What a new machine gets: the archive's files, each for the user of its name there."""
    for path in (*(state / "lib").iterdir(), *(state / "etc").iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    subprocess.run(["tar", "-C", str(state), "-xpzf", str(archive)], check=True)


def test_new_hardware_goes_on_with_the_same_log(lab, tmp_path):
    before, row = len(ledger_entries(lab, "branch")), show(lab, "branch", "ledger")[0]
    stop(lab, "branch")
    state = lab["branch"].state
    packed(state, tmp_path / "plaingate.tar.gz")
    replaced_by(state, tmp_path / "plaingate.tar.gz")
    lab.start_gateway("branch")
    lab["branch"].run("plaingate ike initiate hq", check=False)
    lab.wait_for_tunnel()
    verify_ledger(lab, "branch")
    now = show(lab, "branch", "ledger")[0]
    assert (now["origin"], now["vkey"]) == (row["origin"], row["vkey"]) and now["size"] > row["size"], (row, now)
    started = since(lab, "branch", before, "ledger_start")
    assert started and started[-1]["body"]["recovered"] >= before and started[-1]["body"]["torn_bytes"] == 0, started


def test_a_restored_backup_is_told_by_a_newer_checkpoint(lab, tmp_path):
    state, newer = state_of(lab, "branch"), tmp_path / "newer"
    stop(lab, "branch")
    packed(state.parent, tmp_path / "backup.tar.gz")
    lab.start_gateway("branch")
    assert act(lab, "commit /etc/plaingate/branch.conf --comment lost", "branch").returncode == 0
    wait_for(lambda: show(lab, "branch", "ledger")[0]["published_size"] == show(lab, "branch", "ledger")[0]["size"], 5, "the checkpoint")
    stop(lab, "branch")
    shutil.copy(state / "ledger/checkpoint", newer)
    replaced_by(state.parent, tmp_path / "backup.tar.gz")
    lab.start_gateway("branch")
    lab["branch"].run("plaingate ike initiate hq", check=False)
    lab.wait_for_tunnel()
    verify_ledger(lab, "branch")  # it is a good ledger, of then
    assert "lost" not in [entry["body"]["comment"] for entry in since(lab, "branch", 0, "config_commit")]
    shutil.copy(newer, state / "newer")
    told = lab["branch"].run("plaingate verify ledger /var/lib/plaingate/ledger --checkpoint /var/lib/plaingate/newer", check=False)
    (state / "newer").unlink()
    assert told.returncode == 1, told.stdout + told.stderr


def test_the_key_of_the_ledger_is_changed(lab):
    """The log of the old key ends with an entry that says so, the log of the new key begins with one that names the old log, and both verify."""
    state, old = state_of(lab, "branch"), show(lab, "branch", "ledger")[0]
    assert act(lab, "commit /etc/plaingate/branch.conf --comment ledger-key-changes", "branch").returncode == 0
    wait_for(lambda: show(lab, "branch", "ledger")[0]["published_size"] == show(lab, "branch", "ledger")[0]["size"], 5, "the checkpoint")
    stop(lab, "branch")
    (state / "ledger").rename(state / "ledger.old")
    (state / "ledger.key").rename(state / "ledger.key.old")
    lab.start_gateway("branch")
    lab["branch"].run("plaingate ike initiate hq", check=False)
    lab.wait_for_tunnel()
    ended = (state / "ledger.old/checkpoint").read_text(encoding="utf-8").splitlines()[:3]
    comment = "goes-on-behind " + " ".join(ended)
    done = lab["branch"].run(["plaingate", "commit", "/etc/plaingate/branch.conf", "--comment", comment], check=False)
    assert done.returncode == 0, done.stderr
    new = show(lab, "branch", "ledger")[0]
    assert new["vkey"] != old["vkey"] and new["origin"] != old["origin"] == ended[0], (old, new)
    verify_ledger(lab, "branch")
    assert since(lab, "branch", 0, "config_commit")[-1]["body"]["comment"] == comment
    kept = lab["branch"].run(["plaingate", "verify", "ledger", "/var/lib/plaingate/ledger.old", "--key", old["vkey"]], check=False)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert entries_in(state / "ledger.old")[-1]["type"] in ("process_exit", "vrf_epoch_end", "leaf_batch_end")
    # The old key with the new log, or vice versa, is refused: nothing is signed with a key that does not belong to the log.
    stop(lab, "branch")
    (state / "ledger.key").rename(state / "ledger.key.new")
    shutil.copy(state / "ledger.key.old", state / "ledger.key")
    lab.daemons["branch"] = lab["branch"].daemon(["plaingated"], lab["branch"].state / "plaingated.log")
    wait_for(lambda: "does not match the ledger's key" in (lab["branch"].state / "plaingated.log").read_text(errors="replace"), 10, "the refusal")
    lab.daemons["branch"].send_signal(signal.SIGTERM)
    lab.daemons["branch"].wait(15)
    (state / "ledger.key.new").rename(state / "ledger.key")
    lab.start_gateway("branch")
    lab["branch"].run("plaingate ike initiate hq", check=False)
    lab.wait_for_tunnel()
    verify_ledger(lab, "branch")
