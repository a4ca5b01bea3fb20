"""All screens there are, as the text of `screen NAME { ... }`: for tests and for benchmarks. tests/system/test_screens.py fails where one is missing."""
HEADERS = {  # what the headers of one packet say
    "icmp": "fragment; ping-death; large; icmpv6-malformed;",
    "ip": """
        bad-option; record-route-option; timestamp-option; security-option; stream-option; loose-source-route-option; strict-source-route-option;
        source-route-option; block-frag; tear-drop; spoofing strict; unknown-protocol; ipv6-malformed-header; ipv6-extension-header-limit 3;
        ipv6-extension-header { hop-by-hop-header; routing-header; fragment-header; destination-header; ah-header; esp-header; mobility-header; hip-header;
            shim6-header; no-next-header; }
        ipv6-option { jumbo-payload; router-alert; quick-start; calipso; smf-dpd; tunnel-encapsulation-limit; home-address; ilnp-nonce;
            line-identification; }
        tunnel { gre-4in4; gre-4in6; gre-6in4; gre-6in6; ipip-4in4; ipip-4in6; ipip-6in4; ipip-6in6; ipip-6to4; isatap; ds-lite; teredo; nested;
            bad-inner-header; }""",
    "tcp": "land; winnuke; syn-frag; tcp-no-flag; syn-fin; fin-no-ack;",
    "udp": "",
    "limit-session": "",
}
COUNTS = {  # what is counted, at its default; limits of sessions as SRX begins with
    "icmp": "flood { } ip-sweep { }",
    "ip": "",
    "tcp": "port-scan { } tcp-sweep { } syn-flood { } syn-ack-ack-proxy { }",
    "udp": "flood { } port-scan { } udp-sweep { }",
    "limit-session": "source-ip-based 128; destination-ip-based 128; source-session-rate 128;",
}


def all_screens(counts=None):
    """counts: other statements in the place of COUNTS."""
    return "\n".join(f"    {part} {{ {text} {(counts or COUNTS)[part]} }}" for part, text in HEADERS.items())
