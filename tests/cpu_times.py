"""CPU seconds of the tests by file, and the most expensive tests: pytest -p tests.cpu_times."""

import resource
from collections import Counter

import pytest


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
    files, tests = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "cpu"):
                files[report.nodeid.partition("::")[0]] += report.cpu
                tests[f"{report.when:8} {report.nodeid}"] += report.cpu
    terminalreporter.section("CPU seconds")
    for name, seconds in [*files.most_common(), *tests.most_common(40)]:
        terminalreporter.write_line(f"{seconds:8.2f} {name}")
    terminalreporter.write_line(f"{files.total():8.2f} in all, {cpu_seconds():.2f} of this process")
