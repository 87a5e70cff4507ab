"""`python -m dcasearch` is the command line."""

from dcasearch.cli import main

if __name__ == "__main__":
    main()
