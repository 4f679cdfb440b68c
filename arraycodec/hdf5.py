"""HDF5: where the filter plugin is, and making it known to the HDF5 libraries of this process."""

from __future__ import annotations

FILTER_ID = 35117
