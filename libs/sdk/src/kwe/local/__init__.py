"""Everything on one machine: what `kwe up` and `kwe demo` do."""
