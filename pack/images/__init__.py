"""A model becomes an image, and the image runs: Dockerfiles, OCI layouts, Kubernetes."""
