"""NPTv6 (RFC 6296): the LAN's unique local prefix is another one of the same length outside, in both directions, by the checksums that the
hosts have computed themselves. Which address a host has outside is computed here a second time."""
import ipaddress

import pytest
from kit import BY_WORKERS, HOST_A6, ask_server, config_of, counter, is_refused, lab_by_workers, serving, show

HQ_WAN6, WEB6 = "2001:db8:1::2", "2001:db8:80::80"
INSIDE, OUTSIDE = ipaddress.ip_network("fd00:1::/64"), ipaddress.ip_network("2001:db8:77:1::/64")
RULE = "rule served { match { source any; destination hq-lan; application [ http ping ]; } then { permit; } }"
POLICY = ("policy {\n", f"policy {{ from untrust to trust {{ {RULE} }} from trust to trust {{ {RULE} }}\n")
NAT = ("nat {\n", f"nat {{ static {{ rule site {{ from untrust; match {{ destination {OUTSIDE}; }} then {{ nptv6 {INSIDE}; }} }} }}\n")


def words(address):
    return [int(part, 16) for part in ipaddress.ip_address(address).exploded.split(":")]


def published(address):
    """By section 3.5: the first word of the identifier that is not ffff takes the difference."""
    host = words(address)
    at = next(i for i in range(4, 8) if host[i] != 0xffff)
    host[at] = (host[at] + sum(words(INSIDE.network_address)) - sum(words(OUTSIDE.network_address))) % 0xffff
    return str(ipaddress.ip_address(":".join(f"{word:x}" for word in words(OUTSIDE.network_address)[:4] + host[4:])))


PUBLISHED = published(HOST_A6)


@pytest.fixture(**BY_WORKERS)
def lab(request):
    with lab_by_workers("six", request.param) as two_sites:
        two_sites.commit("hq", config_of("hq", POLICY, NAT), "nptv6")
        two_sites["internet"].run(f"ip -6 route add {OUTSIDE} via {HQ_WAN6}")
        yield two_sites


def seen(lab, node, address, port, bind=None):
    """Whom the server there sees."""
    data = ask_server(lab, node, address, port, bind=bind)
    assert len(data) > 200000
    return data.split()[0].decode()


def test_out(lab):
    with serving(lab, "web", 5206):
        for _ in range(8):  # other ports, other workers
            assert seen(lab, "host-a", WEB6, 5206) == PUBLISHED
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {WEB6}")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 {WEB6}")
    assert any(row.get("nat_src", "").startswith(f"[{PUBLISHED}]") or row.get("nat_src", "").startswith(PUBLISHED) for row in show(lab, "hq", "sessions"))
    row, = [row for row in show(lab, "hq", "nat") if row["rule"] == "site"]
    assert (row["type"], row["action"], row["published"], row["pool"]) == ("static", "nptv6", str(OUTSIDE), str(INSIDE))
    assert int(row["hits"]) > 8


def test_in(lab):
    with serving(lab, "host-a", 80):
        for _ in range(8):
            assert seen(lab, "web", PUBLISHED, 80) == WEB6
    lab["web"].run(f"ping -c 2 -i 0.2 -W 2 {PUBLISHED}")
    lab["web"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 {PUBLISHED}")


def test_errors_find_their_host(lab):
    assert is_refused(lab, "host-a", WEB6)


def test_an_identifier_of_all_ones_has_no_mapping(lab):
    ones = "fd00:1::ffff:ffff:ffff:ffff"
    lab["host-a"].run(f"ip addr add {ones}/64 dev eth0 nodad preferred_lft 0")
    before = counter(lab, "hq", "nat-no-mapping")
    done = lab["host-a"].run(f"ping -c 1 -W 2 -I {ones} {WEB6}", check=False)
    assert done.returncode != 0 and "unreachable" in done.stdout, done.stdout
    done = lab["web"].run(f"ping -c 1 -W 2 2001:db8:77:1:ffff:ffff:ffff:ffff", check=False)
    assert done.returncode != 0 and "unreachable" in done.stdout, done.stdout
    assert counter(lab, "hq", "nat-no-mapping") == before + 2


def test_hosts_of_the_site_see_published_addresses(lab):
    second = "fd00:1::3"
    lab["host-a"].run(f"ip addr add {second}/64 dev eth0 nodad preferred_lft 0")
    with serving(lab, "host-a", 80):
        assert seen(lab, "host-a", PUBLISHED, 80, bind=(second, 0)) == published(second)
