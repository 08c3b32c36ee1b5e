"""The command line `kwe`."""
