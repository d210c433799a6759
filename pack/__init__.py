"""Package machine-learning models, load them through one interface, serve them, and know which version is live."""
