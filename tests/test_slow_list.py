"""The list of slow tests names tests that exist."""

import re

from tests.conftest import SLOW


def test_slow_tests_exist():
    names = [line for line in SLOW.read_text().splitlines() if not line.startswith("#")]
    assert names == sorted(set(names))
    for name in names:
        file, _, test = name.partition("::")
        function = re.escape(test.partition("[")[0])
        source = (SLOW.parent.parent / file).read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), name
