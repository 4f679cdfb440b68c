"""The console command ``arraycodec``: arguments, exit codes and signals; the work is in `arraycodec.cli`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from ._core import MAX_LEVEL, MIN_LEVEL, PREDICTORS
from .backends import BACKENDS
from .cli.activate import SHELLS, TARGETS, activate
from .cli.bench.arguments import add_arguments as add_bench_arguments
from .cli.bench.arguments import peer_names
from .cli.console import Console
from .cli.formats import FORMATS
from .cli.interrupt import Signals
from .cli.prove import add_arguments as add_prove_arguments
from .errors import ParameterError
from .hdf5 import plugin_path
from .rules import Rules
from .tolerance import parse_tolerance

COMPRESS = """\
Code the arrays of a file or store, into Zarr or HDF5.  The tolerances are for floats and complex numbers;
coordinates, flags, bool and dates are kept, integers too unless --lossy-integers is given.  --codec says by what:
ansquant is the smallest within a tolerance; varint has the same bound in chunks that a few lines of code read;
stochastic rounds without bias to few levels, for what is averaged; lowrank makes matrices products of few rows and
columns.  The last two are for floats: everything else is then kept by ansquant."""

VERIFY = """\
Check the bound exactly between two files; what is neither float nor complex must be equal.  Without --tol and --rtol
the bound is what the chunks of B say: a tolerance, or how far a value can be where none was asked for.  With --scan:
decode every chunk of one, and name those that are broken."""

ACTIVATE = """\
Set HDF5_PLUGIN_PATH for programs that import nothing of this package, keeping what is in it: for every new shell (a
block in .bashrc or .zshrc, a file for fish), this virtual environment (its activate scripts), the active conda
environment, or the Jupyter kernels of this environment.  module prints a modulefile, env the variable and its value."""

TUNE = """\
Measure size, error and speed of a sample of each array over tolerances and codecs, and mark the knee: the tolerance
below which every halving costs about as much as noise does.  --target-ratio and --target-psnr find the tolerance that
meets them, on the sample.  Values are taken as compress takes them: fill values, NaN, chunks."""

PLOT = """\
Draw what a tolerance does to an array: original, decoded, the error, its histogram against the tolerance, the spectra
of all three, and bits per value against PSNR beside the peers that are installed."""

CODECS = ("ansquant", "varint", "stochastic", "lowrank")

OK, FAILED, ERROR, INTERRUPTED = 0, 1, 2, 130

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}  # powers of two


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def _tolerance(text: str) -> float:
    try:
        return parse_tolerance(text)
    except ParameterError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _rule(text: str) -> Any:
    """A tolerance, of all arrays or of those that a pattern matches."""
    try:
        (rule,) = Rules.parse([text]).rules
    except ParameterError as e:
        raise argparse.ArgumentTypeError(str(e)) from None
    return rule


def _relative(text: str) -> float:
    value = _tolerance(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"a relative tolerance must be less than 1, not {text!r}")
    return value


def _level(text: str) -> int:
    if not (text.isascii() and text.isdigit() and MIN_LEVEL <= int(text) <= MAX_LEVEL):
        raise argparse.ArgumentTypeError(f"a level is {MIN_LEVEL} (fast) to {MAX_LEVEL} (smallest), not {text!r}")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    return int(text)


def _bucket(text: str) -> int | str:
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a bucket is a number of values, or all, not {text!r}")
    return text if text == "all" else int(text)


def _factor_bits(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() for p in parts):
        raise argparse.ArgumentTypeError(f"bits of the left and of the right factor are written 8,8, not {text!r}")
    return tuple(map(int, parts))


def _fill(text: str) -> int | float | complex:
    for kind in (int, float, complex):
        with contextlib.suppress(ValueError):
            return kind(text)
    raise argparse.ArgumentTypeError(f"not a number: {text!r}")


def _chunks(text: str) -> tuple[int, ...]:
    parts = text.lower().replace(",", "x").split("x")
    if not all(p.isascii() and p.isdigit() and 0 < int(p) < 2**32 for p in parts):
        raise argparse.ArgumentTypeError(f"not a chunk shape: {text!r} (write positive numbers as 64x128x128)")
    return tuple(map(int, parts))


def _add_codecs(p: argparse.ArgumentParser) -> None:
    """Which codec compresses, and the options that only some of them have."""
    p.add_argument("--codec", choices=CODECS, default="ansquant", help="default: ansquant; see above")
    g = p.add_argument_group("varint")
    g.add_argument("--backend", choices=BACKENDS, help="what compresses the varints once more; not for HDF5")
    g = p.add_argument_group("stochastic (no --tol: the bound follows from the values)")
    g.add_argument("--bits", type=_whole, metavar="N", help="2^N - 1 steps from zero to the norm: 1 to 9; default 4")
    g.add_argument("--norm", metavar="NAME", help="l2 (default), or max, with which steps are smaller")
    g.add_argument("--bucket", type=_bucket, metavar="N", help="values that share a norm, or all; default 512")
    g.add_argument("--packing", metavar="NAME", help="rans (default), or fixed, for comparisons")
    g = p.add_argument_group("lowrank (one of the first three, or --tol, perhaps with --rank)")
    g.add_argument("--rank", type=_whole, metavar="R", help="so many components of each chunk")
    g.add_argument("--bits-per-value", type=_tolerance, metavar="B", help="the smallest error of such chunks")
    g.add_argument("--rel-error", type=_tolerance, metavar="E", help="||error|| <= E ||chunk||, in Frobenius norms")
    g.add_argument("--factor-bits", type=_factor_bits, metavar="B,B", help="of --method lplr, lsvd, dsvd; default 8,8")
    g.add_argument("--row-axes", type=_whole, metavar="N", help="the first N axes make the rows; default 1")
    g = p.add_argument_group("stochastic and lowrank")
    g.add_argument("--method", metavar="NAME", help="dither (default) or qsgd; svd (default), lplr, lsvd or dsvd")
    g.add_argument("--seed", type=_whole, metavar="N", help="the same seed makes the same chunks")


def _add_workers(p: argparse.ArgumentParser) -> None:
    """Who does the work, where that is more than one process."""
    g = p.add_argument_group("many processes (OUT is Zarr; a run that was interrupted is gone on with)")
    by = g.add_mutually_exclusive_group()
    by.add_argument("--workers", type=_whole, metavar="N", help="by N processes of this machine")
    by.add_argument("--scheduler", metavar="ADDRESS", help="by the workers of a dask scheduler: its address, or file")
    g.add_argument("--memory-limit", metavar="SIZE", help="of each of the N processes, as 2GiB; default: a fair share")
    g.add_argument("--restart", action="store_true", help="forget what an interrupted run has left")


def _workers(args: argparse.Namespace) -> Any:
    """The workers of `compress` and `decompress`; None where this process does it all."""
    if args.workers is None and args.scheduler is None:
        if args.memory_limit is not None or args.restart:
            raise ParameterError("--memory-limit and --restart are for --workers N (--restart for --scheduler, too)")
        return None
    if args.workers == 0:
        raise ParameterError("--workers must be at least 1")
    if args.memory_limit is not None and args.scheduler is not None:
        raise ParameterError("--memory-limit is for --workers N; those of a scheduler have limits of their own")
    from .cli.cluster import Workers

    return Workers(args.workers, args.scheduler, args.memory_limit, args.restart)


def _convert(args: argparse.Namespace, console: Console) -> None:
    from .cli.plan import Job

    how = {}
    if args.command == "compress":
        how = {
            "tol": _rules(args), "rtol": args.rtol, "lossy_integers": args.lossy_integers, "dtype": args.dtype,
            "choice": _choice(args), "pack": args.pack,
        }  # fmt: skip
    job = Job(
        args.input, args.output, in_format=args.in_format, out_format=args.format, chunks=args.chunks, name=args.name,
        force=args.force, **how,
    )  # fmt: skip
    workers = _workers(args)
    if workers is not None:
        from .cli.cluster import convert_on_cluster

        return convert_on_cluster(job, workers, console)
    from .cli.convert import convert

    return convert(job, console)


def _size(text: str) -> int | None:
    """Bytes; None for everything."""
    if text == "all":
        return None
    number = text.lower().removesuffix("ib").removesuffix("b")
    digits = number.rstrip("kmg")
    unit = number[len(digits) :]
    if not (digits.isascii() and digits.isdigit() and int(digits) and unit in _UNITS):
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (write 4194304, 512KiB, 16MiB, 1GiB or all)")
    return int(digits) << _UNITS[unit]


def _many(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(kind(part) for part in text.split(","))


def _target(text: str) -> float:
    value = _tolerance(text)
    if not value:
        raise argparse.ArgumentTypeError(f"a target must be above 0, not {text!r}")
    return value


def _dpi(text: str) -> int:
    value = _whole(text)
    if not 20 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"dpi are 20 to 1000, not {text!r}")
    return value


def _slice(text: str) -> tuple[int | slice, ...]:
    """Indices and ranges, one for each axis: 3,:,100:400."""
    found: list[int | slice] = []
    for part in text.split(","):
        ends = part.strip().split(":")
        if len(ends) > 2 or not all(re.fullmatch(r"-?\d+|", end, re.ASCII) for end in ends) or ends == [""]:
            raise argparse.ArgumentTypeError(f"not a slice: {text!r} (write 3,:,100:400, one for each axis)")
        found.append(int(ends[0]) if len(ends) == 1 else slice(*(int(end) if end else None for end in ends)))
    return tuple(found)


def _add_values(p: argparse.ArgumentParser, sample: str) -> None:
    """What `tune` and `plot` are about, as `compress` is told it."""
    p.add_argument("file", type=Path, metavar="FILE", help=".npy, .npz, Zarr or HDF5, recognized by content")
    p.add_argument("--in-format", choices=FORMATS, help="format of FILE")
    p.add_argument("--name", help="only this array")
    p.add_argument("--fill-value", type=_fill, metavar="V", help="what stands for missing values")
    p.add_argument("--dtype", choices=("bfloat16",), help="what the elements of uint16 arrays are")
    p.add_argument("--lossy-integers", action="store_true", help="integers, too")
    p.add_argument(
        "--sample", type=_size, default=sample, metavar="SIZE",
        help=f"how much of an array is tried, in whole chunks: 512KiB, 16MiB, all; default {sample}",
    )  # fmt: skip
    p.add_argument("--seed", type=_whole, default=0, metavar="N", help="which chunks; default 0")


def _wanted(args: argparse.Namespace) -> Any:
    from .cli.subject import Wanted

    return Wanted(args.file, args.name, args.fill_value, args.dtype, args.lossy_integers)


def _tune(args: argparse.Namespace, console: Console) -> bool:
    from .cli.tune import Options, tune

    options = Options(
        _wanted(args), args.in_format, args.tols, args.levels, not args.no_varint, args.predictor, args.sample,
        args.seed, args.target_ratio, args.target_psnr, args.csv, tuple(args.argv),
    )  # fmt: skip
    return tune(options, console)


def _plot(args: argparse.Namespace, console: Console) -> None:
    from .cli.plot import Options, plot

    peers = [] if args.no_peers else args.peers
    plot(
        Options(
            _wanted(args), args.tol, args.output, args.in_format, args.slice, args.level, args.predictor, args.sample,
            args.seed, peers, args.dpi, args.force,
        ),
        console,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="arraycodec", description="Error-bounded compression of arrays in Zarr and HDF5.")
    parser.add_argument("--version", action="version", version=f"arraycodec {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    tol_help = "absolute tolerance: 1e-3, 2**-17, 2^-17, or 0 for lossless"
    rules_help = tol_help + (
        "; by names of arrays: '*.bias=0' '*.norm.*=keep' '*=2**-12', repeated; the first that matches counts"
    )
    rtol_help = "relative tolerance, below 1, of each value; with --tol the larger of both applies"

    level_help = "how hard the encoder looks: 1 (fast) to 9 (smallest); default 5"
    predictor_help = "what values are predicted from: auto (default), none, lorenzo, interpolation or linear"

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    for name, text in (
        ("compress", COMPRESS),
        ("decompress", "Write the arrays of a file or store without our codec."),
    ):
        p = add(name, text)
        p.add_argument("input", type=Path, metavar="IN", help=".npy, .npz, Zarr, HDF5, .arrc, or a "
                       "checkpoint: .safetensors .pt .onnx .pb.gz (lc0); recognized by content")
        p.add_argument("output", type=Path, metavar="OUT", help="format by suffix: .npy .npz .zarr .h5 .nc .arrc "
                       ".safetensors .pt .onnx .pb.gz ...")
        if name == "compress":
            p.add_argument("--tol", type=_rule, action="append", metavar="[NAMES=]T", help=rules_help)
            p.add_argument("--rtol", type=_relative, metavar="R", help=rtol_help)
            p.add_argument(
                "--lossy-integers", action="store_true",
                help="the whole part of --tol is for integers, too; without this they are kept: labels and counts "
                "must not change silently",
            )  # fmt: skip
            p.add_argument("--dtype", choices=("bfloat16",), help="what the elements of uint16 arrays are")
            p.add_argument("--fill-value", type=_fill, metavar="V", help="what stands for missing values: it comes "
                           "back bit for bit; default: what the codec of IN was told, and attributes say")  # fmt: skip
            p.add_argument("--level", type=_whole, metavar="N", help=level_help + "; of varint the backend's")
            p.add_argument("--predictor", choices=PREDICTORS, metavar="NAME", help=predictor_help)
            p.add_argument("--pack", type=_whole, metavar="N", help="arrays of fewer values stand side by side in "
                           "common ones; default: 16384 from checkpoints and into .arrc, else none (0)")  # fmt: skip
            _add_codecs(p)
        p.add_argument("--format", choices=FORMATS, help="format of OUT (.zarr means zarr3)")
        p.add_argument("--in-format", choices=FORMATS, help="format of IN")
        p.add_argument("--chunks", type=_chunks, metavar="AxBxC", help="chunks of the arrays with as many axes")
        p.add_argument("--name", help="convert only this array; or the name for an unnamed one")
        p.add_argument("--force", action="store_true", help="replace OUT when the new one is complete")
        _add_workers(p)
        p.add_argument("-q", "--quiet", action="store_true", help="no progress, no summary; warnings stay")
    p = add("inspect", "Describe the arrays of a Zarr store or HDF5 file, or one chunk in a file.")
    p.add_argument("path", type=Path, metavar="PATH")
    p.add_argument("--chunks", action="store_true", help="one line for every chunk too")
    p.add_argument("--json", action="store_true", help="as JSON")
    p = add("verify", VERIFY)
    p.add_argument("original", type=Path, metavar="A")
    p.add_argument("decoded", type=Path, metavar="B", nargs="?")
    p.add_argument("--scan", action="store_true", help="name the broken chunks of A, a Zarr store, HDF5 file or chunk")
    p.add_argument("--tol", type=_rule, action="append", metavar="[NAMES=]T", help=rules_help)
    p.add_argument("--rtol", type=_relative, metavar="R", help=rtol_help)
    p.add_argument("--fill-value", type=_fill, metavar="V", help="must come back bit for bit")
    p.add_argument("--lossy-integers", action="store_true", help="integers may differ by the whole part of --tol")
    p.add_argument("--dtype", choices=("bfloat16",), help="what the elements of uint16 arrays are")
    p.add_argument("--name", help="check only this array")
    p.add_argument("-q", "--quiet", action="store_true", help="exit code only")
    add("plugin-path", "Print the folder of the HDF5 plugin, for HDF5_PLUGIN_PATH.")
    p = add("activate", ACTIVATE)
    p.add_argument("target", choices=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    p.add_argument("--undo", action="store_true", help="take back what was written, and nothing else")
    p.add_argument("--dry-run", action="store_true", help="only say what would be written")
    p.add_argument("--shell", choices=SHELLS, help="of the target shell; default: yours")
    p = add("demo", "Store a simulation and trained weights (or FILE) in every host, and check the bound.")
    p.add_argument("file", nargs="?", type=Path, metavar="FILE", help="your data: .npy, .npz, Zarr or HDF5")
    p.add_argument("--tol", type=_tolerance, metavar="T", help=tol_help + " (default: by array, its spread/128)")
    p.add_argument("--level", type=_level, metavar="N", help=level_help)
    p.add_argument("--predictor", choices=PREDICTORS, metavar="NAME", help=predictor_help)
    p.add_argument("--dir", type=Path, metavar="DIR", help="keep the stores in this folder")
    p.add_argument(
        "--low-rank", type=Path, metavar="OUT.png", help="instead, draw the Shepp-Logan phantom as low-rank factors"
    )
    add_prove_arguments(add("prove", "Prove the bound on all values of small types and the edges of large ones."))
    p = add("tune", TUNE)
    _add_values(p, "16MiB")
    p.add_argument("--tols", type=_many(_tolerance), default=(), metavar="T[,T...]",
                   help="these tolerances; default: decades from a tenth of the range down, and the knee")  # fmt: skip
    p.add_argument("--levels", type=_many(_level), default=(), metavar="N[,N...]", help="of ansquant; default 1,5,9")
    p.add_argument("--no-varint", action="store_true", help="leave VarintQuant out")
    p.add_argument("--predictor", choices=PREDICTORS, metavar="NAME", help=predictor_help)
    p.add_argument("--target-ratio", type=_target, metavar="R", help="find the smallest tolerance of this ratio")
    p.add_argument("--target-psnr", type=_target, metavar="DB", help="find the largest tolerance of this PSNR")
    p.add_argument("--csv", type=Path, metavar="OUT.csv", help="the table as CSV")
    p.add_argument("-q", "--quiet", action="store_true", help="print nothing but warnings; for --csv")
    p = add("plot", PLOT)
    _add_values(p, "4MiB")
    p.add_argument("--tol", type=_tolerance, metavar="T", required=True, help=tol_help)
    p.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help=".png, .pdf or .svg")
    p.add_argument("--slice", type=_slice, metavar="I,...", help="what is drawn of the array, one index or range for "
                   "each axis, as 3,:,100:400; default: the last two long axes, in the middle of the others; "
                   "write --slice=-1,:,: where it begins with a minus")  # fmt: skip
    p.add_argument("--level", type=_level, metavar="N", help=level_help)
    p.add_argument("--predictor", choices=PREDICTORS, metavar="NAME", help=predictor_help)
    g = p.add_mutually_exclusive_group()
    g.add_argument("--peers", type=peer_names, metavar="NAME[,NAME...]", help="these peers of bench, which must be "
                   "installed; default: those of SZ3, SPERR, ZFP, LERC and pcodec that are")  # fmt: skip
    g.add_argument("--no-peers", action="store_true", help="this package only")
    p.add_argument("--dpi", type=_dpi, default=130, metavar="N", help="pixels of each of 15.5 inches; default 130")
    p.add_argument("--force", action="store_true", help="replace OUT when the new one is complete")
    p.add_argument("-q", "--quiet", action="store_true", help="no summary; warnings stay")
    add_bench_arguments(add("bench", "Measure size, speed and the bound on your arrays, beside memcpy and peers."))
    return parser


def _choice(args: argparse.Namespace) -> Any:
    """The codec of `compress`; options that it does not have are refused."""
    from .cli.codecs import OPTIONS, Choice, refuse_foreign

    names = dict.fromkeys(name for options in OPTIONS.values() for name in options)
    given = [name for name in names if not (getattr(args, name) is None or getattr(args, name) is False)]
    refuse_foreign(args.codec, given)
    if args.level is not None and args.codec != "varint":
        try:
            _level(str(args.level))
        except argparse.ArgumentTypeError as e:
            raise ParameterError(str(e)) from None
    options = {name: getattr(args, name) for name in given}
    return Choice(args.codec, options | ({"tol": _rules(args)} if args.tol is not None else {}))


def _rules(args: argparse.Namespace) -> Rules | None:
    """The absolute tolerances of `compress` and `verify`."""
    return None if args.tol is None else Rules(args.tol)


def _refuse_with_scan(args: argparse.Namespace) -> None:
    given = [option for option in ("tol", "rtol", "fill_value", "dtype", "name") if getattr(args, option) is not None]
    if args.decoded is not None or given or args.lossy_integers:
        raise ParameterError("verify --scan takes one path and no tolerance: chunks are whole or not")


def _run(args: argparse.Namespace) -> int:
    console = Console(getattr(args, "quiet", False))
    if args.command in ("compress", "decompress"):
        _convert(args, console)
        return OK
    if args.command == "inspect":
        from .cli.inspect import inspect_path

        inspect_path(args.path, args.chunks, args.json, console)
        return OK
    if args.command == "verify" and args.scan:
        from .cli.scan import scan

        _refuse_with_scan(args)
        return OK if scan(args.original, console) else FAILED
    if args.command == "verify":
        from .cli.claims import Claims
        from .cli.verify import Promise, verify_paths

        if args.decoded is None:
            raise ParameterError(f"verify needs two files, or --scan {args.original}")
        promise: Promise | Claims = Promise(
            _rules(args), args.rtol, args.fill_value, args.dtype, args.lossy_integers
        )
        if args.tol is None and args.rtol is None:
            given = [option for option in ("fill_value", "dtype") if getattr(args, option) is not None]
            if given or args.lossy_integers:
                raise ParameterError("verify needs a tolerance: --tol T, --rtol R or both; --tol 0 is lossless")
            promise = Claims(args.decoded)
        return OK if verify_paths(args.original, args.decoded, promise, args.name, console) else FAILED
    if args.command == "prove":
        from .cli.prove import prove

        return OK if prove(args, console) else FAILED
    if args.command == "plugin-path":
        console.say(plugin_path())
        return OK
    if args.command == "activate":
        activate(args.target, args.undo, args.dry_run, args.shell, console)
        return OK
    if args.command == "tune":
        return OK if _tune(args, console) else FAILED
    if args.command == "plot":
        _plot(args, console)
        return OK
    if args.command == "bench":
        from .cli.bench.arguments import run

        return OK if run(args, args.argv, console) else FAILED
    if args.low_rank is not None:
        from .cli.lowrankdemo import low_rank

        given = [name for name in ("file", "tol", "predictor", "dir") if getattr(args, name) is not None]
        if given:
            raise ParameterError(f"demo --low-rank draws the phantom: it takes --level, but not {', '.join(given)}")
        return OK if low_rank(args.low_rank, args.level, console) else FAILED
    from .cli.demo import demo

    return OK if demo(args.file, args.tol, args.level, args.predictor, args.dir, console) else FAILED


def _report(error: BaseException) -> None:
    """One line, whatever went wrong."""
    text = " ".join(str(error).split())
    if not isinstance(error, ValueError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    print(f"arraycodec: error: {text}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default `sys.argv`.

    Returns
    -------
    int
        0: done; 1: a check failed; 2: wrong arguments or data, with one line on stderr; 130
        (128 + signal number): interrupted, temporary output removed.
    """
    try:
        args = _parser().parse_args(argv)
        args.argv = sys.argv[1:] if argv is None else list(argv)
        with Signals():
            status = _run(args)
        sys.stdout.flush()
        return status
    except SystemExit as e:  # argparse
        return e.code if isinstance(e.code, int) else OK if e.code is None else ERROR
    except KeyboardInterrupt as e:
        print("arraycodec: interrupted", file=sys.stderr)
        return getattr(e, "status", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output is gone, as in `arraycodec inspect x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as e:
        if os.environ.get("ARRAYCODEC_TRACEBACK"):
            raise
        _report(e)
        return ERROR


if __name__ == "__main__":
    sys.exit(main())
