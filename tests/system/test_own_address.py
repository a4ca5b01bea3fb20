"""The gateway's own address is replaced (DHCP, PPP), and its tunnel comes back from the new one, long before DPD would have noticed."""

import pytest
from nodes import link
from kit import HOST_B, calm_time, config_of, own_lab, show, wait_for

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


def established(lab, gateway):
    rows = [row for row in show(lab, gateway, "ike") if row["state"] == "established"]
    assert len(rows) == 1, f"{gateway}: {rows}"
    return rows[0]


def test_the_tunnel_comes_back_from_the_new_address(lab):
    old, new, _, router = lab.addresses
    hq = lab["hq"]
    wait_for(lambda: reaches(lab), 5, "the tunnel")
    nodad = " nodad" if ":" in new else ""
    hq.run(f"ip addr del {old} dev wan0")
    hq.run(f"ip addr add {new} dev wan0{nodad}")
    hq.run(f"ip route replace default via {router} dev wan0")
    began = calm_time()
    wait_for(lambda: reaches(lab), BACK_S, f"the tunnel from {new}: {lab.log_end('hq', 5)}")
    assert calm_time() - began < BACK_S
    address = new.partition("/")[0]
    for gateway, side in (("hq", "local"), ("branch", "remote")):
        assert address in established(lab, gateway)[side], gateway


def test_the_tunnel_takes_the_other_uplink(lab):
    """The cable is pulled: the kernel leaves the address where it was, and another default route takes over."""
    six = ":" in lab.addresses[0]
    second, far = ("2001:db8:9::2/64", "2001:db8:9::1/64") if six else ("198.51.101.2/24", "198.51.101.1/24")
    hq, internet, nodad = lab["hq"], lab["internet"], " nodad" if six else ""
    link(hq, "wan1", internet, "hq1", "off")
    hq.run(f"ip addr add {second} dev wan1{nodad}")
    internet.run(f"ip addr add {far} dev hq1{nodad}")
    lab.commit("hq", configs(lab.addresses[2])["hq"].replace("interfaces wan0;", "interfaces [ wan0 wan1 ];"), "two uplinks")
    hq.run(f"ip route add default via {far.partition('/')[0]} dev wan1 metric 5000")
    wait_for(lambda: reaches(lab), 5, "the tunnel")
    began_from = established(lab, "hq")["local"]
    internet.run("ip link set hq0 down")  # the peer's end of the pair: no carrier here
    assert began_from.rpartition(":")[0].strip("[]") in hq.run("ip addr show wan0").stdout, "the address is still there"
    wait_for(lambda: reaches(lab), BACK_S, f"the tunnel by the other uplink: {lab.log_end('hq', 5)}")
    assert second.partition("/")[0] in established(lab, "hq")["local"]
