"""The gateway's own address is replaced (DHCP, PPP), and its tunnel comes back from the new one, long before DPD would have missed the peer."""
import time

import pytest
from kit import HOST_B, config_of, own_lab, show, wait_for

ADDRESSES = {  # old, new, the peer's, the router's
    "IPv4": ("198.51.100.2/24", "198.51.100.77/24", "203.0.113.2", "198.51.100.1"),
    "IPv6": ("2001:db8:1::2/64", "2001:db8:1::77/64", "2001:db8:2::2", "2001:db8:1::1"),
}
BACK_S = 10


def configs(peer):
    return {"hq": config_of("hq", ("        local-address 198.51.100.2;\n", ""), ("remote-address 203.0.113.2", f"remote-address {peer}"), ("dpd 10", "dpd 60")),
            "branch": config_of("branch", ("local-address 203.0.113.2", f"local-address {peer}"), ("remote-address 198.51.100.2", "remote-address any"),
                                ("dpd 10", "dpd 60"))}


@pytest.fixture(scope="module", params=ADDRESSES)
def lab(request):
    two_sites = own_lab("pgz")
    two_sites.up("off", configs=configs(ADDRESSES[request.param][2]))
    two_sites.addresses = ADDRESSES[request.param]
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def reaches(lab):
    return lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False).returncode == 0


def test_the_tunnel_comes_back_from_the_new_address(lab):
    old, new, _, router = lab.addresses
    hq = lab["hq"]
    wait_for(lambda: reaches(lab), 5, "the tunnel")
    nodad = " nodad" if ":" in new else ""
    hq.run(f"ip addr del {old} dev wan0")
    hq.run(f"ip addr add {new} dev wan0{nodad}")
    hq.run(f"ip route replace default via {router} dev wan0")
    began = time.monotonic()
    wait_for(lambda: reaches(lab), BACK_S, f"the tunnel from {new}: {lab.log_end('hq', 5)}")
    assert time.monotonic() - began < BACK_S
    address = new.partition("/")[0]
    for gateway, side in (("hq", "local"), ("branch", "remote")):
        rows = [row for row in show(lab, gateway, "ike") if row["state"] == "established"]
        assert len(rows) == 1 and address in rows[0][side], f"{gateway}: {rows}"
