"""The server as the child of a training: `python -m cyclegan.dashboard.child`, see beside.py."""

import os
import socket
import sys
from pathlib import Path

from cyclegan.dashboard import DashboardSettings
from cyclegan.dashboard.login import read_login
from cyclegan.dashboard.server import Service, serve


def main(number: str, parent: str, checkpoints_dir: str, host: str, env: str) -> None:
    """Serve on the socket with that file number for as long as the process `parent` lives."""
    with socket.socket(fileno=int(number)) as listening:
        serve(
            Service(
                DashboardSettings(checkpoints_dir=Path(checkpoints_dir), host=host),
                listening,
                login=read_login(host),
                env=env,
                is_wanted=lambda: os.getppid() == int(parent),
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
