"""Measurements for Prometheus: served in the zone that opens the port and nowhere else, the same as `show`, over rekeys and deaths; read by Prometheus itself and checked by its promtool where Debian's package
is installed (it has some 100 MB, so the tests do not ask for it)."""
import json
import os
import re
import shutil
import signal

import pytest
from kit import HOST_B, config_of, own_lab, processes, show, verify_ledger, wait_for

PORT, AT = 9105, "http://10.1.0.1:9105/metrics"
METRICS = ("    host-name hq;\n", "    host-name hq;\n    metrics {\n        listen 10.1.0.1;\n    }\n")
OPEN = ("host-inbound [ ping ssh ];", f"host-inbound [ ping ssh tcp/{PORT} ];")
PROMETHEUS = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: plaingate
    static_configs: [ {{ targets: ["10.1.0.1:{port}"] }} ]
"""


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgm")
    two_sites.up("off", configs={"hq": config_of("hq", METRICS, OPEN)})
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def page(lab, node="host-a"):
    return lab[node].run(["curl", "-sS", "--fail", "-m", "8", AT]).stdout


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in found, f"{name} is there twice"
            found[name] = float(value)
    return found


def fresh(lab):
    """A page that was made after this call: one serves for a second."""
    lab["host-a"].run("sleep 1.1")
    return samples(page(lab))


def test_the_page_says_what_show_says(lab):
    lab["host-a"].run(f"ping -c 3 -i 0.2 {HOST_B}")
    found = fresh(lab)
    tunnel = show(lab, "hq", "tunnels")[0]
    labels = '{tunnel="%s",peer="%s"}' % (tunnel["tunnel"], tunnel["peer"])
    assert found["plaingate_tunnel_up" + labels] == 1
    assert 0 < found["plaingate_tunnel_receive_packets_total" + labels] <= tunnel["packets_in"]
    assert found['plaingate_ike_peer_up{peer="%s"}' % tunnel["peer"]] == 1
    for row in show(lab, "hq", "status"):
        if row["process"] != "offload":
            assert found['plaingate_process_up{process="%s"}' % row["process"]] == 1
            assert found['plaingate_process_resident_memory_bytes{process="%s"}' % row["process"]] > 100000
    for table in ("status", "policy", "ledger", "keys", "workers"):
        assert found['plaingate_table_up{table="%s"}' % table] == 1
    rules = [name for name in found if name.startswith("plaingate_rule_sessions_total{")]
    assert len(rules) == len(show(lab, "hq", "policy")) == found["plaingate_policy_rules"]
    assert found['plaingate_worker_cpu_seconds_total{worker="0"}'] > 0 and found['plaingate_worker_longest_round_seconds{worker="0"}'] > 0
    assert found['plaingate_interface_up{interface="lan0",zone="trust"}'] == 1 and found["plaingate_samples_left_out"] == 0


def test_links_and_ends_and_pools(lab):
    """What the kernel counts of a link, as `ip` tells it; why sessions ended; the size of what source NAT has to give."""
    lab["host-a"].run(f"ping -c 1 -W 2 {HOST_B}")
    lab["hq"].run("plaingate clear sessions")

    def kernel():
        stats = json.loads(lab["hq"].run("ip -s -j link show dev lan0").stdout)[0]["stats64"]
        return {way: [stats[way][what] for what in ("packets", "errors", "dropped")] for way in ("rx", "tx")}
    before, (link,), after = kernel(), [row for row in show(lab, "hq", "links") if row["interface"] == "lan0"], kernel()
    for way in ("rx", "tx"):
        for what, low, high in zip(("packets", "errors", "dropped"), before[way], after[way]):
            assert low <= link[f"{way}_{what}"] <= high
    found, label = fresh(lab), '{interface="lan0",zone="trust"}'
    assert {f"plaingate_link_{what}_total{label}" for what in ("receive_errors", "receive_dropped", "receive_missed", "transmit_errors", "transmit_dropped", "carrier_changes")} <= set(found)
    ended = {name: value for name, value in found.items() if name.startswith("plaingate_sessions_ended_by_reason_total{")}
    assert ended['plaingate_sessions_ended_by_reason_total{reason="cleared"}'] >= 1 and sum(ended.values()) == found["plaingate_sessions_ended_total"]
    nat = next(row for row in show(lab, "hq", "nat") if row["type"] == "source" and "ports_each" in row)
    assert found['plaingate_nat_rule_ports_per_address{type="source",from="%s",to="%s",rule="%s"}' % (nat["from"], nat["to"], nat["rule"])] == nat["ports_each"] > 1000


def test_counters_go_on_over_rekeys(lab):
    def counters():
        return {name: value for name, value in fresh(lab).items() if name.startswith("plaingate_tunnel_") and "_total{" in name}
    before = counters()
    lab["hq"].run("plaingate ike rekey-child branch")
    wait_for(lambda: show(lab, "hq", "tunnels")[0]["rekeys"] > 0, 5, "a rekey")
    after = counters()
    assert before and all(after[name] >= before[name] for name in before), (before, after)
    assert any(after[name] > before[name] for name in before if "rekeys" in name)


def test_others_get_nothing(lab):
    """The zone of the Internet does not open the port; nor does a wrong path or method get the page."""
    assert lab["web"].run(["curl", "-sS", "-m", "2", f"http://198.51.100.2:{PORT}/metrics"], check=False).returncode != 0
    assert lab["host-a"].run(["curl", "-sS", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "http://10.1.0.1:9105/"]).stdout == "404"
    assert lab["host-a"].run(["curl", "-sS", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", AT]).stdout == "405"


def test_export_dies(lab):
    os.kill(processes(lab, "hq")["export"][0], signal.SIGKILL)
    wait_for(lambda: lab["host-a"].run(["curl", "-sS", "--fail", "-m", "8", AT], check=False).returncode == 0, 10, "another one serves")
    assert fresh(lab)['plaingate_process_restarts_total{process="export"}'] == 1


@pytest.mark.skipif(not shutil.which("promtool"), reason="Debian's package prometheus is not installed")
def test_promtool_finds_no_fault(lab):
    file = lab["host-a"].state / "page"
    file.write_text(page(lab))
    checked = lab["host-a"].run(["bash", "-c", f"promtool check metrics <{file}"], check=False)
    assert checked.returncode == 0 and not checked.stderr.strip(), checked.stdout + checked.stderr


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's package prometheus is not installed")
def test_prometheus_reads_it(lab):
    at = lab["host-a"].state / "prometheus"
    at.mkdir()
    (at / "prometheus.yml").write_text(PROMETHEUS.format(port=PORT))
    server = lab["host-a"].popen(["prometheus", f"--config.file={at}/prometheus.yml", f"--storage.tsdb.path={at}/data", "--web.listen-address=127.0.0.1:9090"])

    def asked(query):
        answer = lab["host-a"].run(["curl", "-sS", "-m", "5", "-G", "--data-urlencode", f"query={query}", "http://127.0.0.1:9090/api/v1/query"], check=False)
        return json.loads(answer.stdout)["data"]["result"] if answer.returncode == 0 and answer.stdout.startswith("{") else []
    try:
        wait_for(lambda: [r["value"][1] for r in asked('up{job="plaingate"}')] == ["1"], 30, "Prometheus has read a page")
        assert [r["metric"]["tunnel"] for r in asked("plaingate_tunnel_up == 1")] == ["branch"]
        health = json.loads(lab["host-a"].run(["curl", "-sS", "http://127.0.0.1:9090/api/v1/targets"]).stdout)["data"]["activeTargets"][0]
        assert health["health"] == "up" and not health["lastError"], health
    finally:
        server.terminate()
        server.wait(10)


def test_off_is_off(lab):
    lab.commit("hq", config_of("hq", OPEN), "nothing is served")
    refused = lab["host-a"].run(["curl", "-sS", "-m", "2", AT], check=False)
    assert refused.returncode == 7 and re.search("refused|connect", refused.stderr), refused.stderr
