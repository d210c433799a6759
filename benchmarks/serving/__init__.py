"""Scoring servers beside each other: ours, a hand-written one, MLflow, BentoML and LitServe, in one run."""
