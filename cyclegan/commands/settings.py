"""`cyclegan settings`."""

import sys
from collections.abc import Sequence

from cyclegan.flags import parse_run, preset_of
from cyclegan.settings import Settings, load_preset

HELP = "print the resolved settings as a TOML preset"


def run(args: Sequence[str]) -> int:
    """Print them; return the exit code. Raises UserError."""
    preset = preset_of(args)
    defaults = Settings() if preset is None else load_preset(preset)
    about = HELP
    command = parse_run(args, defaults, prog="cyclegan settings", about=about)
    command.settings.check()
    import tomli_w

    sys.stdout.write(tomli_w.dumps(command.settings.table()))
    return 0
