"""`python -m kitestring` is the command line."""

from kitestring.cli import main

if __name__ == "__main__":
    main()
