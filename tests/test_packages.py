"""Packages that only some commands need."""

import pytest

from cyclegan.errors import UserError, require_extra


def test_a_missing_package_names_the_way_out() -> None:
    require_extra("--format x", "onnx", "json", "pathlib")
    line = r"^--format x: needs nothing_such \(.*pip install -e .*\[onnx\]'?\)$"
    with pytest.raises(UserError, match=line):
        require_extra("--format x", "onnx", "json", "nothing_such")
