"""Entry point of `python -m cyclegan`, the same as the command `cyclegan`."""

from cyclegan.cli import main

main()
