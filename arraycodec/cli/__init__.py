"""The commands behind ``arraycodec``: converting, inspecting and verifying whole files and stores.

`model` is the one interface between file formats; `numpyfiles`, `zarrstore` and `hdf5file`
implement it; `convert`, `verify`, `inspect` and `demo` are the commands and know no format.
"""
