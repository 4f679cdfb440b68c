"""The commands behind ``arraycodec``: converting, inspecting and verifying whole files and stores.

`model` is the one interface between file formats; `numpyfiles`, `zarrstore` and `hdf5file`
implement it; `convert`, `verify`, `inspect`, `demo` and `bench` are the commands and know no format.
`stages` measures where the codec's time goes.
"""
