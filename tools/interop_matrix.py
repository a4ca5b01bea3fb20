#!/usr/bin/python3
"""Prints what was seen working with which other implementation: interop_matrix.py FILE.xml...

JUnit XML of pytest, with the properties that tests/system/matrix.py records. A cell counts the cases that passed of those that ran; `-` says that
there is no such test, `skipped` that none ran. Prints nothing if there are no such tests.
"""
import sys
import xml.etree.ElementTree as ET


def cases(paths):
    for path in paths:
        for case in ET.parse(path).getroot().iter("testcase"):
            said = {p.get("name"): p.get("value") for p in case.iter("property")}
            if "interop-row" in said:
                bad = case.find("failure") is not None or case.find("error") is not None
                outcome = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
                yield said["interop-row"], said["interop-peer"], said.get("interop-version", ""), outcome


def cell(outcomes):
    if not outcomes:
        return "-"
    ran = len(outcomes) - outcomes.count("skipped")
    if not ran:
        return "skipped"
    return f"{outcomes.count('passed')} of {ran}" + (" FAILED" if "failed" in outcomes else "")


def table(found):
    """Rows in the order of the first column that has them, so that like stands by like."""
    peers, rows, versions, outcomes = {}, {}, {}, {}
    for row, peer, version, outcome in found:
        peers[peer] = rows[row] = None
        versions[peer] = version or versions.get(peer, "")
        outcomes.setdefault((row, peer), []).append(outcome)
    if not rows:
        return []
    lines = [["", *peers], ["", *(versions[peer] for peer in peers)]]
    return lines + [[row, *(cell(outcomes.get((row, peer), [])) for peer in peers)] for row in rows]


def main(paths):
    lines = table(sorted(cases(paths), key=lambda c: (c[1], c[0])))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))] if lines else []
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
