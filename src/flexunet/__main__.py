"""`python -m flexunet`, the same as the `flexunet` command."""

from .cli import main

main()
