"""Write the tables of README.md and some pages of docs from the files beside this one.

    python docs/benchmarks/tables.py            # rewrite what differs
    python docs/benchmarks/tables.py --check    # exit code 1 if anything differs

A table stands between ``<!-- table: KIND FILE ... -->`` and ``<!-- end -->``, where KIND is the name
of a function below, FILE a CSV in this folder, and the rest are the function's other arguments.
"""

import math
import shlex
import sys
from collections import Counter
from csv import DictReader
from pathlib import Path

from arraycodec._core import DEFAULT_LEVEL
from arraycodec.cli.bench import checkpoint, coding, csvfile, scaling
from arraycodec.cli.bench import literature as published
from arraycodec.cli.bench.comparison import BEST_SZ3, cells, groups
from arraycodec.cli.bench.hosts import HostRow
from arraycodec.cli.bench.measure import CACHE, SIZES, STREAM, Row
from arraycodec.cli.bench.summary import is_limit, labels, summarize
from arraycodec.cli.bench.tables import speed
from arraycodec.cli.bench.torture import MutationRow, TortureRow
from arraycodec.cli.bench.torturetables import MUTATIONS_HEAD, array_lines, mutation_lines
from arraycodec.cli.stages import StageRow

HERE = Path(__file__).parent
DOCUMENTS = (
    *(HERE.parent / name for name in ("benchmarks.md", "literature.md", "stochastic.md", "checkpoints.md")),
    HERE.parents[1] / "README.md",
)
#: Of arrays, with their titles.
LISTINGS = ("arrays.csv", "weights.csv", "corpus.csv")
#: What a row is, by the end of the file's name.
KINDS = {
    "hosts": HostRow,
    "stages": StageRow,
    "workers": scaling.ScalingRow,
    "checkpoint": checkpoint.CheckpointRow,
    "torture": TortureRow,
    "mutations": MutationRow,
    "coders": coding.CoderRow,
    "literature": published.LiteratureRow,
    "stochastic": published.StochasticRow,
}
BEGIN, END = "<!-- table: ", "<!-- end -->"


def titles():
    """What the arrays are, by name."""
    found = {}
    for listing in LISTINGS:
        with open(HERE / listing) as f:
            listed = DictReader(line for line in f if not line.startswith("#"))
            found |= {row["file"].removesuffix(".npy"): row["title"] for row in listed}
    return found


def markdown(head, lines):
    """Cells as a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def tolerance(value):
    """As people write them: 2^-17, 1e-4, 0.05."""
    mantissa, exponent = value.hex().split("p")
    if float.fromhex(mantissa) == 1 and value < 0.01:
        return f"2^{int(exponent)}"
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.01 and float(f"{value:.0e}") == value else f"{value:.3g}"


def cell(row):
    """The array and tolerance of a row."""
    return [titles().get(row.array, row.array), tolerance(row.tol)]


def read(file, kind=Row):
    return csvfile.read(HERE / file, kind)[1]


def origin(file):
    """Where the measurements come from."""
    header, _ = csvfile.read(HERE / file, KINDS.get(file.removesuffix(".csv").rpartition("-")[2], Row))
    return "\n".join(f"- {name}: {f'`{text}`' if name == 'command' else text}" for name, text in header.items())


def _key(row):
    return row.array, row.tol, row.codec, row.isa, row.threads, row.level, row.predictor


def arrays(file, *codecs):
    """Every array with every codec, or with some of them."""
    rows = read(file)
    label, streamed = labels(rows), {_key(r): r for r in rows if r.mode == STREAM}
    head = ["array", "tol", "codec", "bits", "enc MB/s", "dec MB/s"]
    head += ["streaming enc", "dec"] if streamed else []
    lines = []
    for row in rows:
        if row.mode != CACHE or row.codec == "memcpy" or (codecs and row.codec not in codecs):
            continue
        if not row.ok:
            lines.append([*cell(row), label(row), row.status, *[""] * (len(head) - 4), ""])
            continue
        line = [*cell(row), label(row), f"{row.bits_per_value:.2f}"]
        line += [speed(row.encode_fastest), speed(row.decode_fastest)]
        if streamed:
            other = streamed.get(_key(row))
            line += [speed(other.encode_fastest), speed(other.decode_fastest)] if other and other.ok else ["", ""]
        lines.append([*line, str(row.violations)])
    return markdown([*head, "violations"], lines)


def sizes(file):
    """Bits a value: an array a line, a codec a column; and each one's geometric mean over the best peer."""
    rows = [r for r in read(file) if r.mode in (CACHE, SIZES) and r.codec != "memcpy"]
    label = labels(rows)
    columns = list(dict.fromkeys(label(r) for r in rows))
    found = {(r.array, r.tol, label(r)): r for r in rows}
    lines, ratios = [], {c: {} for c in columns}
    for array, tol, kind in dict.fromkeys((r.array, r.tol, r.kind) for r in rows):
        line = {c: found.get((array, tol, c)) for c in columns}
        bits = {c: r.bits_per_value for c, r in line.items() if r and r.ok}
        others = [b for c, b in bits.items() if not c.startswith("arraycodec")]
        for c, b in bits.items() if others else ():
            ratios[c].setdefault(kind, []).append(b / min(others))
        lines.append([*cell(next(iter(line.values()))), *(f"{bits[c]:.3f}" if c in bits else "" for c in columns)])
    for kind in dict.fromkeys(kind for of in ratios.values() for kind in of):
        means = [ratios[c].get(kind) for c in columns]
        cells = [f"{math.exp(sum(map(math.log, m)) / len(m)):.4f} ({max(m):.4f})" if m else "" for m in means]
        lines.append([f"**{kind}: size / best peer, mean (worst)**", "", *cells])
    return markdown(["array", "tol", *columns], lines)


def _compared(file):
    return cells([r for r in read(file) if r.mode in (CACHE, SIZES)])


def fields(file, only="", *peers):
    """Bits a value, ours and some peers: an array a line; `only` is in the name of its kind or tolerance.

    Behind a peer's figure: * where it broke the bound, the mode of SZ3, and what it was helped with.
    """
    of = [c for c in _compared(file) if only in f"{c.kind} at {c.at}"]
    names = titles()
    own = list(dict.fromkeys(name for c in of for name in c.ours))
    there = set().union(*(c.peers for c in of))
    others = peers or [n for n in (BEST_SZ3, "SPERR", "ZFP") if n == BEST_SZ3 or n in there]
    lines = []
    for c in of:
        at = c.at if c.rel else tolerance(c.tol) if c.tol else "0"
        bits = [c.ours.get(name) for name in own] + [c.peer(name) for name in others]
        lines.append([names.get(c.array, c.array), at, *("" if row is None else _size(row) for row in bits)])
    return markdown(["array", "tol", *own, *others], lines)


def _size(row):
    mode = row.codec.removeprefix("SZ3 ") if row.codec.startswith("SZ3 ") else ""
    notes = [mode, f"{row.slices}-D" if row.slices else "", "filled" if row.filled else ""]
    notes = ", ".join(filter(None, notes))
    return f"{row.bits_per_value:.3f}{'' if row.held else '*'}{f' ({notes})' if notes else ''}"


def means(file, *peers):
    """Our size in units of some peers', geometric means and worst, by kind and tolerance."""
    of = groups(_compared(file))
    own = list(dict.fromkeys(name for g in of for name in g.own))
    peers = peers or (BEST_SZ3, "SPERR")
    lines = []
    for g in of:
        found = {line.codec: line.against for line in g.lines}
        pairs = [found.get(peer, {}).get(name) for peer in peers for name in own]
        figures = [f"{p.mean:.4f} ({p.worst:.3f})" if p else "" for p in pairs]
        lines.append([g.kind, g.at.removesuffix(" of the range"), str(len(g.cells)), *figures])
    head = [f"{name} / {peer}, mean (worst)" for peer in peers for name in own]
    return markdown(["arrays", "tol / range", "cells", *head], lines)


def firsts(file, *own):
    """In how many cells who is smallest: of the peers, and those of ours that are named."""
    of = groups(_compared(file))
    found = [Counter(c.name(row) for c in g.cells if (row := c.winner(*own)) is not None) for g in of]
    columns = [name for name, _ in sum(found, Counter()).most_common()]
    lines = [
        [g.kind, g.at.removesuffix(" of the range"), str(len(g.cells)), *(str(count[n] or "") for n in columns)]
        for g, count in zip(of, found, strict=True)
    ]
    return markdown(["arrays", "tol / range", "cells", *columns], lines)


def curve(file):
    """Levels: size over that of level 1, and speeds, geometric means over the arrays."""
    rows = [r for r in read(file) if r.mode == CACHE and r.codec == "arraycodec" and r.ok]

    def level_of(row):
        return int(row.level) if row.level else DEFAULT_LEVEL

    first = {(r.array, r.tol): r for r in sorted(rows, key=level_of, reverse=True)}
    lines = []
    for level in sorted({level_of(r) for r in rows}):
        of = [r for r in rows if level_of(r) == level]

        def mean(figures):
            return math.exp(sum(map(math.log, figures)) / len(figures))

        size = mean([r.bits_per_value / first[r.array, r.tol].bits_per_value for r in of])
        encode, decode = mean([r.encode_fastest for r in of]), mean([r.decode_fastest for r in of])
        slower = mean([first[r.array, r.tol].encode_fastest / r.encode_fastest for r in of])
        lines.append([str(level), f"{size:.4f}", speed(encode), f"{slower:.1f}", speed(decode)])
    head = ["level", "size, level 1 = 1", "enc MB/s", "times level 1's encoding time", "dec MB/s"]
    return markdown(head, lines)


def summary(file, mode=CACHE):
    """Codecs over all arrays."""
    summaries = summarize(read(file), mode)
    kinds = sorted({kind for s in summaries for kind in s.size if kind})
    head = ["codec", "ratio", "enc MB/s", "dec MB/s", *(f"size: {kind}" for kind in kinds)]
    lines = []
    for s in summaries:
        sizes = ["" if is_limit(s) or kind not in s.size else f"{s.size[kind]:.2f}" for kind in kinds]
        counts = [f"{n} of {s.cells + s.failed}" if n else "" for n in (s.broken, s.lost, s.failed)]
        lines.append([s.codec, f"{s.ratio:.2f}", speed(s.encode), speed(s.decode), *sizes, *counts])
    return markdown([*head, "bound broken", "NaN lost", "failed"], lines)


def versus(file, peer, *names):
    """Our codec beside one other on some arrays, each at its first tolerance."""
    found = {}
    for row in read(file):
        if row.mode == CACHE and row.ok and row.codec in ("arraycodec", peer):
            found.setdefault(row.array, {}).setdefault(row.tol, {}).setdefault(row.codec, row)
    lines = []
    for name in names or found:
        pair = next(iter(found[name].values()))
        ours, other = pair["arraycodec"], pair[peer]
        bits = [f"{r.bits_per_value:.2f}" for r in (ours, other)]
        smaller = ours.bits_per_value > other.bits_per_value
        bits[smaller] = f"**{bits[smaller]}**"
        speeds = [f"{speed(r.encode_fastest)} / {speed(r.decode_fastest)}" for r in (ours, other)]
        lines.append([*cell(ours), bits[0], speeds[0], bits[1], speeds[1], str(other.violations)])
    return markdown(
        ["array", "tol", "arraycodec", "enc / dec MB/s", peer, "enc / dec MB/s", "its violations"], lines
    )  # fmt: skip


def hosts(file):
    """Zarr and HDF5, end to end."""
    head = ["host", "store", "codec", "threads", "ratio", "write MB/s", "read MB/s", "write / none", "read / none"]
    lines = []
    for r in read(file, HostRow):
        names = [r.host, r.store, r.codec, r.threads]
        figures = [f"{r.ratio:.2f}", speed(r.write_fastest), speed(r.read_fastest)]
        compared = [f"{r.write_of_none:.2f}", f"{r.read_of_none:.2f}"]
        lines.append([*names, *figures, *compared] if r.ok else [*names, r.status, "", "", "", ""])
    return markdown(head, lines)


def workers(file):
    """One array by so many processes."""
    return markdown(scaling.HEAD, [scaling.cells(row) for row in read(file, scaling.ScalingRow)])


def checkpoint_(file, small=""):
    """A checkpoint by tolerances; or thousands of small tensors by stores."""
    rows = read(file, checkpoint.CheckpointRow)
    if small:
        found = {(r.store, r.what.split(", ")[1]): r.value for r in rows if r.what.endswith(": size")}
        stores = dict.fromkeys(store for store, _ in found)
        hows = ("in packs: size", "an array each: size")
        names = {"arrc": "single file", "zarr3": "Zarr v3", "hdf5": "HDF5"}
        lines = [[names[store], *(f"{found[store, how]:.2f}" for how in hows)] for store in stores]
        return markdown(["", "side by side", "an array each"], lines)
    kinds = ("size", "cosine, least", "cosine, mean", "similarity of two, largest change")
    found = {(r.tol, r.what): r.value for r in rows}
    lines = []
    for tol in dict.fromkeys(r.tol for r in rows if r.what == "size"):
        size, least, mean, change = (found[tol, kind] for kind in kinds)
        lines.append([tolerance(tol), f"{size:.2f}", f"{least:.6f}", f"{mean:.6f}", f"{change:.2g}"])
    head = ["tol", "bits a weight", "least cosine", "mean cosine", "largest change of a similarity of two sentences"]
    return markdown(head, lines)


def stages(file):
    """Nanoseconds a value, stage by stage."""
    rows = read(file, StageRow)
    columns = list(dict.fromkeys((r.array, r.tol, r.isa) for r in rows))
    found = {(r.stage, (r.array, r.tol, r.isa)): r for r in rows}
    head = ["stage, ns a value"]
    head += [f"{titles().get(array, array)} at {tolerance(tol)}, {isa}" for array, tol, isa in columns]
    lines = []
    for stage in dict.fromkeys(r.stage for r in rows):
        cells = [found.get((stage, column)) for column in columns]
        lines.append([stage, *(f"{r.ns_per_value:.2f}" if r else "" for r in cells)])
    return markdown(head, lines)


def torture(file):
    """Adversarial arrays, a codec a line."""
    lines = []
    for codec, _, (cases, refused, broken, of_broken, lost, of_lost, *others) in array_lines(read(file, TortureRow)):
        pairs = [f"{n} ({of})" if n != "0" else "0" for n, of in ((broken, of_broken), (lost, of_lost))]
        lines.append([codec, cases, refused, *pairs, *others])
    head = ["codec", "cases", "refused", "bound broken (values)", "NaN, Inf lost (values)", "wrong", "crashes", "hangs"]
    return markdown([*head, "bad tolerances accepted"], lines)


def mutations(file):
    """Damaged chunks, a codec a line."""
    return markdown(MUTATIONS_HEAD, [[line.codec, *line.cells] for line in mutation_lines(read(file, MutationRow))])


def coders(file):
    """Entropy coders beside constriction, a coder and model a line."""
    return markdown(coding.HEAD, [coding.cells(row) for row in read(file, coding.CoderRow)])


def literature(file, *systems):
    """Published systems, a variant a line; all of them, or those with one of these texts in their names."""
    rows = [r for r in read(file, published.LiteratureRow) if not systems or any(part in r.system for part in systems)]
    heads = ("system", *published.HEAD)
    lines = [[row.system, *published.cells(row)] for row in rows]
    used = [i for i in range(len(heads)) if any(line[i] for line in lines)]
    return markdown([heads[i] for i in used], [[line[i] for i in used] for line in lines])


def stochastic(file, array, norm, bucket):
    """Values rounded at random, bits a line: sizes, and mean square errors."""
    found = {(r.bits, r.method, r.norm, r.bucket): r for r in read(file, published.StochasticRow) if r.array == array}
    lines = []
    for bits in sorted({key[0] for key in found}):
        original = found[bits, "original", "l2", 0]
        qsgd, dither = (found[bits, method, norm, int(bucket)] for method in ("qsgd", "dither"))
        sizes = [qsgd.packed, qsgd.elias, qsgd.entropy, qsgd.stored, dither.stored]
        errors = [original.mse, qsgd.mse, dither.mse, qsgd.mean_mse, dither.mean_mse, dither.nearest_mse]
        lines.append([str(bits), *(f"{f:.3f}" for f in sizes), *(f"{f:.2g}" for f in errors)])
    head = ["bits", "packed", "Elias", "entropy", "stored: qsgd", "dither", "error: notebook", "qsgd", "dither",
            "mean of 16: qsgd", "dither", "nearest"]  # fmt: skip
    return markdown(head, lines)


TABLES = (
    *(origin, arrays, sizes, fields, means, firsts, curve, summary, versus),
    *(hosts, workers, checkpoint_, stages, torture, mutations, coders, literature, stochastic),
)


def render(text):
    """A document with its tables made anew."""
    parts = text.split(BEGIN)
    result = [parts[0]]
    for part in parts[1:]:
        marker, _, rest = part.partition(" -->\n")
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"no {END} after {BEGIN}{marker} -->")
        kind, *arguments = shlex.split(marker)
        table = {f.__name__.rstrip("_"): f for f in TABLES}[kind](*arguments)
        result.append(f"{BEGIN}{marker} -->\n{table}\n{END}{after}")
    return "".join(result)


def main():
    changed = False
    for path in DOCUMENTS:
        old = path.read_text()
        new = render(old)
        if new != old:
            changed = True
            print(f"{path.name}: {'differs' if '--check' in sys.argv else 'rewritten'}")
            if "--check" not in sys.argv:
                path.write_text(new)
    return int(changed and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
