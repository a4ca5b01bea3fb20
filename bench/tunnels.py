"""Gateways with many peers, as bench/ike has them: their configurations, what their processes take, and a row with Plaingate at both ends (Standing)
with as many tunnels as one may have."""
import contextlib
import os
import pwd
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from measure import PREFIX, LabError, Row, wait_for

HQ, BRANCH = "198.51.100.2", "198.51.100.3"
EMPTY = """system {{
    host-name {side};
}}
zones {{
    zone trust {{
        interfaces lan0;
    }}
    zone untrust {{
        interfaces wan0;
        host-inbound ike;
    }}
}}
"""
TEXT = """
system {{
    host-name {name};
}}
zones {{
    zone trust {{
        interfaces lan0;
    }}
    zone untrust {{
        interfaces wan0;
        host-inbound ike;
    }}
    zone vpn;
}}
policy {{
    from vpn to trust {{
        rule all {{
            match {{
                source any;
                destination any;
                application any;
            }}
            then {{
                permit;
            }}
        }}
    }}
}}
{pki}ike {{
    proposal bench {{
        encryption aes256gcm16;
        prf prfsha384;
        dh-group x25519;
        {additional}
    }}
{peers}}}
ipsec {{
    proposal bench {{
        encryption aes256gcm16;
    }}
{tunnels}}}
"""
PKI = "pki {\n    ca-profile lab {\n        file ca.crt;\n    }\n}\n"


def secret():
    return "a pre-shared key of the benchmark"


def net(initiator, i):
    """Of tunnel i at the branch, which begins, and at hq."""
    return f"10.{(110 if initiator else 60) + i // 250}.{i % 250}.0/24"


def identity(side, i, own=False):
    """own: hq has one for each peer, by which its neighbour tells them apart."""
    return f"p{i}.example.net" if side != "hq" else f"hq{i}.example.net" if own else "hq.example.net"


def text_of(peers, by, side="hq", start="never", additional="", name=None, own=False, dpd=30):
    """by: statements of each peer, how both prove themselves. own: see identity()."""
    here, there = (HQ, BRANCH) if side == "hq" else (BRANCH, HQ)
    other = "branch" if side == "hq" else "hq"
    return TEXT.format(
        name=name or side, pki=PKI if "trusted-ca" in by else "", additional=additional and f"additional-key-exchange {additional};",
        peers="".join(f"""    peer p{i} {{
        local-address {here};
        remote-address {there};
        local-id {identity(side, i, own)};
        remote-id {identity(other, i, own)};
        {by}
        proposals bench;
        force-encapsulation;
        dpd {dpd};
        start {start};
    }}
""" for i in range(peers)),
        tunnels="".join(f"""    tunnel t{i} {{
        peer p{i};
        zone vpn;
        local {net(side != "hq", i)};
        remote {net(side == "hq", i)};
        proposals bench;
    }}
""" for i in range(peers)))


# --- processes ---

def family(pid):
    """The process and all that descend from it."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def processes_of(daemon):
    """Those that have memory: the shell's own are kernel threads of nothing."""
    return [pid for pid in family(daemon.pid) if Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def user_of(pid):
    """By whose process it is: each of Plaingate's has a user of its own."""
    return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name.replace("root", "supervisor").removeprefix("plaingate-")


def processor_seconds(pids):
    used = {}
    for pid in pids:
        try:
            name = user_of(pid)
            spent = sum(int(task.read_text(encoding="ascii").split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        except OSError as error:
            raise LabError(f"a process of the gateway is gone: {error}") from error
        used[name] = used.get(name, 0) + spent / 1e9
    return used


def octets(pids):
    """What the processes have of the memory, shared pages by their parts, without files': their parts change as others use the same programs."""
    found = {}
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        name = user_of(pid)
        found[name] = found.get(name, 0) + sum(int(line.split()[1]) * 1024 for line in rollup.splitlines()
                                              if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return found


def at_rest(pids):
    """processor_seconds() when what is done after the last answer, such as entries, is over; a busy machine takes longer for it."""
    now = processor_seconds(pids)
    for _ in range(20):
        time.sleep(0.3)
        before, now = now, processor_seconds(pids)
        if sum(now.values()) - sum(before.values()) < 0.002:
            break
    return now


def load():
    return os.getloadavg()[0]


# --- both ends ---

class Standing:
    """A row with Plaingate at both ends: the branch begins all tunnels, hq answers."""

    def __init__(self, peers, results, dpd):
        self.peers, self.results, self.dpd, self.lab = peers, results, dpd, Row(f"{PREFIX}two-")
        self.pause = 0.1 + peers / 4000  # between looks, which are work for the gateway
        try:
            self.lab.up("on", "plaingate", {side: EMPTY.format(side=side) for side in ("hq", "branch")})
            for side in ("hq", "branch"):
                self.lab.write_key(side, "bench.psk", secret() + "\n")
            self.pids = {side: processes_of(self.lab.daemons[side]) for side in ("hq", "branch")}
        except BaseException:
            self.lab.down(keep_state=True)
            raise

    def down(self):
        self.lab.down()

    def add(self, name, value):
        self.results.add(f"standing.{name}", value)

    def commit(self, side, **how):
        """Seconds of `plaingate commit`: all processes have the new configuration when it ends."""
        file = self.lab[side].state / "etc/bench.conf"
        file.write_text(text_of(self.peers, "pre-shared-key bench;", side, own=True, dpd=self.dpd, **how), encoding="ascii")
        begun = time.monotonic()
        self.lab[side].run(["plaingate", "commit", "/etc/plaingate/bench.conf"], timeout=120 + self.peers / 20)
        return time.monotonic() - begun

    def spis(self, side):
        return {row["spi_in"] for row in self.lab.show(side, "ipsec") if row["state"] == "active"}

    def wait_standing(self, sides=("hq", "branch")):
        """How many stand when all do, or when nothing has come for a minute; then it says why."""
        best, since = 0, time.monotonic()
        while best < self.peers and time.monotonic() - since < 60:
            time.sleep(self.pause)
            now = min(len(self.spis(side)) for side in sides)
            if now > best:
                best, since = now, time.monotonic()
        if best < self.peers:
            for side in ("hq", "branch"):
                rows = self.lab.show(side, "ike")
                states = Counter((row["state"], row.get("reason"), row.get("refused")) for row in rows)
                print(f"{side}: {states.most_common(8)}; {self.lab.log_end(side, 4)}", file=sys.stderr)
        return best

    def stand(self):
        """All tunnels, from none: how many, how long, and what each takes of either gateway."""
        self.add("load", load())
        self.add("commit.first", self.commit("hq"))
        self.commit("branch")
        before = {side: (octets(pids), at_rest(pids)) for side, pids in self.pids.items()}
        begun = time.monotonic()
        self.commit("branch", start="always")
        count = self.wait_standing()
        self.add("count", count)
        self.add("seconds", time.monotonic() - begun)
        for side, pids in self.pids.items():
            cpu, memory = at_rest(pids), octets(pids)
            self.add(f"cpu.{side}", (sum(cpu.values()) - sum(before[side][1].values())) / count * 1e6)
            more = {name: (n - before[side][0].get(name, 0)) / count for name, n in memory.items()}
            self.add(f"memory.{side}", sum(more.values()))
            for name in sorted(more, key=more.get, reverse=True)[:4] if side == "hq" else ():  # the others have nothing for a tunnel
                self.add(f"memory.{side}.{name}", more[name])

    def commit_while_standing(self):
        """Another configuration with the same peers: nothing that stands is made again."""
        before = self.spis("hq")
        self.add("load", load())
        used = processor_seconds(self.pids["hq"])
        self.add("commit.standing", self.commit("hq", name="hq-again"))
        self.add("commit.cpu", sum(processor_seconds(self.pids["hq"]).values()) - sum(used.values()))
        if self.spis("hq") != before or processes_of(self.lab.daemons["hq"]) != self.pids["hq"]:
            raise LabError("a commit that changes no peer has ended tunnels or processes")

    def restart(self, side):
        """All of a gateway's processes die at once, and it is started again, from the configuration that it has kept."""
        daemon = self.lab.daemons[side]
        daemon.kill()
        daemon.wait(10)
        for pid in self.pids[side]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.add("load", load())
        wait_for(lambda: not any(is_alive(pid) for pid in self.pids[side]), 10, f"the end of {side}")
        begun = time.monotonic()
        node = self.lab[side]
        self.lab.daemons[side] = node.daemon(["plaingated"], node.state / "plaingated.log")
        wait_for(lambda: node.run("plaingate show status", check=False, timeout=120).returncode == 0, 60, f"{side} to answer", pause=0.1)
        self.add(f"restart.{side}.ready", time.monotonic() - begun)
        count = self.wait_standing((side,))
        self.add(f"restart.{side}", time.monotonic() - begun)
        if count != self.peers:
            raise LabError(f"{count} of {self.peers} tunnels stand again after a restart of {side}")
        self.pids[side] = processes_of(self.lab.daemons[side])
        self.wait_standing()


def standing(results, peers, runs, restart, dpd):
    row = Standing(peers, results, dpd)
    try:
        row.stand()
        for _ in range(runs):
            row.commit_while_standing()
        for side in ("branch", "hq") if restart else ():
            row.restart(side)
    finally:
        row.down()
    units = {"count": "tunnels at once", "cpu": "CPU us each", "memory": "octets/tunnel", "load": "at each figure"}
    for name in results.values:
        part = name.removeprefix("standing.")
        if part != name:
            results.row(name, units.get(part.split(".")[0], "s"))
