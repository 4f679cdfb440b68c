/* model.c: frequency tables.  Used by the windows stage for tokens and by the group sequence.
 *
 * Invariants: see model.h.  A table is written as exp-Golomb coded differences of neighbouring
 * frequencies (J. Teuhola, "A compression method for clustered bit-vectors", 1978; the order is
 * chosen by cost), all bits of them or only the leading ones, or as a curve with a shape, a scale and a centre:
 * whichever costs least with what it makes of the symbols.  The reader refuses whatever does not sum to 2^P.
 * All of it is integers but for the encoder's choice, which uses no function that could differ between machines.
 */
#include "model.h"

#include <math.h>

#include "../arraycodec.h"

/* 2^16 log2(1 + i/256) */
static const uint32_t LOG2_TABLE[257] = {
    0, 369, 736, 1102, 1466, 1829, 2190, 2551, 2909, 3267, 3623, 3978, 4331, 4683, 5034, 5384,
    5732, 6079, 6425, 6769, 7112, 7454, 7795, 8134, 8473, 8810, 9146, 9480, 9814, 10146, 10477, 10807,
    11136, 11464, 11791, 12116, 12440, 12764, 13086, 13407, 13727, 14046, 14363, 14680, 14996, 15310, 15624, 15937,
    16248, 16559, 16868, 17177, 17484, 17791, 18096, 18401, 18704, 19007, 19308, 19609, 19909, 20207, 20505, 20802,
    21098, 21393, 21687, 21980, 22272, 22564, 22854, 23144, 23433, 23720, 24007, 24293, 24579, 24863, 25146, 25429,
    25711, 25992, 26272, 26551, 26830, 27108, 27384, 27660, 27936, 28210, 28484, 28757, 29029, 29300, 29571, 29840,
    30109, 30378, 30645, 30912, 31178, 31443, 31707, 31971, 32234, 32496, 32758, 33019, 33279, 33538, 33797, 34055,
    34312, 34569, 34825, 35080, 35334, 35588, 35841, 36094, 36346, 36597, 36847, 37097, 37346, 37595, 37842, 38090,
    38336, 38582, 38827, 39072, 39316, 39559, 39802, 40044, 40286, 40527, 40767, 41006, 41246, 41484, 41722, 41959,
    42196, 42432, 42667, 42902, 43137, 43370, 43603, 43836, 44068, 44300, 44530, 44761, 44990, 45220, 45448, 45676,
    45904, 46131, 46357, 46583, 46809, 47034, 47258, 47482, 47705, 47928, 48150, 48372, 48593, 48813, 49034, 49253,
    49472, 49691, 49909, 50127, 50344, 50560, 50776, 50992, 51207, 51422, 51636, 51850, 52063, 52276, 52488, 52700,
    52911, 53122, 53332, 53542, 53751, 53960, 54169, 54377, 54584, 54791, 54998, 55204, 55410, 55615, 55820, 56025,
    56229, 56432, 56635, 56838, 57040, 57242, 57443, 57644, 57845, 58045, 58245, 58444, 58643, 58841, 59039, 59237,
    59434, 59631, 59827, 60023, 60219, 60414, 60609, 60803, 60997, 61190, 61384, 61576, 61769, 61961, 62152, 62343,
    62534, 62725, 62915, 63104, 63294, 63483, 63671, 63859, 64047, 64234, 64421, 64608, 64794, 64980, 65166, 65351,
    65536};

uint32_t ac_log2(uint32_t v) {
  const unsigned e = 31 - (unsigned)__builtin_clz(v);
  const uint32_t m = v << (31 - e); /* 1.31 fixed point */
  const uint32_t i = m >> 23 & 255, f = m >> 7 & 65535;
  return (e << 16) + LOG2_TABLE[i] + (((LOG2_TABLE[i + 1] - LOG2_TABLE[i]) * f) >> 16);
}

/* What adding one to a frequency gains (up), or taking one from it; -infinity where that is not allowed. */
static double change(uint32_t count, uint16_t freq, int up, double half, uint32_t total) {
  if (!freq || (up ? freq >= total - 1 : freq < 2)) return -HUGE_VAL;
  const double nats = count / (freq + half);
  return up ? nats : -nats;
}

void ac_model_normalize(const uint32_t *count, unsigned K, unsigned P, uint16_t *freq) {
  const uint32_t total = 1u << P;
  uint64_t n = 0;
  uint32_t sum = 0;
  for (unsigned i = 0; i < K; i++) n += count[i];
  for (unsigned i = 0; i < K; i++) {
    uint64_t f = count[i] ? (count[i] * (uint64_t)total + n / 2) / n : 0;
    if (count[i] && f < 1) f = 1;
    if (f > total - 1) f = total - 1;
    freq[i] = (uint16_t)f;
    sum += (uint32_t)f;
  }
  if (sum == total) return;
  /* Give or take one at a time where the code length changes least: adding one to f saves about
   * c / (f + 1/2) nats, taking one costs about c / (f - 1/2). */
  const int up = sum < total;
  const double half = up ? 0.5 : -0.5;
  double gain[AC_MAX_TOKENS];
  for (unsigned i = 0; i < K; i++) gain[i] = change(count[i], freq[i], up, half, total);
  while (sum != total) {
    unsigned best = 0;
    for (unsigned i = 1; i < K; i++)
      if (gain[i] > gain[best]) best = i;
    freq[best] = (uint16_t)(freq[best] + (up ? 1 : -1));
    sum += up ? 1u : -1u;
    gain[best] = change(count[best], freq[best], up, half, total);
  }
}

/* ---- tables with fewer bits ---- */
static uint32_t difference(const uint16_t *code, unsigned i) {
  return (uint32_t)ac_zigzag((int32_t)code[i] - (i ? code[i - 1] : 0));
}

enum { KIND_BITS = 3, ORDER_BITS = 3, SHAPE_BITS = 2, SCALE_BITS = 7, CENTRE_BITS = 8 };

/* Bits of the codes, with the order that takes fewest. */
static unsigned code_bits(ac_table *table, unsigned K) {
  unsigned least = ~0u;
  for (unsigned o = 0; o < 1u << ORDER_BITS; o++) {
    unsigned bits = KIND_BITS + ORDER_BITS;
    for (unsigned i = 0; i < K; i++) bits += ac_golomb_bits(difference(table->code, i), o);
    if (bits < least) {
      least = bits;
      table->order = (uint8_t)o;
    }
  }
  return least;
}

unsigned ac_model_table_bits(const ac_table *table, unsigned K) {
  if (table->kind == AC_TABLE_CURVE) return SHAPE_BITS + SCALE_BITS + CENTRE_BITS;
  ac_table copy = *table;
  return code_bits(&copy, K);
}

static unsigned largest(const uint16_t *v, unsigned K) {
  unsigned most = 0;
  for (unsigned i = 1; i < K; i++)
    if (v[i] > v[most]) most = i;
  return most;
}

/* The first of the largest frequencies takes what the others leave of 2^P; 0 if that is nothing. */
static int complete(uint16_t *freq, unsigned K, unsigned P, unsigned at) {
  int32_t left = 1 << P;
  for (unsigned i = 0; i < K; i++) left -= i == at ? 0 : freq[i];
  if (left < 1 || left >= 1 << P) return 0;
  freq[at] = (uint16_t)left;
  return 1;
}

/* Frequencies of m bits after the leading one.  Each is rounded so that the sum of all so far is nearest to
 * what it should be; 0 if no such table is one. */
static int round_table(const uint16_t *exact, unsigned K, unsigned P, unsigned m, uint16_t *freq, ac_table *table) {
  int32_t behind = 0;
  table->kind = (uint8_t)m;
  for (unsigned i = 0; i < K; i++) {
    uint32_t code = ac_shorten(exact[i], m);
    const int32_t below = (int32_t)(exact[i] - ac_expand_short(code, m));
    const int32_t above = (int32_t)(ac_expand_short(code + 1, m) - exact[i]);
    if (exact[i] && below && behind + below > above - behind && ac_expand_short(code + 1, m) < 1u << P) code++;
    table->code[i] = (uint16_t)code;
    freq[i] = (uint16_t)ac_expand_short(code, m);
    behind += exact[i] - freq[i];
  }
  return complete(freq, K, P, largest(table->code, K));
}

/* ---- curves ---- */
/* 2^-(e / 2^16), in units of 2^-24: a cubic that is within 1.2e-4 of it. */
static uint32_t power(uint32_t e) {
  if (e >> 16 > 24) return 0;
  const uint64_t f = e & 65535;
  const uint64_t p = 65536 - (f * (45309 - (f * (15105 - (f * 2563 >> 16)) >> 16)) >> 16);
  return (uint32_t)(p << 8 >> (e >> 16));
}

/* log2 of how much less likely a symbol is that lies t / 2^16 standard deviations from the centre, in units of
 * 2^-16: normal, Laplace, between them, and Student's t with four degrees of freedom (but for its scale). */
static uint32_t shape_bits(unsigned shape, uint32_t t) {
  const uint64_t far = t < 1u << 22 ? t : 1u << 22, square = far * far >> 16;
  const uint64_t normal = square * 47274 >> 16, laplace = far * 133711 >> 16;
  uint64_t e;
  switch (shape) {
    case 0: e = normal; break;
    case 1: e = laplace; break;
    case 2: e = (normal + laplace) / 2; break;
    default: e = 5 * ((uint64_t)ac_log2((uint32_t)(65536 + square / 2)) - (16 << 16)) / 2;
  }
  return e < 31u << 16 ? (uint32_t)e : 31u << 16;
}

/* Frequencies of a curve whose centre is in quarters of a symbol and whose deviation is 2^(scale / 12) eighths. */
static void draw_curve(const ac_table *c, unsigned K, unsigned P, uint16_t *freq) {
  static const uint32_t PER_DEVIATION[12] = {65536, 61858, 58386, 55109, 52016, 49097, 46341, 43740, 41285, 38968, 36781, 34716};
  uint32_t weight[AC_MAX_TOKENS], most = 0;
  uint64_t sum = 0;
  for (unsigned i = 0; i < K; i++) {
    const int32_t d = (int32_t)(4 * i + 2) - c->centre;
    const uint32_t eighths = 2 * (uint32_t)(d < 0 ? -d : d);
    weight[i] = power(shape_bits(c->shape, eighths * PER_DEVIATION[c->scale % 12] >> c->scale / 12));
    sum += weight[i];
    if (weight[i] > weight[most]) most = i;
  }
  if (!sum) sum = weight[most] = 1;
  /* The quotient of doubles, of integers below 2^53 and a divisor below 2^30, is never rounded up to an integer that
   * the true one, below 2^13, does not reach. */
  const double parts = (1u << P) - K, divisor = (double)sum;
  for (unsigned i = 0; i < K; i++) freq[i] = (uint16_t)(1 + (int32_t)(weight[i] * parts / divisor));
  complete(freq, K, P, most); /* they sum to 2^P at most, each to 1 at least */
}

/* The bits of the counted symbols. */
static double symbol_bits(const uint32_t *count, unsigned K, unsigned P, const uint16_t *freq) {
  uint64_t sum = 0; /* in units of 2^-16; below 2^18 values of 2^20 each */
  for (unsigned i = 0; i < K; i++)
    if (count[i]) sum += count[i] * (((uint64_t)P << 16) - ac_log2(freq[i]));
  return (double)sum * 0x1p-16;
}

/* The scale of a deviation whose square is v (quarters of a symbol). */
static uint8_t scale_of(double v) {
  const double eighths = 4 * v * 65536;
  const uint32_t u = eighths < 1 ? 1 : eighths < 4e9 ? (uint32_t)eighths : 4000000000u;
  const int s = (int)((6 * (uint64_t)ac_log2(u)) >> 16) - 6 * 16;
  return (uint8_t)(s < 0 ? 0 : s > 127 ? 127 : s);
}

/* The curve that costs least, by its moments and then by trial about them. */
static double fit_curve(const uint32_t *count, unsigned K, unsigned P, int search, uint16_t *freq, ac_table *best) {
  double n = 0, sum = 0, squares = 0;
  for (unsigned i = 0; i < K; i++) {
    n += count[i];
    sum += (double)count[i] * (4 * i + 2);
  }
  const double mean = sum / n;
  for (unsigned i = 0; i < K; i++) squares += count[i] * (4 * i + 2 - mean) * (4 * i + 2 - mean);
  ac_table c = {.kind = AC_TABLE_CURVE, .centre = (uint8_t)(mean < 4 * K - 1 ? mean + 0.5 : 4 * K - 1)};
  c.scale = scale_of(squares / n);
  uint16_t drawn[AC_MAX_TOKENS];
  double least = 1e300;
  for (unsigned shape = 0; shape < 4; shape++) {
    c.shape = (uint8_t)shape;
    draw_curve(&c, K, P, drawn);
    const double bits = symbol_bits(count, K, P, drawn);
    if (bits >= least) continue;
    least = bits;
    *best = c;
    memcpy(freq, drawn, K * sizeof *freq);
  }
  for (int step = search > 1 ? 4 : 2, better; step; step = better && search > 1 ? step : step / 2) {
    better = 0;
    for (unsigned way = 0; way < 4; way++) {
      c = *best;
      const int scale = c.scale + (way == 0 ? step : way == 1 ? -step : 0);
      const int centre = c.centre + (way == 2 ? step : way == 3 ? -step : 0);
      if (scale < 0 || scale > 127 || centre < 0 || centre >= (int)(4 * K)) continue;
      c.scale = (uint8_t)scale;
      c.centre = (uint8_t)centre;
      draw_curve(&c, K, P, drawn);
      const double bits = symbol_bits(count, K, P, drawn);
      if (bits >= least) continue;
      least = bits;
      *best = c;
      better = 1;
      memcpy(freq, drawn, K * sizeof *freq);
    }
  }
  return least;
}

enum { LITTLE = 256 }; /* a table of so much less than its symbols can save little */

double ac_model_choose(const uint32_t *count, unsigned K, unsigned P, double weight, int search, int curves, uint16_t *freq,
                       ac_table *table, unsigned *table_bits) {
  ac_model_normalize(count, K, P, freq);
  table->kind = AC_TABLE_EXACT;
  memcpy(table->code, freq, K * sizeof *freq);
  *table_bits = code_bits(table, K);
  double symbols = symbol_bits(count, K, P, freq) * weight;
  if (!search || (search == 1 && *table_bits * LITTLE < symbols)) return symbols;
  uint16_t exact[AC_MAX_TOKENS], rounded[AC_MAX_TOKENS];
  memcpy(exact, freq, K * sizeof *exact);
  /* fewer bits until they cost more than they save */
  for (unsigned m = search > 1 ? 5 : 4, worse = 0; m-- > 0 && worse < 2;) {
    ac_table form;
    if (!round_table(exact, K, P, m, rounded, &form)) continue;
    const unsigned bits = code_bits(&form, K);
    const double s = symbol_bits(count, K, P, rounded) * weight;
    if (s + bits >= symbols + *table_bits) {
      worse++;
      continue;
    }
    symbols = s;
    *table_bits = bits;
    *table = form;
    memcpy(freq, rounded, K * sizeof *freq);
  }
  const unsigned curve_bits = SHAPE_BITS + SCALE_BITS + CENTRE_BITS;
  if (curves && *table_bits > curve_bits) {
    ac_table form;
    const double s = fit_curve(count, K, P, search, rounded, &form) * weight;
    if (s + curve_bits < symbols + *table_bits) {
      symbols = s;
      *table_bits = curve_bits;
      *table = form;
      memcpy(freq, rounded, K * sizeof *freq);
    }
  }
  return symbols;
}

/* ---- stream ---- */
void ac_model_write(ac_bitwriter *out, const ac_table *table, unsigned K) {
  if (table->kind == AC_TABLE_CURVE) {
    ac_write_bits(out, table->shape, SHAPE_BITS);
    ac_write_bits(out, table->scale, SCALE_BITS);
    ac_write_bits(out, table->centre, CENTRE_BITS);
    return;
  }
  const unsigned order = table->order;
  ac_write_bits(out, order, ORDER_BITS);
  ac_write_bits(out, table->kind, KIND_BITS);
  for (unsigned i = 0; i < K; i++) ac_write_golomb(out, difference(table->code, i), order);
}

void ac_model_read(ac_bitreader *in, unsigned K, unsigned P, int curve, uint16_t *freq) {
  if (curve) {
    ac_table c;
    c.shape = (uint8_t)ac_read_bits(in, SHAPE_BITS);
    c.scale = (uint8_t)ac_read_bits(in, SCALE_BITS);
    c.centre = (uint8_t)ac_read_bits(in, CENTRE_BITS);
    if (c.centre >= 4 * K) goto invalid;
    draw_curve(&c, K, P, freq);
    return;
  }
  const int32_t total = 1 << P;
  const unsigned order = ac_read_bits(in, ORDER_BITS), kind = ac_read_bits(in, KIND_BITS);
  uint16_t code[AC_MAX_TOKENS];
  int32_t c = 0, sum = 0;
  for (unsigned i = 0; i < K; i++) {
    const uint32_t u = ac_read_golomb(in, order);
    if (in->bytes->failed || u >= 2 * (uint32_t)total) goto invalid;
    c += (int32_t)ac_unzigzag(u);
    if (c < 0 || c >= total) goto invalid;
    const uint32_t f = kind == AC_TABLE_EXACT ? (uint32_t)c : ac_expand_short((uint32_t)c, kind);
    if (f >= (uint32_t)total) goto invalid;
    code[i] = (uint16_t)c;
    freq[i] = (uint16_t)f;
    sum += (int32_t)f; /* at most 64 * 2^13 */
  }
  if (kind == AC_TABLE_EXACT ? sum == total : complete(freq, K, P, largest(code, K))) return;
invalid:
  if (!in->bytes->failed) in->bytes->failed = AC_E_FORMAT;
}

/* Slots by eights: what that writes past a symbol the next one overwrites. */
void ac_model_decoder(const uint16_t *freq, unsigned K, unsigned P, uint32_t *table) {
  for (unsigned s = 0; s < K; s++, table += freq[s - 1]) {
    const uint32_t first = ac_entry(freq[s], 0, s, P);
    for (uint32_t i = 0; i < freq[s]; i += AC_TABLE_SLACK)
      for (uint32_t j = 0; j < AC_TABLE_SLACK; j++) table[i + j] = first + i + j;
  }
}

void ac_model_encoder(const uint16_t *freq, unsigned K, unsigned P, ac_symbol *table) {
  uint32_t start = 0;
  for (unsigned s = 0; s < K; s++) {
    const uint32_t f = freq[s];
    if (!f) continue; /* never coded */
    table[s] = (ac_symbol){((1ull << (32 + P)) + f - 1) / f, (f << (32 - P)) - 1, start, (1u << P) - f, {0}};
    start += f;
  }
}
