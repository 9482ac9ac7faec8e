"""`make demo`: three sweeps on real input, from nothing to results, in two minutes."""
