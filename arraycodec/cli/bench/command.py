"""The order of things: check everything, measure, show, write, and say whether our bound held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import stages
from ..cluster import require_distributed
from ..console import Console
from ..model import CommandError
from ..zarrstore import require_zarr
from . import (
    checkpoint,
    coding,
    comparison,
    corpus,
    csvfile,
    hosts,
    literature,
    peaks,
    plot,
    quantizers,
    scaling,
    tables,
    torture,
    torturetables,
)
from .corpus import Item
from .literaturerow import LiteratureRow, StochasticRow
from .machine import describe, installed
from .measure import CACHE, STREAM, Contenders, Row, measure
from .protocol import ChildFailed
from .sizes import Earlier, measure_sizes
from .summary import summarize


@dataclass(frozen=True)
class Options:
    """What was asked for; `..arguments` explains each."""

    files: tuple[Path, ...] = ()
    tols: tuple[tuple[float, ...], ...] = ()
    corpora: tuple[Path, ...] = ()
    listing: Path | None = None
    samples: bool = False
    chunk: int = 1 << 18
    repeat: int = 15
    budget: float = 10.0
    timeout: float = 60.0
    stream: bool = False
    threads: tuple[int, ...] = (1,)
    isas: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    predictors: tuple[str, ...] = ()
    peers: tuple[str, ...] | None = None
    codecs: bool = True
    stages: bool = False
    hosts: bool = False
    host_size: int = 64 << 20
    store_dir: Path | None = None
    workers: tuple[int, ...] = ()
    workers_size: int = 1 << 30
    checkpoint: Path | None = None
    store_size: int = 1 << 30
    memory: bool = False
    torture: bool = False
    mutations: int = 300
    coders: bool = False
    symbols: int = 1 << 18
    literature: bool = False
    weights: tuple[Path, ...] = ()
    gradients: tuple[Path, ...] = ()
    csv: Path | None = None
    plot: Path | None = None
    command: tuple[str, ...] = ()
    parts: tuple[float, ...] = ()
    listed: bool = False
    kinds: tuple[str, ...] = ()
    sizes_only: bool = False
    own: bool = True
    peers_from: Path | None = None
    lossless: bool = False


def bench(options: Options, console: Console) -> bool:
    """Measure, print tables, write CSV and plot; True if our bound held everywhere.

    Files beside ``--csv OUT.csv`` hold the other tables: ``OUT-stages.csv``, ``OUT-hosts.csv``, ``OUT-workers.csv``,
    ``OUT-checkpoint.csv``, ``OUT-memory.csv``, ``OUT-torture.csv``, ``OUT-mutations.csv``, ``OUT-coders.csv``,
    ``OUT-literature.csv`` and ``OUT-stochastic.csv``.
    """
    _check(options)
    if options.memory:
        peaks.require_memory()
    skipped: list[str] = []
    items = _items(options, skipped)
    earlier = None
    if options.peers_from is not None:
        earlier = Earlier(options.peers_from)
        earlier.check(items)
    peers = None if options.peers is None and earlier is None else list(options.peers or ())
    if not options.codecs:
        peers = []
    levels: list[int | None] = (list(options.levels) or [None]) if options.own else []
    isas = list(options.isas) or [None]
    predictors = list(options.predictors) or [""]
    limit = not options.sizes_only
    with Contenders(
        peers, isas, list(options.threads), levels, limit, predictors, options.lossless
    ) as contenders:
        versions = contenders.versions()
        header = describe(list(options.command), (earlier.versions if earlier else {}) | versions)
        for name in ("machine", "cores", "system", "python", "arraycodec", "numpy"):
            console.say(f"{name}: {header[name]}")
        if skipped:
            console.say(f"left out: {', '.join(skipped)}")
        if contenders.missing:
            console.say(f"not installed: {', '.join(contenders.missing)}")
        held = True
        if options.codecs and options.sizes_only:
            held = _sizes(options, items, contenders, earlier, header, console)
        elif options.codecs:
            held = _codecs(options, items, contenders, header, console)
        if options.stages:
            _stages(options, items, contenders, header, console)
    if options.hosts:
        held = _hosts(options, items[0], header, console) and held
    if options.checkpoint is not None:
        held = _checkpoint(options, header, console) and held
    if options.workers:
        _workers(options, items[0], header, console)
    if options.memory:
        _memory(options, header, console)
    if options.torture:
        held = _torture(options, header, console) and held
    if options.coders:
        held = _coders(options, header, console) and held
    if options.literature:
        held = _literature(options, header, console) and held
    return held


def _check(options: Options) -> None:
    """Whatever can be wrong, before hours of measuring."""
    for path, option in ((options.csv, "--csv"), (options.plot, "--plot")):
        if path is not None:
            csvfile.check_writable(path, option)
    if options.plot is not None:
        if not options.codecs:
            raise CommandError("--plot shows codecs, and --no-codecs leaves them out")
        plot.check_plot(options.plot)
    codecs = options.codecs or options.checkpoint is not None
    if options.sizes_only and (options.stream or options.plot is not None or not codecs):
        raise CommandError("--sizes-only times nothing, and goes without --stream, --plot and --no-codecs")
    if not options.sizes_only and (options.peers_from is not None or not options.own):
        raise CommandError("--peers-from and --peers-only go with --sizes-only: speeds are of one run")
    if not options.own and options.stages:
        raise CommandError("--stages measures this package, and --peers-only leaves it out")
    if options.listed and not options.parts:
        raise CommandError("--listed goes with --range: without it, the listed tolerances are measured anyway")
    if options.stages and options.levels:
        raise CommandError("--stages measures the stages of the default level: leave --level out")
    if options.stages and options.predictors:
        raise CommandError("--stages measures the stages of the default predictor: leave --predictor out")
    if options.store_dir is not None and not options.store_dir.is_dir():
        raise CommandError(f"--store-dir {options.store_dir}: no such folder")
    if options.hosts:
        hosts.require_hosts()
    if options.workers:
        require_zarr()
        require_distributed()
    if options.literature:
        require_zarr()
    elif options.weights or options.gradients:
        raise CommandError("--weights and --gradients go with --literature")


def _items(options: Options, skipped: list[str]) -> list[Item]:
    tols = list(options.tols)
    if options.files and not (tols or options.parts):
        raise CommandError(f"{options.files[0]}: at which tolerance? give --tol")
    if not options.files and len(tols) > 1:
        raise CommandError(f"{len(tols)} --tol and no FILE: several tolerances for every array are --tol A,B")
    items = corpus.file_items(options.files, tols or [()], skipped) if options.files else []
    listed = bool(tols) or options.listed
    for folder in options.corpora:
        given = () if options.files or not tols else tols[0]
        items += corpus.corpus_items(folder, given, options.listing, skipped, needed=not options.parts)
    if options.samples or not items:
        items += corpus.sample_items(tols[0] if tols and not options.files else ())
    if options.kinds:
        items = corpus.of_kinds(items, options.kinds)
    return corpus.with_ranges(items, options.parts, listed, skipped) if options.parts else items


def _codecs(
    options: Options, items: list[Item], contenders: Contenders, header: dict[str, str], console: Console
) -> bool:
    rows: list[Row] = []
    modes = (CACHE, STREAM) if options.stream else (CACHE,)
    chunks = f"chunks of at most {options.chunk} values" if options.chunk else "whole arrays"
    console.say(f"{chunks}, {options.repeat} rounds\n{tables.LEGEND}")
    for item in items:
        for tol in item.tols:
            cell: list[Row] = []
            for mode in modes:
                cell += measure(
                    item, tol, contenders, mode, options.chunk, options.repeat, options.budget, options.timeout
                )
            console.say(f"\n{tables.heading(cell[0])}\n{tables.cell_table(cell)}")
            rows += cell
            if options.csv is not None:  # again each time: an interrupted run leaves what it has
                csvfile.write(options.csv, header, rows)
    for mode in modes:
        console.say(
            f"\nAll arrays, {mode}: geometric means of the fastest, and in how many cells the bound was broken,\n"
            "NaN lost, or nothing came\n" + tables.summary_table(summarize(rows, mode))
        )
    groups = comparison.groups(comparison.cells([row for row in rows if row.mode == CACHE]))
    if any(group.own and len(group.lines) > 1 for group in groups):
        console.say("\n" + "\n\n".join([tables.COMPARISON_LEGEND, *map(tables.group_table, groups)]))
    if options.plot is not None:
        arrays = len({(row.array, row.tol) for row in rows})
        what = f"{arrays} arrays and tolerances" if arrays > 1 else rows[0].array
        plot.plot(options.plot, summarize(rows, CACHE), f"{what}; {header['machine']}; {chunks}")
    return all(row.ok and row.violations == 0 for row in rows if row.is_ours)


def _sizes(
    options: Options, items: list[Item], contenders: Contenders, earlier: Earlier | None, header: dict[str, str],
    console: Console,
) -> bool:  # fmt: skip
    rows: list[Row] = []
    chunks = f"chunks of at most {options.chunk} values" if options.chunk else "whole arrays"
    console.say(f"{chunks}\n{tables.SIZES_LEGEND}")
    unknown = []
    for item in items:
        for tol in item.tols:
            cell = measure_sizes(item, tol, contenders, options.chunk, options.timeout)
            if earlier is not None:
                known = earlier.rows(item, tol, options.chunk, list(contenders.versions()))
                if not known:
                    unknown.append(f"{item.name} at {tol:.4g}")
                cell += known
            if not cell:
                continue
            console.say(f"\n{tables.heading(cell[0])}\n{tables.size_table(cell)}")
            rows += cell
            if options.csv is not None:
                csvfile.write(options.csv, header, rows)
    console.say("\n" + tables.comparison(rows, comparison.groups(comparison.cells(rows))))
    if unknown:
        console.say(f"\nnot in {options.peers_from} in such chunks: {', '.join(unknown)}")
    return all(row.held for row in rows if row.is_ours)


def _stages(
    options: Options, items: list[Item], contenders: Contenders, header: dict[str, str], console: Console
) -> None:
    rows: list[stages.StageRow] = []
    for item in items:
        for tol in item.tols:
            for contender in contenders.own:
                try:
                    rows += contender.stages(item, tol, options.chunk, options.repeat, options.timeout)
                except ChildFailed as e:
                    raise CommandError(f"--stages: {item.name}: {e}") from None
    console.say("\nStages, ns a value (share of the call)\n" + tables.stage_table(rows))
    if options.csv is not None:
        csvfile.write(_beside(options.csv, "stages"), header, rows)


def _hosts(options: Options, item: Item, header: dict[str, str], console: Console) -> bool:
    rows = hosts.measure_hosts(
        item, options.host_size, options.chunk, options.repeat, options.budget, options.timeout, options.store_dir,
        list(options.levels) or [None], list(options.predictors) or [""],
    )  # fmt: skip
    first = rows[0]
    console.say(
        f"\nHosts: {first.dtype} {first.shape} in chunks of {first.chunks}, values of {first.array}, "
        f"tol {first.tol:.4g}; MB/s, fastest and (median) of {options.repeat}\n" + hosts.host_table(rows)
    )
    if options.csv is not None:
        header = header | {f"version of {k}": v for k, v in installed(*hosts.PACKAGES).items()}
        csvfile.write(_beside(options.csv, "hosts"), header, rows)
    return all(row.ok and row.violations == 0 for row in rows if row.codec == hosts.OURS)


def _checkpoint(options: Options, header: dict[str, str], console: Console) -> bool:
    tol = options.tols[0][0] if options.tols and not options.files else 2.0**-12
    rows: list[checkpoint.CheckpointRow] = []
    console.say(f"\nCheckpoint {options.checkpoint.name}; times are medians of {options.repeat}")
    for row in checkpoint.checkpoint_rows(
        options.checkpoint, tol, options.repeat, options.store_size, options.store_dir, not options.sizes_only
    ):
        rows.append(row)
        console.say("  ".join(cell for cell in checkpoint.cells(row) if cell))
    if options.csv is not None:
        header = header | {f"version of {k}": v for k, v in installed(*checkpoint.PACKAGES).items()}
        csvfile.write(_beside(options.csv, "checkpoint"), header, rows)
    return not any(row.value for row in rows if row.what == "violations")


def _workers(options: Options, item: Item, header: dict[str, str], console: Console) -> None:
    rows = scaling.measure_scaling(
        item, options.workers_size, options.chunk, options.workers, options.repeat, options.store_dir
    )
    first = rows[0]
    console.say(
        f"\n{scaling.LEGEND}\n{first.dtype} {first.shape} in chunks of {first.chunks}, values of {first.array}, "
        f"tol {first.tol:.4g}, {first.rounds} rounds\n" + scaling.scaling_table(rows)
    )
    if options.csv is not None:
        header = header | {f"version of {k}": v for k, v in installed(*scaling.PACKAGES).items()}
        csvfile.write(_beside(options.csv, "workers"), header, rows)


def _memory(options: Options, header: dict[str, str], console: Console) -> None:
    rows = peaks.peak_rows(
        options.threads, list(options.levels) or [None], predictors=list(options.predictors) or [""]
    )
    console.say("\nPeak memory beyond input and result, MiB, arrays of noise\n" + peaks.peak_table(rows))
    if options.csv is not None:
        csvfile.write(_beside(options.csv, "memory"), header, rows)


def _torture(options: Options, header: dict[str, str], console: Console) -> bool:
    peers = None if options.peers is None else list(options.peers)
    levels: list[int | None] = (list(options.levels) or [None]) if options.own else []
    predictors = list(options.predictors) or [""]
    arrays: list[torture.TortureRow] = []
    mutations: list[torture.MutationRow] = []
    held = True
    with torture.contenders(
        peers, list(options.isas) or [None], list(options.threads), levels, predictors, options.lossless
    ) as contenders:
        header = header | {f"version of {codec}": text for codec, text in contenders.versions().items() if text}
        console.say("\nTorture: adversarial arrays, and chunks with damage")
        if contenders.missing and not options.codecs:  # else it has been said
            console.say(f"not installed: {', '.join(contenders.missing)}")
        names = torture.names(contenders)
        for contender in contenders:
            report = torture.torture(
                contender, names[id(contender)], options.lossless, options.mutations, options.timeout
            )
            console.say(torture.progress(report))
            arrays += report.rows
            mutations += report.mutations
            held = held and report.held
            if options.csv is not None:
                csvfile.write(_beside(options.csv, "torture"), header, arrays)
                csvfile.write(_beside(options.csv, "mutations"), header, mutations)
    console.say(f"\n{torturetables.ARRAYS_LEGEND}\n{torturetables.array_table(arrays)}")
    console.say(f"\n{torturetables.MUTATIONS_LEGEND}\n{torturetables.mutation_table(mutations)}")
    return held


def _coders(options: Options, header: dict[str, str], console: Console) -> bool:
    versions = installed(coding.PEER)
    console.say(f"\n{coding.LEGEND}" + ("" if versions else f"\nnot installed: {coding.PEER}"))
    rows = list(coding.measure_coders(options.symbols, options.repeat, options.budget))
    console.say(coding.coder_table(rows))
    if options.csv is not None:
        header = header | {f"version of {name}": version for name, version in versions.items()}
        csvfile.write(_beside(options.csv, "coders"), header, rows)
    return not any(row.different for row in rows)


def _literature(options: Options, header: dict[str, str], console: Console) -> bool:
    names = (coding.PEER, "zarr")
    header = header | {f"version of {name}": version for name, version in installed(*names).items()}
    weights = [*quantizers.WEIGHTS, *_floats(options.weights)]
    gradients = [*quantizers.GRADIENTS, *_floats(options.gradients)]
    console.say("\nFrom the literature (docs/literature.md)")
    measured: list[StochasticRow] = []
    for each in quantizers.stochastic(options.repeat, gradients):
        measured.append(each)
        if options.csv is not None:
            csvfile.write(_beside(options.csv, "stochastic"), header, measured)
    rows: list[LiteratureRow] = []
    for row in literature.literature_rows(options.repeat, weights, measured):
        rows.append(row)
        if options.csv is not None:
            csvfile.write(_beside(options.csv, "literature"), header, rows)
    console.say(literature.literature_table(rows))
    console.say("\nGradients, rounded at random (docs/stochastic.md)\n" + literature.stochastic_table(measured))
    return not any(row.wrong for row in (*rows, *measured))


def _floats(files: tuple[Path, ...]) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Arrays of float32, or of what becomes that."""
    for item in corpus.file_items(files, [(0.0,)], []) if files else ():
        if item.load().dtype.kind != "f":
            raise CommandError(f"{item.name}: not an array of floats")
        yield item.name, item.load


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}-{what}{path.suffix}")
