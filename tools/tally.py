#!/usr/bin/python3
"""Counts test results: tally.py FILE...

Meson's testlog.json: cmocka programs count by case, other programs as one each. JUnit XML of pytest: by case.
A .fuzz file: one line "passed NAME" or "failed NAME ..." for each fuzzer. Prints the failed ones with the end of their output, then
their names alone as `failed: NAME`, and the line `N passed, N failed, N skipped`: who sees only the end of a long output still sees which.
Status 1 when anything failed or nothing passed.
"""
import json
import re
import sys
import xml.etree.ElementTree as ET

MESON_SKIP = 77  # exit status of a test program that skipped itself


def meson_results(path):
    for line in open(path, encoding="utf-8", errors="replace"):
        test = json.loads(line)
        output = test.get("stdout", "") + test.get("stderr", "")
        ran = sum(map(int, re.findall(r"\[=+\].*?(\d+) test\(s\) run\.", output)))
        passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", output)))
        failed = sum(map(int, re.findall(r"\[  FAILED  \][^\n]*?(\d+) test\(s\), listed below", output)))
        skipped = sum(map(int, re.findall(r"\[  SKIPPED \][^\n]*?(\d+) test\(s\), listed below", output)))
        good = test["result"] == "OK" or test["returncode"] == 0
        if ran == 0:
            skip = test["result"] == "SKIP" or test["returncode"] == MESON_SKIP
            passed, failed, skipped = (0, 0, 1) if skip else (1, 0, 0) if good else (0, 1, 0)
        elif not good and failed == 0:
            failed = 1
        yield test["name"], passed, failed, skipped, output


def junit_results(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f'{case.get("classname", "")}.{case.get("name")}'
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            yield name, 0, 1, 0, bad.text or bad.get("message", "")
        elif case.find("skipped") is not None:
            yield name, 0, 0, 1, ""
        else:
            yield name, 1, 0, 0, ""


def fuzz_results(path):
    for line in open(path, encoding="utf-8", errors="replace"):
        verdict, _, rest = line.strip().partition(" ")
        yield rest, int(verdict == "passed"), int(verdict == "failed"), int(verdict == "skipped"), rest


def main(paths):
    total = [0, 0, 0]
    names = []
    for path in paths:
        results = meson_results if path.endswith(".json") else junit_results if path.endswith(".xml") else fuzz_results
        for name, passed, failed, skipped, output in results(path):
            for i, n in enumerate((passed, failed, skipped)):
                total[i] += n
            if failed:
                names.append(name)
                print(f"--- failed: {name}")
                print("\n".join(output.splitlines()[-40:]))
    for name in names:
        print(f"failed: {name}")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
