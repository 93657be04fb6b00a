"""`python -m jobs` is `pnn-gluon`."""

from jobs.cli import main

main()
