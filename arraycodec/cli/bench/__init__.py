"""``arraycodec bench``: size, speed and exact violations on the user's arrays, beside memcpy and peers.

Method
------
Arrays are cut into chunks, encoded and decoded chunk by chunk through the public Python API, on one
CPU, and the bound is verified in exact arithmetic.  Every codec, ours and memcpy too, lives in a
process of its own, which may crash or hang without harm.  All codecs of one array are measured in
turns, a few rounds of each at a time, so that a machine that slows down slows all of them.  Every
call is timed by itself.  "Fastest" is the sum over chunks of each one's fastest call (what the code
can do, on a machine that others use too); "median" is the median round over all chunks.  MB/s are
1e6 bytes of the array per second, in both directions.

Two modes: *cache* repeats each chunk back to back, so that it stays in the cache; *stream* runs
through at least 64 MiB in order (small arrays are repeated in memory of their own) with distinct
input and output memory, and what it measures is bounded by memory.

Or neither: `sizes` encodes and decodes once, helps the peers as well as it can, and can take their
rows from an earlier run.

The parts: `arguments` (options and their checks), `corpus` (arrays and tolerances), `peers` (one
adapter a codec), `protocol` and `worker` (processes), `measure` (turns and rows), `sizes` (without
turns), `comparison` (who is smaller), `hosts` (Zarr and HDF5 end to end), `torture` (what breaks;
with `torturecases`, `tortureworker` and `torturetables`), `coding` (the library of entropy coders),
`checkpoint` (many tensors in stores; with
`embeddings`), `literature` (published systems; with `quantizers` and `literaturerow`), `tables`, `csvfile` and `plot`
(output), `command` (the order of it all).
"""
