"""`python -m flowforge.cli`, the same as the installed `flowforge`."""

from flowforge.cli import main

main()
