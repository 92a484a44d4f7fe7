"""CPU seconds of the tests by file, and the most expensive tests: pytest -p tests.cpu_times.

With ``--slow-list tests/slow.txt --slow-seconds 5`` the tests that take longer are listed, for
``make test`` to leave out. A second run, with ``-m "not slow"``, adds those which then pay for what
the slow ones had made.
"""

import resource
from collections import Counter
from pathlib import Path

import pytest

HEAD = """\
# What "make test" leaves out and "make test-all" runs: tests of more than {seconds:g} CPU seconds.
# Written by pytest -p tests.cpu_times --slow-list tests/slow.txt --slow-seconds {seconds:g}
"""


def pytest_addoption(parser):
    parser.addoption("--slow-list", type=Path, help="file to write")
    parser.addoption("--slow-seconds", type=float, default=5.0)


def cpu_seconds():
    """Of this process and the processes it has waited for, all cores together."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    now = cpu_seconds()
    report.cpu = now - getattr(item.config, "cpu_before", now)
    item.config.cpu_before = now
    return report


def pytest_collection_finish(session):
    session.config.cpu_before = cpu_seconds()


def pytest_terminal_summary(terminalreporter):
    files, tests, calls = Counter(), Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "cpu"):
                files[report.nodeid.partition("::")[0]] += report.cpu
                tests[f"{report.when:8} {report.nodeid}"] += report.cpu
                # A setup may be that of other tests too, which then pay for it.
                calls[report.nodeid] += report.cpu if report.when == "call" else 0
    terminalreporter.section("CPU seconds")
    for name, seconds in [*files.most_common(), *tests.most_common(40)]:
        terminalreporter.write_line(f"{seconds:8.2f} {name}")
    terminalreporter.write_line(f"{files.total():8.2f} in all, {cpu_seconds():.2f} of this process")
    out = terminalreporter.config.getoption("--slow-list")
    if out is not None:
        seconds = terminalreporter.config.getoption("--slow-seconds")
        slow = {name for name, took in calls.items() if took > seconds}
        if terminalreporter.config.getoption("markexpr") == "not slow":
            # What they had made for others too is paid by others now: these come in addition.
            slow |= {line for line in out.read_text().splitlines() if not line.startswith("#")}
        out.write_text(HEAD.format(seconds=seconds) + "".join(f"{name}\n" for name in sorted(slow)))
        rest = files.total() - sum(calls[name] for name in slow)
        terminalreporter.write_line(f"{len(slow)} slow tests; without them {rest:.0f} CPU seconds")
