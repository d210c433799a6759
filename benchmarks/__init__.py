"""Measurements against the peer, in the same run, as ratios."""
