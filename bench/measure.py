"""The measurements of the benchmarks, on a row of nodes host-a, hq, branch, host-b: one number at a time, every run bounded.

Runs of the candidates alternate, and each figure is related to the reference of the same runs: on a shared machine the ratio is
more stable than the figure. CPU seconds are those of the whole machine (/proc/stat), so that no work is omitted; with --claim, where others
work too, those of everything that the benchmark started and of the kernel's threads for packets (ksoftirqd).
"""
import contextlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
from nodes import ROOT, LabError, run, wait_for
from two_sites import TwoSites

TICKS = os.sysconf("SC_CLK_TCK")
TESTS = (("tcp1", "Gbit/s", "CPU s/GB"), ("tcp4", "Gbit/s", "CPU s/GB"), ("udp64", "kpps", "CPU us/packet"))
PREFIX = os.environ.get("PLAINGATE_LAB_PREFIX", "pgb-")  # of the names of all rows; another one runs beside
SHARES, USAGE = (Path("/sys/fs/cgroup", controller, f"plaingate-{PREFIX}bench") for controller in ("cpu", "cpuacct"))
UDP_PORT = 9
UDP_PAYLOAD = 18  # a frame of 64 octets including its check sequence
HEADERS = 28  # IPv4 and UDP, as netfilter counts them


class Row(TwoSites):
    """Both sites with one cable between the gateways: as little as possible besides what is measured."""
    links = (
        ("host-a", "eth0", ("10.1.0.2/24",), "hq", "lan0", ("10.1.0.1/24",)),
        ("hq", "wan0", ("198.51.100.2/24",), "branch", "wan0", ("198.51.100.3/24",)),
        ("host-b", "eth0", ("10.2.0.2/24",), "branch", "lan0", ("10.2.0.1/24",)),
    )
    default_routes = (("host-a", "10.1.0.1"), ("host-b", "10.2.0.1"))
    kernel_routes = (("hq", "10.2.0.0/24", "198.51.100.3"), ("branch", "10.1.0.0/24", "198.51.100.2"))
    web_servers = ()
    router = None

    def up(self, *args, **kwargs):
        super().up(*args, **kwargs)
        try:
            # The receiver counts in netfilter and drops: what the host does with a datagram is not measured.
            self["host-b"].run(["nft", "-f", self._sink()])
        except BaseException:
            self.down(keep_state=True)
            raise

    def _sink(self):
        file = self.state / "sink.nft"
        file.write_text(f"table ip sink {{\n\tchain before {{\n\t\ttype filter hook prerouting priority -300;\n"
                        f"\t\tudp dport {UDP_PORT} counter drop\n\t}}\n}}\n", encoding="utf-8")
        return str(file)

    def datagrams(self):
        """Number of datagrams that reached host-b. One packet may be a train of several: headers once, then all payloads."""
        for item in json.loads(self["host-b"].run("nft -j list table ip sink").stdout)["nftables"]:
            for part in item.get("rule", {}).get("expr", ()):
                if "counter" in part:
                    return (part["counter"]["bytes"] - HEADERS * part["counter"]["packets"]) // UDP_PAYLOAD
        raise LabError("the counter of host-b is gone")


@contextlib.contextmanager
def claimed(wanted):
    """For a shared machine: the benchmark and everything it starts get by far the largest share of the processors."""
    if not wanted:
        yield
        return
    if not SHARES.parent.joinpath("cpu.shares").exists():
        raise LabError("--claim needs the processors' control group, of version 1, at /sys/fs/cgroup/cpu")
    with contextlib.ExitStack() as groups:
        for group in (SHARES, USAGE):
            if group.parent.joinpath("cgroup.procs").exists():
                join_group(groups, group)
        (SHARES / "cpu.shares").write_text("262144", encoding="ascii")
        yield


def join_group(groups, group):
    """This process, and all that it starts, until `groups` ends."""
    controller = group.parent.name
    before = next(line.split(":", 2)[2].strip() for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
                  if controller in line.split(":")[1].split(","))
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def leave():
        (group.parent / before.strip("/") / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        with contextlib.suppress(OSError):
            group.rmdir()

    groups.callback(leave)


def softirq_threads():
    """The CPU seconds of ksoftirqd, which works for others too, if they have packets."""
    pids = subprocess.run(["pgrep", "-x", "ksoftirqd/[0-9]+"], capture_output=True, text=True, check=False).stdout.split()
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) for pid in pids) / 1e9


def busy_seconds():
    """CPU seconds: of the benchmark if it has claimed the processors and is accounted for, else of the machine."""
    usage = USAGE / "cpuacct.usage"
    if usage.exists():
        return int(usage.read_text(encoding="ascii")) / 1e9 + softirq_threads()
    return machine_busy_seconds()


def machine_busy_seconds():
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def tcp(lab, seconds, address="10.2.0.2", streams=1):
    """{Gbit/s, CPU seconds per GB} of TCP from host-a to host-b."""
    server = lab["host-b"].popen(["iperf3", "-s", "-1", "-J", "--forceflush"], stdout=subprocess.PIPE, text=True)
    try:
        listening = "ss -Hltn sport = :5201"
        wait_for(lambda: lab["host-b"].run(listening).stdout.strip(), 5, "iperf3 to listen")
        busy = busy_seconds()
        done = lab["host-a"].run(["iperf3", "-c", address, "-t", str(seconds), "-P", str(streams), "-J", "--connect-timeout", "3000"],
                                 check=False, timeout=seconds + 15)
        busy = busy_seconds() - busy
    finally:
        server.terminate()
        server.communicate(timeout=5)
    result = json.loads(done.stdout or "{}")
    received = result.get("end", {}).get("sum_received")
    if not received or not received["bytes"]:
        raise LabError(f"iperf3 transferred nothing: {result.get('error') or done.stderr.strip()}")
    return {"value": received["bits_per_second"] / 1e9, "cpu": busy / (received["bytes"] / 1e9)}


def udp(lab, seconds, udpgen, address="10.2.0.2", port=UDP_PORT, payload=UDP_PAYLOAD, flows=1):
    """{thousand datagrams a second that arrived, CPU microseconds for each}: of 64-byte frames, or of the sizes that udpgen is told."""
    before, busy = lab.datagrams(), busy_seconds()
    sent = json.loads(lab["host-a"].run([udpgen, address, port, payload, seconds, flows], timeout=seconds + 10).stdout)
    busy = busy_seconds() - busy
    wait_for_quiet(lab)
    arrived = lab.datagrams() - before
    if arrived <= 0:
        raise LabError(f"none of {sent['sent']} datagrams arrived")
    return {"value": arrived / sent["seconds"] / 1e3, "cpu": busy / arrived * 1e6, "sent": sent["sent"], "answered": sent["answered"],
            "lost": max(0, 1 - arrived / sent["sent"])}


def wait_for_quiet(lab):
    """Waits until nothing arrives any more; then the queues are empty."""
    last = [-1]

    def quiet():
        now, before = lab.datagrams(), last[0]
        last[0] = now
        return now == before

    wait_for(quiet, 5, "the queues to empty", pause=0.1)


def udpgen():
    return generator("udpgen")


def generator(name):
    """A load generator, built if it is missing or older than its source."""
    source, program = HERE / f"{name}.c", ROOT / "build" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        run(["cc", "-O2", "-Wall", "-o", program, source])
    return str(program)


class Results:
    """Values by name, and how they are printed."""

    def __init__(self, as_json):
        self.values, self.as_json = {}, as_json

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)
        if not self.as_json:
            print(f"  {name}: {value:.3g}", file=sys.stderr, flush=True)

    def median(self, name):
        return statistics.median(self.values[name]) if self.values.get(name) else None

    def ratio(self, name, reference):
        """The median of the ratios of each run, because the two measurements of a run are close in time."""
        ours, theirs = self.values.get(name, []), self.values.get(reference, [])
        return statistics.median(a / b for a, b in zip(ours, theirs)) if ours and theirs else None

    def row(self, name, unit, reference=None, also=None, **more):
        """also: a second reference."""
        value, base, second = self.median(name), self.ratio(name, reference), self.ratio(name, also)
        if value is None:
            return
        row = {"name": name, "value": round(value, 4), "unit": unit, "reference": reference,
               "ratio": round(base, 4) if base else None, "runs": len(self.values[name]),
               "values": [round(v, 4) for v in self.values[name]], **more}
        if second:
            row |= {"also": also, "also_ratio": round(second, 4)}
        if self.as_json:
            print(json.dumps(row), flush=True)
        else:
            ratio = "".join(f"{part:8.3f} of {of}" for part, of in ((base, reference), (second, also)) if part)
            print(f"{name:40s} {value:10.3f} {unit:16s}{ratio}", flush=True)


def measure(results, rows, options, suffix, generator):
    """rows: (name, lab, a check afterwards that the lab's gateways carried the traffic, or None)."""
    for _ in range(options.runs):
        for name, lab, gateways in rows:
            for test, got in (("tcp1", tcp(lab, options.seconds)), ("tcp4", tcp(lab, options.seconds, streams=4)),
                              ("udp64", udp(lab, options.seconds, generator))):
                results.add(f"{name}.{test}{suffix}", got["value"])
                results.add(f"{name}.{test}.cpu{suffix}", got["cpu"])
            if gateways:
                gateways.assert_carried()


def report(results, rows, offloads, suffix, reference="kernel.forward"):
    for test, unit, cpu_unit in TESTS:
        for name, *_ in rows:
            for part, its_unit in (("", unit), (".cpu", cpu_unit)):
                beside = None if name == reference else f"{reference}.{test}{part}{suffix}"
                results.row(f"{name}.{test}{part}{suffix}", its_unit, beside, offloads=offloads)
