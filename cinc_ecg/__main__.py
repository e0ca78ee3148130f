"""`python -m cinc_ecg`."""

from cinc_ecg.cli.app import main

if __name__ == "__main__":
    main()
