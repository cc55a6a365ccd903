"""`python -m lyapsweep` is `lyapsweep`."""

from lyapsweep.cli import main

main(prog_name="lyapsweep")
