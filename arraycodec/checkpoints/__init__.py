"""Checkpoints of neural networks: many named tensors, large and small, in one store.

The way of a tensor, from the left to the right::

    mapping, or file (`files`: safetensors, PyTorch, ONNX, lc0)  ->  views  ->  packs  ->  store        save
    store (`arrc`, Zarr, HDF5)  ->  packs  ->  `tensors`: lazy tensors by name                          load

`views` says what stored elements are where NumPy has no dtype for it, `packs` which small tensors stand together in
one stored array, and where; `arrc` is the single-file form.  `stores` opens what `load` gives out, `saving` writes.
Users call `arraycodec.load` and `arraycodec.save`; the command line has sources and sinks over the same parts.
"""
