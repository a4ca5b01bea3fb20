"""Which screens an ordinary day meets: the public captures through `plaingate replay` with all screens on, at their defaults and SRX's limits. Each hit is
one of the table below, with its reason; nothing that is not in it is met. The captures are not part of the project: skipped if they are not beside it."""
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
CAPTURES = ROOT.parent / "shared/captures/zeek"
sys.path.insert(0, str(ROOT / "lab"))
from screens import all_screens  # pylint: disable=wrong-import-position
CONFIG = """system {{ host-name gate; }}
screens {{ screen all {{
{screens}
}} }}
zones {{ zone untrust {{ interfaces wan0; screen all; }} }}
policy {{ from untrust to untrust {{ rule all {{ match {{ source any; destination any; application any; }} then {{ permit; }} }} }} }}
"""
ROUTES = "default via 203.0.113.1 dev wan0\n203.0.113.0/24 dev wan0 proto kernel scope link src 203.0.113.2\ndefault via fe80::1 dev wan0\n"
DAY = {  # screen: the captures that meet it, and why
    # A host that gives up its call before it is answered: macOS and iOS send the FIN without an ACK. Nothing is lost by dropping it.
    "tcp-fin-no-ack": ["ipv4/fragmented-4", "tcp/fin_retransmission", "tcp/syn-then-stuff-then-rst"],
    # 127.0.0.1 to itself, or one host's both ends, captured on that host: no wire carries it.
    "tcp-land": ["chksums/ip4-", "tcp/option-sack", "tunnels/geneve-47101", "tunnels/geneve-vxlan-dns-truncated", "tunnels/socks"],
    # Reports of multicast listeners (MLD), on every LAN: they go to the gateway's kernel and are never forwarded.
    "ipv6-router-alert": ["icmp/icmp6-mld-query", "icmp/icmp6-mldv1", "icmp/icmp6-nd-options"],
    # Tunnels that are there: who has such hosts must not set their screens.
    "tunnel-gre-4in4": ["tunnels/gre-sample", "tunnels/tunnel-direct-bypass"],
    "tunnel-ipip-4in4": ["tunnels/4in4"],
    "tunnel-ipip-4in6": ["tunnels/4in6"],
    "tunnel-ipip-6in4": ["tunnels/6in4", "tunnels/ping6-in-ipv4"],
    "tunnel-ipip-6in6": ["tunnels/6in6"],
    "tunnel-nested": ["tunnels/6in6in6", "tunnels/gre-pptp", "tunnels/gre-within-gre"],
    "tunnel-teredo": ["tunnels/Teredo", "tunnels/teredo_bubble_with_payload"],
    # Packets that are what the screen is about, made on purpose.
    "ip-bad-option": ["trunc/ipv4-"],
    "ip-source-route": ["chksums/ip6-route0-"],
    "ipv6-home-address": ["chksums/ip6-hoa-"],
    "ipv6-mobility": ["chksums/mip6-"],
    "ipv6-malformed-header": ["trunc/ip6-ext-trunc"],
    "tcp-no-flag": ["ipv4/fragmented-4"],
    "tcp-syn-frag": ["ipv4/fragmented-syn"],
}
# Fragments are ordinary: GTP, and any datagram that is longer than a link. So no screen of fragments is one to begin with.
BLOCKED = {**DAY, "ip-block-frag": ["ipv4/fragmented-", "tunnels/gtp/"]}
LET_THROUGH = {**DAY, "ip-tear-drop": ["ipv4/fragmented-1", "ipv4/fragmented-4"]}  # attacks, by overlapping fragments


TAKE_FRAGMENTS = " fragment;", " block-frag;", " fragment-header;"


@pytest.mark.parametrize("without,table", [((), BLOCKED), (TAKE_FRAGMENTS, LET_THROUGH)], ids=["fragments blocked", "let through"])
def test_hits_are_explained(tmp_path, without, table):
    screens = all_screens()
    for word in without:
        assert word in screens
        screens = screens.replace(word, "", 1)
    files = sorted(CAPTURES.rglob("*.pcap*"))
    if not files:
        pytest.skip(f"no captures in {CAPTURES}")
    tmp_path.chmod(0o755)
    (tmp_path / "gate.conf").write_text(CONFIG.format(screens=screens))
    (tmp_path / "routes").write_text(ROUTES)
    done = subprocess.run([BUILD / "src/cli/plaingate", "replay", "--config", "gate.conf", "--routes", "routes", "--json", *files],
                          capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    met = Counter((row["drop"].removeprefix("screen-"), str(Path(row["capture"]).relative_to(CAPTURES)))
                  for row in rows if row.get("drop", "").startswith("screen-"))
    assert len(rows) > 2000
    assert {screen for screen, _ in met} == set(table)
    assert not [hit for hit in met if not hit[1].startswith(tuple(table[hit[0]]))]
