"""What all our HTTP applications share: errors, limits, hosts, and running under uvicorn."""
