"""`python -m cyclegan` is the same as the command `cyclegan`."""

from cyclegan.cli import main

main()
