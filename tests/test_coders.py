"""Entropy coders: golden cases, constriction as a reference, round trips, errors that change nothing."""

import copy
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from arraycodec import coders
from arraycodec.coders import (
    AnsCoder,
    Bernoulli,
    Categorical,
    ChainCoder,
    CustomModel,
    QuantizedCauchy,
    QuantizedGaussian,
    QuantizedLaplace,
    RangeDecoder,
    RangeEncoder,
    ScipyModel,
    Uniform,
)
from arraycodec.errors import DecodeError, ParameterError

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "seed003.json"

# made with constriction 0.5.0
EMBEDDED = """
[
{"name": "seed_gaussian", "model": {"type": "QuantizedGaussian", "min": -100, "max": 100, "mean": [3.2, -14.3,
5.7], "std": [6.4, 4.2, 3.9]}, "data": [2991312382, 3062119789, 1228959102, 1840268610, 974319580, 2967327842,
2367878886, 3088727057, 3090095699, 2109339754], "ans_decode": [7, -18, 7], "ans_after_decode": [2991312382,
3062119789, 1228959102, 1840268610, 974319580, 2967327842, 2367878886, 3088727057, 3662321534, 2078421],
"ans_unsealed": [2991312382, 3062119789, 1228959102, 1840268610, 974319580, 2967327842, 2367878886, 3088727057,
3090095699, 2109339754], "chain_decode": [-3, -20, 1], "chain_remainders": [[2991312382, 3062119789, 1228959102,
1840268610, 974319580, 2967327842], [307446874, 3137073625, 120003433, 28883085]], "chain_data": [[2991312382,
3062119789, 1228959102, 1840268610, 974319580, 2967327842], [2367878886, 3088727057, 3090095699, 2109339754]],
"symbols": [-3, -20, 1], "ans_encoded": [891989091], "range_encoded": [646153962]},
{"name": "seed_categorical_a_perfect", "model": {"type": "Categorical", "perfect": true, "dtype": "float64",
"probabilities": [[0.1, 0.7, 0.1, 0.1], [0.2, 0.2, 0.1, 0.5], [0.2, 0.1, 0.4, 0.3]]}, "data": [2161197361,
3718872172, 1343727168, 18287166], "ans_decode": [0, 0, 2], "ans_after_decode": [2161197361, 3718872172,
938933019, 34614756], "ans_unsealed": [2161197361, 3718872172, 1343727168, 18287166], "chain_decode": [0, 3, 3],
"chain_remainders": [[], [1830870412, 3232332908, 3676180624, 3, 22076800]], "chain_data": [[], [2161197361,
3718872172, 1343727168, 18287166]], "symbols": [0, 3, 3], "ans_encoded": [270113171], "range_encoded":
[365072305]},
{"name": "seed_categorical_b_perfect", "model": {"type": "Categorical", "perfect": true, "dtype": "float64",
"probabilities": [[0.09, 0.71, 0.1, 0.1], [0.2, 0.2, 0.1, 0.5], [0.2, 0.1, 0.4, 0.3]]}, "data": [2161197361,
3718872172, 1343727168, 18287166], "ans_decode": [1, 0, 0], "ans_after_decode": [2161197361, 3718872172,
3844264600, 122453525], "ans_unsealed": [2161197361, 3718872172, 1343727168, 18287166], "chain_decode": [1, 3,
3], "chain_remainders": [[], [1333285029, 1453948012, 1632719730, 27, 22076800]], "chain_data": [[],
[2161197361, 3718872172, 1343727168, 18287166]], "symbols": [1, 3, 3], "ans_encoded": [39762002],
"range_encoded": [2978559611]},
{"name": "gauss_1", "model": {"type": "QuantizedGaussian", "min": -100, "max": 100, "mean": [-13.35232074286455,
4.0947143050245245, -16.711757622887912, -6.3072439911589155, -5.546538521915323, 10.453464242992546,
-10.781363709015205, 6.8065170001705715, 1.420479887088358, 10.614231403549201, 5.623584701757349,
41.44210137994826, -16.591901736675258, 29.979679140405885, -10.065310661060368, -23.948154324795336,
30.27986173421175], "std": [0.18898107039441442, 33.769420422983224, 2.689435954964348, 0.7250726944704016,
20.176560715365305, 0.6149827652327874, 6.746789437545446, 0.2585541692629125, 0.059370327604662376,
7.486850845389202, 0.5644354218352043, 0.5857009393987987, 0.3638780158347741, 0.30507300613365834,
3.0235339906186787, 0.5523956397841244, 1.0688998864376325]}, "data": [4190265432, 2609005421, 867281912,
4279381853, 2169644265, 2125244454, 2514218995, 2404884237, 1805175445, 2371337199, 1732791095, 4268271466,
4054203526, 2347751823, 207070589, 1472090945, 1400476266, 2852861944, 2228793093, 541779572, 2570341037,
55024094, 181656098, 66282542, 1036190040], "ans_decode": [-13, 60, -12, -7, 20, 10, -15, 7, 1, 17, 6, 41, -16,
30, -8, -24, 30], "ans_after_decode": [4190265432, 2609005421, 867281912, 4279381853, 2169644265, 2125244454,
2514218995, 2404884237, 1805175445, 2371337199, 1732791095, 4268271466, 4054203526, 2347751823, 207070589,
1472090945, 1400476266, 2852861944, 2228793093, 541779572, 2570341037, 55024094, 3610385634, 7574361],
"ans_unsealed": [4190265432, 2609005421, 867281912, 4279381853, 2169644265, 2125244454, 2514218995, 2404884237,
1805175445, 2371337199, 1732791095, 4268271466, 4054203526, 2347751823, 207070589, 1472090945, 1400476266,
2852861944, 2228793093, 541779572, 2570341037, 55024094, 181656098, 66282542, 1036190040], "chain_decode": [-13,
36, -18, -8, -22, 10, -4, 7, 1, 10, 6, 42, -17, 30, -9, -25, 30], "chain_remainders": [[4190265432, 2609005421,
867281912, 4279381853, 2169644265, 2125244454, 2514218995, 2404884237, 1805175445, 2371337199, 1732791095],
[3849590539, 1659283297, 2996068107, 3682808025, 503201715, 547429969, 886865916, 3452898669, 912876602,
3034581187, 3127396754, 4016214216, 27440, 510]], "chain_data": [[4190265432, 2609005421, 867281912, 4279381853,
2169644265, 2125244454, 2514218995, 2404884237, 1805175445, 2371337199, 1732791095], [4268271466, 4054203526,
2347751823, 207070589, 1472090945, 1400476266, 2852861944, 2228793093, 541779572, 2570341037, 55024094,
181656098, 66282542, 1036190040]], "symbols": [-13, 9, -19, -7, 34, 11, -7, 7, 1, 9, 5, 41, -17, 30, -9, -24,
30], "ans_encoded": [317631009, 154879701], "range_encoded": [2795967964, 1664873778]},
{"name": "gauss_7", "model": {"type": "QuantizedGaussian", "min": -1000, "max": 1000, "mean":
[-168.15947233226748, -166.8136768069587, -157.9195517018439, -28.6285838288833, 7.0959712243368855,
214.93624129396966, 400.3144597966335, 644.9905196670765, -371.74457551929896, 100.00539971910403,
331.15452550611803, -55.85374629069947, 177.83289536105084, -286.71486848530714, 110.39594099127031,
-44.43853594295749, 427.55754541293106], "std": [3.0658414802024665, 1.1368235331735312, 0.13402678810627097,
3.5210990587924456, 0.10516179429905789, 22.64332951739481, 541.7033601341637, 42.536655691451635,
15.293302795273522, 0.06283412450083004, 411.6679618917438, 6.2330640578595915, 0.6071831125088677,
0.2830228647495978, 0.16328593060581964, 1.9536928290070674, 1.777704605335192]}, "data": [2709745184,
3193887989, 1334069224, 3862080161, 2238888254, 4153040923, 2139520226, 395629519, 1636153170, 1370347012,
3376363578, 1795077266, 2896405754, 1316109987, 2631137881, 4276827144, 3410707740, 1240730635, 518182915,
2797550965, 4006217613, 2770112201, 1118740663, 3805593277, 3319530462], "ans_decode": [-165, -166, -158, -33,
7, 222, 554, 714, -364, 100, 366, -52, 178, -287, 110, -42, 427], "ans_after_decode": [2709745184, 3193887989,
1334069224, 3862080161, 2238888254, 4153040923, 2139520226, 395629519, 1636153170, 1370347012, 3376363578,
1795077266, 2896405754, 1316109987, 2631137881, 4276827144, 3410707740, 1240730635, 518182915, 2797550965,
4006217613, 2770112201, 4128909313, 7], "ans_unsealed": [2709745184, 3193887989, 1334069224, 3862080161,
2238888254, 4153040923, 2139520226, 395629519, 1636153170, 1370347012, 3376363578, 1795077266, 2896405754,
1316109987, 2631137881, 4276827144, 3410707740, 1240730635, 518182915, 2797550965, 4006217613, 2770112201,
1118740663, 3805593277, 3319530462], "chain_decode": [-165, -166, -158, -24, 7, 230, 1000, 708, -346, 100, 906,
-59, 178, -287, 110, -44, 432], "chain_remainders": [[2709745184, 3193887989, 1334069224, 3862080161,
2238888254, 4153040923, 2139520226, 395629519, 1636153170, 1370347012, 3376363578], [2450319080, 226304887,
2160856435, 3458291166, 756116627, 3694406588, 965074711, 4198237568, 1868194072, 532598209, 230902526,
282273826, 362]], "chain_data": [[2709745184, 3193887989, 1334069224, 3862080161, 2238888254, 4153040923,
2139520226, 395629519, 1636153170, 1370347012, 3376363578], [1795077266, 2896405754, 1316109987, 2631137881,
4276827144, 3410707740, 1240730635, 518182915, 2797550965, 4006217613, 2770112201, 1118740663, 3805593277,
3319530462]], "symbols": [-163, -167, -158, -31, 7, 216, -443, 668, -343, 100, 624, -57, 179, -286, 110, -40,
427], "ans_encoded": [1807011472, 1458630225, 117568397], "range_encoded": [4067566422, 139608052, 3579870629]},
{"name": "cat_1_fast_float64", "model": {"type": "Categorical", "perfect": false, "dtype": "float64",
"probabilities": [[0.013394911982109846, 0.008863118285355317, 2.717973798003595], [0.029193600842255994,
2.711038227256822, 1.719820987996897e-10], [1.0587558125212535, 0.0019879390237956896, 1.6794880767260112],
[0.5492443766766528, 5.7277309580618316e-05, 2.190930174284827], [0.002186977793087488, 2.3116943447862415,
0.4263505056917313], [1.2442369127984736, 1.7800729418186254e-05, 1.4959771147431686], [2.7383914332131685,
0.0016702164535599801, 0.00017017860433129317], [2.5502746231802926, 0.13605439186144203, 0.05390281322932581],
[0.2768682378957096, 2.296109411397079e-06, 2.463361294265939], [2.39769366969498e-05, 2.7398091533093445,
0.0003986980250191193], [0.0006017983901932718, 2.7396294032576947, 6.266231720867992e-07],
[0.08742059857350491, 2.126887383998691, 0.5259238456988646], [2.475339099413852, 0.010201237760400581,
0.25469149109680767], [1.9064549638463268, 0.003145942963141771, 0.8306309214615918], [2.739394915096819,
0.000836761771618143, 1.5140262305745356e-07], [0.05361160828617236, 0.0643121130740885, 2.6223081069107987],
[2.3015013056053752, 1.0730636463028833e-07, 0.4387304153593203], [2.737317251432009, 0.002913842172484016,
7.346665672213444e-07], [2.2733795517740405, 9.416747524966194e-06, 0.46684285974949497], [0.5603272884640947,
6.83299234753238e-05, 2.17983620988349]]}, "data": [3694115838, 3150801388, 1811761560, 3128393931, 3497155405,
1392748457, 2980889104, 400101256, 1176401141, 4214167410, 3082054553, 1160884987, 681769983, 45279485,
822374749, 944120069, 2937139986, 573219468, 861358695, 556120049, 1925619337, 2300693544, 3784293359,
822345719, 2851994998, 1346479799, 2927579275, 627004617], "ans_decode": [2, 1, 2, 2, 1, 2, 0, 0, 2, 1, 1, 2, 0,
0, 0, 2, 0, 0, 0, 2], "ans_after_decode": [3694115838, 3150801388, 1811761560, 3128393931, 3497155405,
1392748457, 2980889104, 400101256, 1176401141, 4214167410, 3082054553, 1160884987, 681769983, 45279485,
822374749, 944120069, 2937139986, 573219468, 861358695, 556120049, 1925619337, 2300693544, 3784293359,
822345719, 2851994998, 1346479799, 479708888, 58195981], "ans_unsealed": [3694115838, 3150801388, 1811761560,
3128393931, 3497155405, 1392748457, 2980889104, 400101256, 1176401141, 4214167410, 3082054553, 1160884987,
681769983, 45279485, 822374749, 944120069, 2937139986, 573219468, 861358695, 556120049, 1925619337, 2300693544,
3784293359, 822345719, 2851994998, 1346479799, 2927579275, 627004617], "chain_decode": [2, 1, 2, 2, 1, 2, 0, 0,
2, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0, 0], "chain_remainders": [[3694115838, 3150801388, 1811761560, 3128393931,
3497155405, 1392748457, 2980889104, 400101256, 1176401141, 4214167410, 3082054553, 1160884987], [1151623545,
2772727069, 3809184699, 3074268548, 1363400175, 1060082711, 3112089465, 2156760042, 1903713573, 839573682,
319479225, 815182132, 440456235, 4208887155, 3688027062, 60511619, 1]], "chain_data": [[3694115838, 3150801388,
1811761560, 3128393931, 3497155405, 1392748457, 2980889104, 400101256, 1176401141, 4214167410, 3082054553,
1160884987], [681769983, 45279485, 822374749, 944120069, 2937139986, 573219468, 861358695, 556120049,
1925619337, 2300693544, 3784293359, 822345719, 2851994998, 1346479799, 2927579275, 627004617]], "symbols": [2,
1, 2, 2, 1, 2, 0, 0, 2, 1, 1, 1, 0, 2, 0, 2, 0, 0, 0, 2], "ans_encoded": [128361858], "range_encoded":
[3556054537]}
]
"""


def golden_cases():
    cases = {case["name"]: case for case in json.loads(EMBEDDED)}
    if GOLDEN.exists():
        cases |= {case["name"]: case for case in json.loads(GOLDEN.read_text())["cases"]}
    return [pytest.param(case, id=name) for name, case in cases.items()]


def u32(words):
    return np.array(words, np.uint32)


def lists(arrays):
    return [array.tolist() for array in arrays]


@pytest.mark.parametrize("case", golden_cases())
def test_golden(case):
    model = case["model"]
    count = len(case["symbols"])
    if model["type"] == "QuantizedGaussian":
        family = QuantizedGaussian(model["min"], model["max"])
        params = (np.array(model["mean"]), np.array(model["std"]))
    else:
        probabilities = np.array(model["probabilities"], model["dtype"])
        family, params = Categorical(perfect=model["perfect"]), (probabilities,)
        if probabilities.ndim == 1:
            family, params = Categorical(probabilities, perfect=model["perfect"]), ()
    symbols = np.array(case["symbols"], np.int32)
    ans = AnsCoder()
    ans.encode_reverse(symbols, family, *params)
    assert ans.get_compressed().tolist() == case["ans_encoded"]
    assert ans.decode(family, *(params or [count])).tolist() == case["symbols"] and ans.is_empty()
    encoder = RangeEncoder()
    encoder.encode(symbols, family, *params)
    assert encoder.get_compressed().tolist() == case["range_encoded"]
    decoder = encoder.get_decoder()
    assert decoder.decode(family, *(params or [count])).tolist() == case["symbols"] and decoder.maybe_exhausted()
    if "data" not in case:
        return
    data = u32(case["data"])
    ans = AnsCoder(data, seal=True)
    decoded = ans.decode(family, *params)
    assert decoded.tolist() == case["ans_decode"]
    assert ans.get_compressed().tolist() == case["ans_after_decode"]
    ans.encode_reverse(decoded, family, *params)
    assert ans.get_compressed(unseal=True).tolist() == case["ans_unsealed"] == case["data"]
    chain = ChainCoder(data, seal=True)
    decoded = chain.decode(family, *params)
    assert decoded.tolist() == case["chain_decode"]
    assert lists(chain.get_remainders()) == case["chain_remainders"]
    for remainders in (np.concatenate(chain.get_remainders()), chain.get_remainders()[1]):
        chain = ChainCoder(remainders, is_remainders=True)
        chain.encode_reverse(decoded, family, *params)
        words = lists(chain.get_data(unseal=True))
        assert words[1] == case["chain_data"][1]
    assert case["chain_data"][0] == case["chain_remainders"][0]


def random_case(rng):
    """Name of a class, arguments of its family, and parameters of n symbols, for either package."""
    n = int(rng.integers(1, 30))
    kind = int(rng.integers(7))
    if kind < 3:
        name = ("QuantizedGaussian", "QuantizedLaplace", "QuantizedCauchy")[kind]
        low = int(rng.integers(-500, 1))
        return name, (low, low + int(rng.integers(1, 1000))), (rng.normal(0, 200, n), 10 ** rng.uniform(-3, 3, n))
    if kind == 3:
        low = int(rng.integers(-(10**6), 0))
        support = (low, low + int(rng.integers(1, 2 * 10**6)))
        return "QuantizedGaussian", support, (rng.normal(0, 10**5, n), 10 ** rng.uniform(0, 6, n))
    if kind == 4:
        perfect = bool(rng.integers(2))
        rows = rng.gamma(10 ** rng.uniform(-1.5, 1), 1, (n, int(rng.integers(2, 60))))
        rows[:, 0] += 1e-6
        if rng.integers(2):  # many that are the same: who of them gets what is left?
            rows = np.round(rows, 1) + 0.1
        if rng.integers(2):
            rows /= rows.sum(1, keepdims=True)
        return "Categorical", (None, None, perfect), (rows.astype(rng.choice(["f4", "f8"])),)
    if kind == 5:
        return "Bernoulli", (None, bool(rng.integers(2))), (rng.uniform(0, 1, n).round(int(rng.integers(1, 9))),)
    return "Uniform", (), (rng.integers(2, 10 ** int(rng.integers(1, 7)) + 1, n).astype(np.int32),)


def concrete(name, args, params):
    """Arguments of the concrete model with the first of the parameters."""
    first = [param[0].item() if param.ndim == 1 else param[0] for param in params]
    if name == "Categorical":
        return first[0], None, args[2]
    return (first[0], args[1]) if name == "Bernoulli" else (*args, *first)


def same(a, b):
    assert np.array_equal(a, b) and a.dtype == b.dtype


@pytest.mark.parametrize("seed", range(8))
def test_same_as_constriction(seed):
    stream = pytest.importorskip("constriction").stream
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        name, args, params = random_case(rng)
        n = len(params[0])
        encode, decode = params, params
        if rng.integers(2):
            args, encode, decode = concrete(name, args, params), (), (n,)
        theirs, ours = getattr(stream.model, name)(*args), getattr(coders, name)(*args)
        data = rng.integers(0, 1 << 32, n + 4, dtype=np.uint32)
        if rng.integers(2):
            data[-1] = 0
        a, b = stream.stack.AnsCoder(data, True), AnsCoder(data, True)
        same(a.decode(theirs, *decode), b.decode(ours, *decode))
        assert a.pos() == b.pos() and a.num_words() == b.num_words()
        assert a.num_bits() == b.num_bits() and a.num_valid_bits() == b.num_valid_bits()
        same(a.get_compressed(), b.get_compressed())
        a, b = stream.chain.ChainCoder(data, False, True), ChainCoder(data, False, True)
        symbols = a.decode(theirs, *decode)
        same(symbols, b.decode(ours, *decode))
        for x, y in zip(a.get_remainders(), b.get_remainders(), strict=True):
            same(x, y)
        a, b = (c(np.concatenate(a.get_remainders()), True) for c in (stream.chain.ChainCoder, ChainCoder))
        a.encode_reverse(symbols, theirs, *encode)
        b.encode_reverse(symbols, ours, *encode)
        for unseal in (False, True):
            for x, y in zip(a.get_data(unseal), b.get_data(unseal), strict=True):
                same(x, y)
        a, b = stream.stack.AnsCoder(), AnsCoder()
        a.encode_reverse(symbols, theirs, *encode)
        b.encode_reverse(symbols, ours, *encode)
        same(a.get_compressed(), b.get_compressed())
        a, b = stream.queue.RangeEncoder(), RangeEncoder()
        a.encode(symbols, theirs, *encode)
        b.encode(symbols, ours, *encode)
        same(a.get_compressed(), b.get_compressed())
        assert a.pos() == b.pos() and a.num_words() == b.num_words() and a.is_empty() == b.is_empty()
        a, b = a.get_decoder(), b.get_decoder()
        same(symbols, b.decode(ours, *decode))
        a.decode(theirs, *decode)
        assert a.maybe_exhausted() == b.maybe_exhausted()
        a, b = stream.queue.RangeDecoder(data), RangeDecoder(data)
        try:
            symbols = a.decode(theirs, *decode)
        except AssertionError:
            with pytest.raises(DecodeError):
                b.decode(ours, *decode)
        else:
            same(symbols, b.decode(ours, *decode))


def test_long_streams_are_those_of_constriction():
    """Many words, carries that run through several of them, and one model for all symbols."""
    stream = pytest.importorskip("constriction").stream
    rng = np.random.default_rng(0)
    for scale, support in ((0.2, 3), (3.0, 100), (1e4, 100_000)):
        args = (-support, support, 0.1, scale)
        theirs, ours = stream.model.QuantizedGaussian(*args), QuantizedGaussian(*args)
        symbols = np.clip(rng.normal(0, scale, 50_000).round(), -support, support).astype(np.int32)
        a, b = stream.stack.AnsCoder(), AnsCoder()
        a.encode_reverse(symbols, theirs)
        b.encode_reverse(symbols, ours)
        same(a.get_compressed(), b.get_compressed())
        same(symbols, b.decode(ours, len(symbols)))
        a, b = stream.queue.RangeEncoder(), RangeEncoder()
        a.encode(symbols, theirs)
        b.encode(symbols, ours)
        same(a.get_compressed(), b.get_compressed())
        same(symbols, b.get_decoder().decode(ours, len(symbols)))
    # the widest intervals that can be: 0xffffffff and carries
    a, b = stream.queue.RangeEncoder(), RangeEncoder()
    theirs, ours = stream.model.Uniform(1 << 24), Uniform(1 << 24)
    for symbol in ((1 << 24) - 1, 0, 1) * 40:
        a.encode(symbol, theirs)
        b.encode(symbol, ours)
        same(a.get_compressed(), b.get_compressed())


def test_custom_models_are_those_of_constriction():
    stream = pytest.importorskip("constriction").stream
    rng = np.random.default_rng(1)

    def cdf(x, loc=0.0, scale=3.0):
        return 1 / (1 + np.exp(-(x - loc) / scale))

    def ppf(p, loc=0.0, scale=3.0):
        return loc + scale * np.log(p / (1 - p))

    theirs, ours = stream.model.CustomModel(cdf, ppf, -50, 60), CustomModel(cdf, ppf, -50, 60)
    data = rng.integers(0, 1 << 32, 60, dtype=np.uint32)
    params = rng.normal(0, 10, 50), rng.uniform(1, 9, 50)
    for args in ((50,), params):
        a, b = stream.stack.AnsCoder(data), AnsCoder(data)
        symbols = a.decode(theirs, *args)
        same(symbols, b.decode(ours, *args))
        same(a.get_compressed(), b.get_compressed())
        args = args if len(args) == 2 else ()
        a, b = stream.queue.RangeEncoder(), RangeEncoder()
        a.encode(symbols, theirs, *args)
        b.encode(symbols, ours, *args)
        same(a.get_compressed(), b.get_compressed())


class Steps:
    """Something like a distribution of scipy, with a poor guess."""

    @staticmethod
    def cdf(x):
        return min(max(x / 10, 0), 1)

    @staticmethod
    def ppf(p):
        return float("nan") if p < 0.1 else -1e300


MODELS = {
    "perfect": Categorical(np.array([0.1, 0.6, 0.05, 0.2, 0.05]), perfect=True),
    "fast": Categorical(np.arange(1, 2000, dtype=np.float32), perfect=False),
    "gaussian": QuantizedGaussian(-30, 40, 3.2, 5.1),
    "wide": QuantizedGaussian(-2000, 2000, 1.0, 600.0),
    "laplace": QuantizedLaplace(-30, 40, -2.0, 0.4),
    "cauchy": QuantizedCauchy(-1000, 1000, 7.0, 3.0),
    "bernoulli": Bernoulli(0.003),
    "sure": Bernoulli(0.0, perfect=False),
    "uniform": Uniform(17),
    "custom": ScipyModel(Steps, -5, 15),
}


@pytest.mark.parametrize("preset", ["default", "small"])
@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, preset):
    model = MODELS[name]
    dtype = np.uint32 if preset == "default" else np.uint16
    rng = np.random.default_rng(2)
    data = rng.integers(0, np.iinfo(dtype).max, 4000, dtype, endpoint=True)
    for n in (0, 1, 7, 2000):
        ans = AnsCoder(data, seal=True, preset=preset)
        symbols = ans.decode(model, n)
        assert symbols.shape == (n,) and symbols.dtype == np.int32
        ans.encode_reverse(symbols, model)
        same(ans.get_compressed(unseal=True), data)
        chain = ChainCoder(data, seal=True, preset=preset)
        symbols = chain.decode(model, n)
        chain = ChainCoder(np.concatenate(chain.get_remainders()), is_remainders=True, preset=preset)
        chain.encode_reverse(symbols, model)
        same(np.concatenate(chain.get_data(unseal=True)), data)
        ans = AnsCoder(preset=preset)
        ans.encode_reverse(symbols, model)
        assert ans.get_compressed().dtype == dtype and len(ans.get_compressed()) == ans.num_words()
        ans = AnsCoder(ans.get_compressed(), preset=preset)
        one_by_one = ans.clone()
        same(ans.decode(model, n), symbols)
        assert ans.is_empty()
        assert [one_by_one.decode(model) for _ in range(min(n, 50))] == symbols[:50].tolist()
        encoder = RangeEncoder(preset=preset)
        encoder.encode(symbols[: n // 2], model)
        middle = encoder.pos()
        encoder.get_compressed()
        for symbol in symbols[n // 2 : n // 2 + 50]:
            encoder.encode(symbol, model)
        encoder.encode(symbols[n // 2 + 50 :], model)
        words = encoder.get_compressed()
        assert words.dtype == dtype and len(words) == encoder.num_words()
        decoder = RangeDecoder(words, preset=preset)
        same(decoder.decode(model, n // 2), symbols[: n // 2])
        assert decoder.pos() == middle
        if middle[0] <= len(words):
            again = RangeDecoder(words, preset=preset)
            again.seek(*middle)
            same(again.decode(model, n - n // 2), symbols[n // 2 :])
        same(decoder.decode(model, n - n // 2), symbols[n // 2 :])
        assert decoder.maybe_exhausted()


@pytest.mark.parametrize("preset", ["default", "small"])
def test_families_are_their_models(preset):
    rng = np.random.default_rng(3)
    for _ in range(300):
        name, args, params = random_case(rng)
        n = len(params[0])
        params = tuple(np.repeat(param[:1], n, 0) for param in params)
        family, model = getattr(coders, name)(*args), getattr(coders, name)(*concrete(name, args, params))
        data = rng.integers(0, 1 << 16, 2 * n + 9).astype(np.uint16 if preset == "small" else np.uint32)
        a, b = (AnsCoder(data, seal=True, preset=preset) for _ in range(2))
        try:
            symbols = a.decode(family, *params)
        except ParameterError:  # too many symbols for 12 bits
            assert preset == "small"
            with pytest.raises(ParameterError):
                b.decode(model, n)
            continue
        same(symbols, b.decode(model, n))
        a.encode_reverse(symbols, family, *params)
        b.encode_reverse(symbols, model)
        same(a.get_compressed(unseal=True), data)
        same(b.get_compressed(unseal=True), data)


def test_parts_of_parameters():
    means, stds = np.array([1.0, -4.0, 3.0]), np.array([2.0, 0.3, 8.0])
    data = u32(range(1, 9))
    by_both = AnsCoder(data).decode(QuantizedGaussian(-9, 9), means, np.full(3, 2.5))
    same(by_both, AnsCoder(data).decode(QuantizedGaussian(-9, 9, std=2.5), means))
    by_both = AnsCoder(data).decode(QuantizedCauchy(-9, 9), np.full(3, 0.5), stds.astype(np.float32))
    same(by_both, AnsCoder(data).decode(QuantizedCauchy(-9, 9, loc=0.5), stds.astype(np.float32)))


def test_ans_positions():
    model = Uniform(1000)
    coder = AnsCoder()
    coder.encode_reverse(np.arange(100), model)
    position = coder.pos()
    coder.encode_reverse(np.arange(500), model)
    words = coder.get_compressed()
    with pytest.raises(ParameterError, match="position"):
        coder.seek(len(words) + 1, 1 << 40)
    with pytest.raises(ParameterError, match="state"):
        coder.seek(3, 5)
    same(coder.get_compressed(), words)
    coder.seek(*position)
    same(coder.decode(model, 100), np.arange(100, dtype=np.int32))
    for clear in (coder.clear, coder.reset):
        coder.encode_reverse(5, model)
        assert not coder.is_empty() and coder.num_bits() == 32 and coder.num_valid_bits() > 0
        clear()
        assert coder.is_empty() and coder.num_words() == coder.num_bits() == coder.num_valid_bits() == 0


def test_clear_of_a_range_encoder():
    encoder = RangeEncoder()
    for symbol in range(200):
        encoder.encode(symbol, Uniform(1 << 20))
        other = encoder.clone()
        other.clear()  # also while words wait for a carry
        assert other.is_empty() and not other.num_words() and not len(other.get_compressed())
        other.encode([3, 4], Uniform(5))
        same(other.get_decoder().decode(Uniform(5), 2), np.array([3, 4], np.int32))
    assert encoder.num_bits() == 32 * encoder.num_words()


def snapshot(coder):
    return coder._state(), *(words.tolist() for words in coder._words())


def all_coders():
    data = np.random.default_rng(4).integers(1, 1 << 32, 9, dtype=np.uint32)
    encoder = RangeEncoder()
    encoder.encode(np.arange(50), Uniform(1000))
    chain = ChainCoder(data)
    chain.decode(Uniform(2), 3)
    return [AnsCoder(data), chain, encoder, RangeDecoder(data)]


NAN = float("nan")
BAD_CALLS = [
    (Uniform(10), ([1, 2, 10, 3],), (), "symbol 10 at position 2"),
    (Uniform(10), ([1, -1],), (), "symbol -1 at position 1"),
    (QuantizedGaussian(-5, 5, 0, 1), ([1, 2] * 3000 + [6],), (), "symbol 6 at position 6000"),
    (QuantizedGaussian(-9_000, 9_000, 0, 1), ([1, 9_001],), (), "symbol 9001 at position 1"),
    (Categorical(np.ones(3)), ([1, 3],), (), "symbol 3 at position 1"),
    (Bernoulli(0.5), (2,), (), "symbol 2 at position 0"),
    (Uniform(10), (1.5,), (), "integer"),
    (Uniform(10), ([1.5],), (), "integers"),
    (Uniform(10), ([[1]],), (), "one dimension"),
    (Uniform(10), ([1 << 40],), (), "1099511627776 at position 0"),
    (QuantizedGaussian(-5, 5), ([1, 2, 7],), ([0, 0, 0], [1, 1, 1]), "symbol 7 at position 2"),
    (QuantizedGaussian(-5, 5), ([1, 2],), ([0, NAN], [1, 1]), "mean must be finite; it is nan at position 1"),
    (QuantizedGaussian(-5, 5), ([1, 2],), ([0, 0], [1, 0]), "std must be positive and finite; it is 0.0 at position 1"),
    (QuantizedLaplace(-5, 5), ([1, 2],), ([0, 0], [NAN, 1]), "scale .* nan at position 0"),
    (QuantizedCauchy(-5, 5), ([1, 2],), ([0, float("inf")], [1, 1]), "loc .* inf at position 1"),
    (QuantizedCauchy(-5, 5, 1.0), ([1, 2],), ([1, -1],), "scale .* -1.0 at position 1"),
    (QuantizedGaussian(-5, 5), ([1, 2],), ([0, 0],), "needs 2 parameters"),
    (QuantizedGaussian(-5, 5), ([1, 2],), ([0, 0], [1]), "different lengths"),
    (QuantizedGaussian(-5, 5), ([1, 2],), ([0, 0], ["a", "b"]), "std must be numbers"),
    (Uniform(), ([1, 2],), ([5, 1],), "size .* 1 at position 1"),
    (Uniform(), ([1, 2],), ([5.0, 6.0],), "size must be integers"),
    (Bernoulli(), ([1, 0],), ([0.5, 1.5],), "p .* 1.5 at position 1"),
    (Categorical(), ([1, 0],), (np.array([[1, 2], [1, -2.0]]),), "symbol 1 is -2.0 at position 1"),
    (Categorical(perfect=False), ([1, 0],), (np.array([[1, 2], [NAN, 2.0]]),), "symbol 0 is nan at position 1"),
    (Categorical(), ([1, 0],), (np.array([[1, 2], [0, 0.0]]),), "sum to 0.0 at position 1"),
    (Categorical(), ([1, 0],), (np.array([[1], [1.0]]),), "1 probabilities"),
    (Categorical(), ([1, 0],), (np.array([[1, 1], [1, 1]]),), "float32 or float64"),
    (Categorical(np.ones(3)), ([1, 0],), (np.ones((2, 3)),), "needs 0 parameters"),
]


@pytest.mark.parametrize("model, symbols, params, message", BAD_CALLS)
def test_bad_calls_change_nothing(model, symbols, params, message):
    for coder in all_coders():
        before = snapshot(coder)
        if not isinstance(coder, RangeDecoder):
            with pytest.raises(ParameterError, match=message):
                encode = coder.encode if isinstance(coder, RangeEncoder) else coder.encode_reverse
                encode(*symbols, model, *params)
            assert snapshot(coder) == before
        if params and "symbol 7" not in message and hasattr(coder, "decode"):
            with pytest.raises(ParameterError, match=message):
                coder.decode(model, *params)
            assert snapshot(coder) == before


def test_what_runs_out_changes_nothing():
    data = u32([1, 2, 3, 4])
    for model in (Uniform(1000), QuantizedGaussian(-9000, 9000, 0, 100)):
        coder = ChainCoder(data)
        before = snapshot(coder)
        for amount in (6, 500):
            with pytest.raises(DecodeError, match="no compressed words are left at position 2"):
                coder.decode(model, amount)
            assert snapshot(coder) == before
    coder = ChainCoder(data)
    with pytest.raises(DecodeError, match="position 2"):
        coder.decode(QuantizedGaussian(-5, 5), np.zeros(9), np.ones(9))
    assert snapshot(coder) == before
    coder = ChainCoder(data, is_remainders=True)
    before = snapshot(coder)
    for amount in (40, 2000):
        with pytest.raises(ParameterError, match=f"no remainders .* position {amount - 5}"):
            coder.encode_reverse(np.ones(amount, int), Uniform(1000))
        assert snapshot(coder) == before
    for amount in (9, 500):
        decoder = RangeDecoder(u32([0xFFFFFFFF] * 9))
        before = snapshot(decoder)
        with pytest.raises(DecodeError, match="position 0"):
            decoder.decode(Uniform(7), amount)
        assert snapshot(decoder) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnsCoder(np.array([1, 2])),
        lambda: AnsCoder(np.ones(3, np.float32)),
        lambda: AnsCoder(np.ones((1, 3), np.uint32)),
        lambda: AnsCoder(np.ones(3, np.uint32), preset="small"),
        lambda: AnsCoder(preset="large"),
        lambda: AnsCoder(u32([1, 0])),
        lambda: AnsCoder(seal=True),
        lambda: AnsCoder(u32([5])).get_compressed(unseal=True),
        lambda: ChainCoder(u32([])),
        lambda: ChainCoder(u32([]), seal=True),
        lambda: ChainCoder(u32([1, 0])),
        lambda: ChainCoder(u32([1, 0]), is_remainders=True),
        lambda: ChainCoder(u32([7]), is_remainders=True),
        lambda: ChainCoder(u32([1, 2]), is_remainders=True, seal=True),
        lambda: ChainCoder(np.ones(9, np.int32)),
        lambda: RangeDecoder(np.ones(9, np.uint16)),
        lambda: RangeDecoder(u32([1])).seek(2, (0, 1 << 40)),
        lambda: RangeDecoder(u32([1])).seek(0, (0, 5)),
        lambda: QuantizedGaussian(5, 5),
        lambda: QuantizedGaussian(0, 1 << 24),
        lambda: QuantizedGaussian(0, 1 << 40),
        lambda: QuantizedGaussian(0.5, 3),
        lambda: QuantizedGaussian(0, 3, 0, 0),
        lambda: QuantizedGaussian(0, 3, NAN, 1),
        lambda: QuantizedGaussian(0, 3, mean=NAN),
        lambda: QuantizedGaussian(0, 3, std=-1),
        lambda: QuantizedCauchy(0, 3, scale=float("inf")),
        lambda: QuantizedGaussian(0, 3, 10**400, 1),
        lambda: Bernoulli(10**400),
        lambda: ScipyModel(3, 0, 5),
        lambda: RangeDecoder(u32([1])).seek(0, 5),
        lambda: RangeDecoder(u32([1])).seek(0, (1, 2, 3)),
        lambda: Categorical(np.full(4, 1e-33, np.float32), perfect=False),
        lambda: Categorical(np.full(4, 1e-305), perfect=False),
        lambda: Categorical(np.full(4, 1e-305)),
        lambda: AnsCoder().decode(Categorical(perfect=False), np.full((5, 3), 1e-33, np.float32)),
        lambda: Uniform(10).__init__(3),
        lambda: QuantizedLaplace(0, 3, 0, -1),
        lambda: QuantizedCauchy(0, 3, 0, NAN),
        lambda: QuantizedCauchy(0, 3, "x", 1),
        lambda: Categorical([0.5, 0.5], True, True),
        lambda: Categorical(np.array([0.5, -0.5])),
        lambda: Categorical(np.array([0.5, NAN]), perfect=False),
        lambda: Categorical(np.array([0.0, 0.0])),
        lambda: Categorical(np.array([1e308, 1e308])),
        lambda: Categorical(np.array([1.0])),
        lambda: Categorical(np.array([])),
        lambda: Categorical(np.array([1, 2])),
        lambda: Bernoulli(1.01),
        lambda: Uniform(1),
        lambda: Uniform((1 << 24) + 1),
        lambda: CustomModel(1, 2, 3, 4),
        lambda: AnsCoder(preset="small").encode_reverse(1, Uniform(5000)),
        lambda: AnsCoder(preset="small").encode_reverse(1, QuantizedGaussian(0, 5000, 0, 1)),
        lambda: AnsCoder(preset="small").encode_reverse(1, Categorical(np.ones(4095), perfect=False)),
        lambda: AnsCoder().encode_reverse(1, None),
        lambda: AnsCoder().encode_reverse(1, Uniform(), [2]),
        lambda: AnsCoder().decode(None),
        lambda: AnsCoder().decode(Uniform()),
        lambda: AnsCoder().decode(Uniform(5), -1),
        lambda: AnsCoder().decode(Uniform(5), 1.5),
        lambda: AnsCoder().decode(Uniform(), 3),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ParameterError):
        make()


def test_limits_are_those_of_the_kind():
    small = AnsCoder(preset="small")
    small.encode_reverse([4095], Categorical(np.ones(4096)))
    with pytest.raises(ParameterError, match=r"4097 probabilities; a model of 12 bits has 2 \.\. 2\^12 symbols"):
        small.encode_reverse([1], Categorical(np.ones(4097)))
    with pytest.raises(ParameterError, match=r"4095 probabilities; a model of 12 bits has 2 \.\. 2\^12 - 2 symbols"):
        small.encode_reverse([1], Categorical(np.ones(4095), perfect=False))


def test_any_layout_of_arrays():
    """Byte order and strides are those of the array, not of the numbers."""
    rng = np.random.default_rng(6)
    rows, symbols = rng.dirichlet(np.ones(7), 90), rng.integers(0, 7, 90)
    expected = None
    for p in (rows, np.asfortranarray(rows), rows.astype(">f8"), np.repeat(rows, 2, 0)[::2]):
        for s in (symbols, symbols.astype(">i2"), symbols[::-1].copy()[::-1]):
            coder = AnsCoder()
            coder.encode_reverse(s, Categorical(perfect=False), p)
            words = coder.get_compressed()
            expected = words if expected is None else expected
            same(words, expected)
            same(coder.decode(Categorical(perfect=False), p), symbols.astype(np.int32))


def test_seeking_while_the_position_is_asked_for():
    class Position:
        def __index__(self):
            coder.__init__(np.ones(4, np.uint32))
            return 500

    coder = AnsCoder(np.ones(1000, np.uint32))
    with pytest.raises(ParameterError, match="position 500"):
        coder.seek(Position(), 1 << 40)
    assert len(coder.get_compressed()) == 4
    decoder = RangeDecoder(np.ones(1000, np.uint32))
    coder = decoder
    with pytest.raises(ParameterError, match="position 500"):
        decoder.seek(Position(), (0, 1 << 40))


@pytest.mark.parametrize("name", ["ans", "range", "chain", "lanes"])
def test_symbols_that_change_meanwhile(name):
    """What another thread writes is a symbol of the model, or an error: never a place in memory."""
    symbols = np.zeros(300_000, np.int32)
    done = threading.Event()

    def write():
        while not done.is_set():
            symbols[-5000:] = 1 << 30
            symbols[:5000] = -(1 << 30)
            symbols[-5000:] = 0
            symbols[:5000] = 0

    thread = threading.Thread(target=write)
    thread.start()
    model, errors = Uniform(10), 0
    chain = ChainCoder(np.arange(1, 300_000, dtype=np.uint32), is_remainders=True)
    lanes = coders.LaneAnsCoder(len(symbols))
    try:
        for _ in range(60):
            coder = {"ans": AnsCoder, "range": RangeEncoder, "chain": chain.clone, "lanes": lanes.clone}[name]()
            before = None if name == "lanes" else snapshot(coder)
            try:
                if name == "lanes":
                    coder.push(symbols, model)
                else:
                    (coder.encode if name == "range" else coder.encode_reverse)(symbols, model)
            except ParameterError as error:
                errors += 1
                assert "outside of the support" in str(error)
                assert coder.is_empty() if name == "lanes" else snapshot(coder) == before
    finally:
        done.set()
        thread.join()
    assert errors


def test_what_is_asked_of_a_coder_in_use_is_whole():
    """Another thread encodes: words are those of some number of whole calls, or the coder says that it is in use."""
    encoder, model = RangeEncoder(), Uniform(1000)
    part = np.arange(1000) % 997
    done, calls, seen = threading.Event(), [], []

    def write():
        while not done.is_set() and len(calls) < 5000:
            try:
                encoder.encode(part, model)
            except ParameterError:
                continue
            calls.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    while len(seen) < 50 and thread.is_alive():
        try:
            seen.append(encoder.get_compressed())
        except ParameterError as error:
            assert "in use" in str(error)
    done.set()
    thread.join()
    expected, lengths = RangeEncoder(), {0}
    for _ in calls:
        expected.encode(part, model)
        lengths.add(expected.num_words())
    whole = expected.get_compressed()
    same(encoder.get_compressed(), whole)
    assert seen and all(len(words) in lengths for words in seen)
    assert all(np.array_equal(words[:-3], whole[: max(len(words) - 3, 0)]) for words in seen)


def test_unsealing_needs_all_symbols():
    data = u32([5, 6, 7, 8])
    coder, model = ChainCoder(data, seal=True), Uniform(1000)
    coder.decode(model, 2)
    with pytest.raises(ParameterError, match="whole"):
        coder.get_data(unseal=True)
    coder = AnsCoder(data, seal=True)
    symbols = coder.decode(model, 2)
    with pytest.raises(ParameterError, match="whole"):
        coder.get_compressed(unseal=True)
    coder.encode_reverse(symbols, model)
    same(coder.get_compressed(unseal=True), data)


def test_callbacks():
    def fails(x):
        if x > 3:
            raise ZeroDivisionError("of the test")
        return 0.5 + x / 100

    coder = AnsCoder(u32([1, 2, 0xFFFFFFFF, 4]))
    before = snapshot(coder)
    with pytest.raises(ZeroDivisionError, match="of the test"):
        coder.decode(CustomModel(fails, lambda p: p * 10, -9, 9), 9)
    with pytest.raises(ZeroDivisionError, match="of the test"):
        coder.encode_reverse([1, 9], CustomModel(fails, fails, -9, 9))
    with pytest.raises(ParameterError, match="outside of the support"):
        coder.encode_reverse([1, 10], CustomModel(fails, fails, -9, 9))
    with pytest.raises(ParameterError, match="decreases at symbol 0, at position 1"):
        coder.encode_reverse([9, 0], CustomModel(lambda x: 0.5 - x / 20, lambda p: 0, -9, 9))
    for value, message in ((NAN, "it is nan"), (1e300, "it is 1e"), (-1, "it is -1"), (None, "it returns None")):
        model = CustomModel(lambda x, value=value: value, lambda p: 0, -9, 9)
        with pytest.raises(ParameterError, match=f"position 0, {message}"):
            coder.decode(model, 9)
        with pytest.raises(ParameterError, match=f"position 1, {message}"):
            coder.encode_reverse([-9, 5], CustomModel(lambda x, v=value: v if x > 0 else 0.25, lambda p: 0, -9, 9))
    small = AnsCoder(preset="small")
    for call in (lambda m: small.encode_reverse([1, 2], m), lambda m: small.decode(m, 2)):
        with pytest.raises(ParameterError, match=r"5000 symbols; a model of 12 bits has 2 \.\. 2\^12"):
            call(CustomModel(lambda x: 0.5, lambda p: 0, 1, 5000))
    with pytest.raises(ParameterError, match="in use"):
        coder.decode(CustomModel(lambda x: coder.decode(Uniform(2)), lambda p: 0, -9, 9), 9)
    assert snapshot(coder) == before


def test_copies_are_independent():
    for coder in all_coders():
        before = snapshot(coder)
        for other in (coder.clone(), copy.copy(coder), copy.deepcopy(coder)):
            assert snapshot(other) == before and type(other) is type(coder)
            if isinstance(other, RangeEncoder):
                other.encode(1, Uniform(100))
            else:
                other.decode(Uniform(100))
            assert snapshot(coder) == before != snapshot(other)


def test_threads_share_models():
    model = QuantizedGaussian(-3000, 3000, 0, 500)
    data = np.random.default_rng(5).integers(0, 1 << 32, 5000, dtype=np.uint32)
    results = []

    def work():
        coder = AnsCoder(data, seal=True)
        symbols = coder.decode(model, 5000)
        coder.encode_reverse(symbols, model)
        results.append((symbols, coder.get_compressed(unseal=True)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for symbols, words in results:
        same(symbols, results[0][0])
        same(words, data)


def test_the_last_symbol_may_lose_all_in_float():
    """Sums of floats may be rounded up to 2^24: the symbols before the last are still what constriction has."""
    row = np.array([0.7, 0.1, 0], np.float32)
    found = False
    for i in range(200):
        row[0] = 0.7 + i / 1000
        model = Categorical(row, perfect=False)
        try:
            AnsCoder().encode_reverse(2, model)
        except ParameterError:
            found = True
            with pytest.raises(ParameterError):
                AnsCoder().encode_reverse([2], Categorical(perfect=False), row[None])
        coder = AnsCoder(u32([0xFFFFFFFF] * 9))
        symbols = coder.decode(model, 3)
        same(symbols, AnsCoder(u32([0xFFFFFFFF] * 9)).decode(Categorical(perfect=False), np.repeat(row[None], 3, 0)))
        coder.encode_reverse(symbols, model)
        same(coder.get_compressed(), u32([0xFFFFFFFF] * 9))
    assert found


def test_public_names():
    assert all(hasattr(coders, name) for name in coders.__all__)
    with pytest.raises(TypeError):
        coders.Model()
    assert repr(QuantizedGaussian(-1, 2, std=3.0)) == "QuantizedGaussian(-1, 2, mean=None, std=3.0)"
