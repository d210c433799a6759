"""Images without a daemon: a base, layers of our own over it, and the places that an image can go to.

    verb           the order of the steps: base, layers, configuration, output
    bases          a base out of a layout, an archive, a registry or a root file system, checked against its digests
    interpreters   the Python of a base, found in its layers without unpacking them
    layers         the layers of a plan; environments fills the one with the packages
    tars, blobs    the same bytes each time, written piece by piece
    documents      the configuration, the manifest and the index of an image
    outputs        a folder, an archive, a registry
    registries     what speaks with a registry

The formats are those of the OCI image specification 1.1. They are a few JSON documents beside blobs, so they are
written here. Of the libraries, `oras` reads every layer whole into memory, and `opencontainers` knows types only.
Registries are spoken with through `python-dxf`, which streams, compares digests and sends no password over plain HTTP.
"""
