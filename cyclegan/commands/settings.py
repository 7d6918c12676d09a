"""`cyclegan settings`."""

import sys
from collections.abc import Sequence

from cyclegan.errors import UsageError
from cyclegan.flags import Glance, defaults_of, parse_run
from cyclegan.settings import presets
from cyclegan.text import read_text

HELP = "print the resolved settings as a TOML preset; --list: the presets there are"


def run(args: Sequence[str]) -> int:
    """Print them, or what presets there are; return the exit code. Raises UserError."""
    glance, rest = Glance(switches=["list"]).parse_known_args(args)
    if glance.list:
        if rest:
            raise UsageError(f"--list stands alone: leave {rest[0]} out")
        sys.stdout.write(_listed())
        return 0
    command = parse_run(args, defaults_of(args), prog="cyclegan settings", about=HELP)
    command.settings.check()
    import tomli_w

    sys.stdout.write(tomli_w.dumps(command.settings.table()))
    return 0


def _listed() -> str:
    """A line for each preset: its name, and the first line of its file, which says what it is."""
    width = max(map(len, presets()))
    firsts = {name: read_text(path).splitlines()[0] for name, path in presets().items()}
    return "".join(f"{name:<{width}}  {first.lstrip('# ')}\n" for name, first in firsts.items())
