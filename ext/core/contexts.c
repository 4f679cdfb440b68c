/* contexts.c: see contexts.h.  Between the residuals of a block (attempt.c, field_decode.c) and rANS: which tables there are, and how
 * they stand in the stream.
 *
 * Invariants: a context of one token has no raw bits; no token has more than AC_MAX_RAW_BITS of them, k included.
 * The encoder's choice is integers, and doubles that no machine rounds differently.
 */
#include "contexts.h"

#include <string.h>

/* 64 times the least mean magnitude: half octaves from 1/8 on. */
static const uint16_t LIMITS[AC_BINS] = {0, 1, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048,
                                         2896, 4096, 5793, 8192, 11585};

uint16_t ac_bin_limit(unsigned i, unsigned weights) { return (uint16_t)((LIMITS[i] * weights + 63) / 64); }

/* ---- encoder ---- */
static unsigned bin_at(int32_t v, unsigned k, unsigned m) {
  const int32_t at = ac_residual_of(v, k, m).bin + AC_TOKEN_MIDDLE;
  return at < 0 ? 0 : at >= AC_TOKEN_SPAN ? AC_TOKEN_SPAN - 1 : (unsigned)at;
}

/* The same, from a table of those of small residuals. */
enum { NEAR = 256 };
static inline unsigned bin_of(const uint8_t *bin, int32_t v, unsigned k, unsigned m) {
  const uint32_t near = (uint32_t)v + NEAR;
  return near < 2 * NEAR ? bin[near] : bin_at(v, k, m);
}

void ac_residuals_count(const int32_t *v, const uint8_t *neighbourhood, const uint8_t *flags, uint32_t n, unsigned k,
                        unsigned m, ac_residual_counts *counts) {
  uint8_t bin[2 * NEAR];
  memset(counts, 0, sizeof *counts);
  for (int32_t i = 0; i < 2 * NEAR; i++) bin[i] = (uint8_t)bin_at(i - NEAR, k, m);
  if (flags) {
    for (uint32_t i = 0; i < n; i++)
      if (!(flags[i] & AC_SKIPPED)) counts->count[neighbourhood[i]][bin_of(bin, v[i], k, m)]++;
    return;
  }
  /* by turns in two, since increments of the same count wait for each other */
  ac_residual_counts others;
  memset(&others, 0, sizeof others);
  uint32_t i = 0;
  for (; i + 1 < n; i += 2) {
    counts->count[neighbourhood[i]][bin_of(bin, v[i], k, m)]++;
    others.count[neighbourhood[i + 1]][bin_of(bin, v[i + 1], k, m)]++;
  }
  if (i < n) counts->count[neighbourhood[i]][bin_of(bin, v[i], k, m)]++;
  for (unsigned b = 0; b <= AC_BINS; b++)
    for (unsigned t = 0; t < AC_TOKEN_SPAN; t++) counts->count[b][t] += others.count[b][t];
}

enum { OUTSIDE_BITS = 26, CONTEXT_BITS = 28, TABLE_BITS_A_TOKEN = 5, IN_TABLE = 6 /* tokens between others cost a table as much as one outside saves */ };

/* Tokens from `first` to before `end`: all that were seen are among them. */
typedef struct {
  unsigned first, end;
} seen;

static seen seen_of(const ac_residual_counts *counts) {
  uint32_t any[AC_TOKEN_SPAN] = {0};
  for (unsigned b = 0; b <= AC_BINS; b++)
    for (unsigned t = 0; t < AC_TOKEN_SPAN; t++) any[t] |= counts->count[b][t];
  seen s = {0, AC_TOKEN_SPAN};
  while (s.first < s.end && !any[s.first]) s.first++;
  while (s.end > s.first && !any[s.end - 1]) s.end--;
  return s;
}

/* About the bits of so many counts with a table of their own: integers of 2^-16 bits. */
static uint64_t about(const uint32_t *count, seen s) {
  uint64_t n = 0, sum = 0;
  unsigned kinds = 0;
  for (unsigned t = s.first; t < s.end; t++) {
    if (!count[t]) continue;
    n += count[t];
    kinds++;
    sum += (uint64_t)count[t] * ac_log2(count[t]);
  }
  if (!n) return 0;
  return n * ac_log2((uint32_t)n) - sum + ((uint64_t)(CONTEXT_BITS + TABLE_BITS_A_TOKEN * kinds) << 16);
}

/* The window and the table of a context. */
static double choose_table(const uint32_t *count, unsigned k, unsigned m, unsigned level, unsigned P, ac_context *c) {
  unsigned first = AC_TOKEN_SPAN, last = 0, most = AC_TOKEN_MIDDLE;
  uint64_t n = 0, inside = 0;
  for (unsigned t = 0; t < AC_TOKEN_SPAN; t++) {
    n += count[t];
    if (count[t] > count[most]) most = t;
  }
  for (unsigned t = 0; t < AC_TOKEN_SPAN; t++) {
    if (!count[t] || ac_residual_bits((int32_t)t - AC_TOKEN_MIDDLE, m) + k > AC_MAX_RAW_BITS) continue;
    if (t == 0 || t == AC_TOKEN_SPAN - 1) continue; /* and all beyond */
    if (t < first) first = t;
    last = t;
  }
  *c = (ac_context){.k = (uint8_t)k, .n_tokens = 1, .filler = 0, .lo = 0};
  if (first > last) return (double)n * OUTSIDE_BITS; /* nothing that counts: all are outside */
  /* ends go for which the table has no room, or that cost more in it than outside */
  for (;;) {
    unsigned next = first + 1, before = last - 1;
    if (first == last) break;
    while (!count[next]) next++;
    while (!count[before]) before--;
    const int low = count[first] * IN_TABLE < next - first, high = count[last] * IN_TABLE < last - before;
    if (last - first < AC_MAX_TOKENS && !low && !high) break;
    if (last - first < AC_MAX_TOKENS ? low : count[first] < count[last]) first = next;
    else last = before;
  }
  unsigned kinds = 0;
  uint64_t raw = 0;
  for (unsigned t = first; t <= last; t++) {
    inside += count[t];
    kinds += count[t] != 0;
    raw += (uint64_t)count[t] * (ac_residual_bits((int32_t)t - AC_TOKEN_MIDDLE, m) + k);
  }
  c->lo = (int8_t)((int)first - AC_TOKEN_MIDDLE);
  if (kinds == 1) {
    if (!raw && !k) return (double)(n - inside) * OUTSIDE_BITS + CONTEXT_BITS;
    /* a table needs two tokens */
    if (last + 1 < AC_TOKEN_SPAN - 1 && ac_residual_bits((int32_t)last + 1 - AC_TOKEN_MIDDLE, m) + k <= AC_MAX_RAW_BITS) last++;
    else first--;
    c->lo = (int8_t)((int)first - AC_TOKEN_MIDDLE);
  }
  uint32_t with_two[AC_MAX_TOKENS];
  const unsigned K = last - first + 1;
  memcpy(with_two, count + first, K * sizeof *with_two);
  if (kinds == 1) with_two[with_two[0] ? K - 1 : 0] = 1;
  c->n_tokens = (uint8_t)K;
  c->filler = (uint8_t)(most < first ? 0 : most > last ? K - 1 : most - first);
  unsigned table_bits;
  const double bits = ac_model_choose(with_two, K, P, 1, level > 6 ? 2 : level > 1, level > 1, c->freq, &c->table, &table_bits);
  return bits + table_bits + CONTEXT_BITS + (double)raw + (double)(n - inside) * OUTSIDE_BITS;
}

/* The cheapest cuts of the bins into at most 8 runs: cost[c][b] is that of bins below b in c contexts, the last of which
 * begins with from[c][b].  Returns how many contexts there are. */
typedef struct {
  uint64_t cost[AC_MAX_CONTEXTS + 1][AC_BINS + 1];
  uint8_t from[AC_MAX_CONTEXTS + 1][AC_BINS + 1];
} cuts;

static unsigned cut(const ac_residual_counts *counts, seen s, unsigned level, cuts *best) {
  static const uint64_t NEVER = UINT64_MAX / 2;
  const unsigned most = level > 1 ? AC_MAX_CONTEXTS : 1;
  for (unsigned c = 0; c <= AC_MAX_CONTEXTS; c++)
    for (unsigned b = 0; b <= AC_BINS; b++) best->cost[c][b] = c || b ? NEVER : 0;
  unsigned has[AC_BINS];
  for (unsigned b = 0; b < AC_BINS; b++) {
    has[b] = 0;
    for (unsigned t = s.first; t < s.end; t++) has[b] |= counts->count[b][t];
  }
  for (unsigned first = 0; first < AC_BINS && (first == 0 || most > 1); first++) {
    uint32_t sum[AC_TOKEN_SPAN] = {0};
    for (unsigned b = first; b < AC_BINS; b++) {
      for (unsigned t = s.first; t < s.end; t++) sum[t] += counts->count[b][t];
      if (b + 1 < AC_BINS && (!has[b] || most == 1)) continue; /* a run ends with a bin that has something, or the last */
      const uint64_t bits = about(sum, s);
      for (unsigned c = 0; c < most; c++)
        if (best->cost[c][first] < NEVER && best->cost[c][first] + bits < best->cost[c + 1][b + 1]) {
          best->cost[c + 1][b + 1] = best->cost[c][first] + bits;
          best->from[c + 1][b + 1] = (uint8_t)first;
        }
    }
  }
  unsigned n = 1;
  for (unsigned c = 2; c <= most; c++)
    if (best->cost[c][AC_BINS] < best->cost[n][AC_BINS]) n = c;
  return n;
}

double ac_contexts_cost(const ac_residual_counts *counts, unsigned k, unsigned m, unsigned level) {
  const seen s = seen_of(counts);
  uint64_t raw = 0, bits = about(counts->count[AC_BINS], s);
  for (unsigned b = 0; b <= AC_BINS; b++)
    for (unsigned t = s.first; t < s.end; t++)
      if (counts->count[b][t]) raw += (uint64_t)counts->count[b][t] * (ac_residual_bits((int32_t)t - AC_TOKEN_MIDDLE, m) + k);
  cuts best;
  const unsigned n = cut(counts, s, level, &best);
  bits += best.cost[n][AC_BINS];
  return (double)bits / 65536 + (double)raw;
}

double ac_contexts_choose(const ac_residual_counts *counts, unsigned k, unsigned m, unsigned level, unsigned prob_bits,
                          ac_contexts *contexts) {
  cuts best;
  const unsigned n = cut(counts, seen_of(counts), level, &best);
  contexts->n_contexts = (uint8_t)n;
  contexts->prob_bits = (uint8_t)prob_bits;
  contexts->mantissa = (uint8_t)m;
  double bits = 0;
  for (unsigned c = n, end = AC_BINS; c-- > 0;) {
    const unsigned first = best.from[c + 1][end];
    uint32_t sum[AC_TOKEN_SPAN] = {0};
    for (unsigned b = first; b < end; b++)
      for (unsigned t = 0; t < AC_TOKEN_SPAN; t++) sum[t] += counts->count[b][t];
    contexts->first_bin[c] = (uint8_t)first;
    bits += choose_table(sum, k, m, level, prob_bits, &contexts->of[c]);
    end = first;
  }
  if (contexts->own) bits += choose_table(counts->count[AC_BINS], k, m, level, prob_bits, &contexts->of[n]);
  return bits;
}

typedef uint8_t some_bins __attribute__((vector_size(16)));
static some_bins contexts_of(const ac_contexts *c, some_bins b) {
  some_bins context = {0};
  for (unsigned i = 1; i < c->n_contexts; i++) context -= (some_bins)(b >= c->first_bin[i]);
  return context - (some_bins)(b == AC_BINS); /* it is beyond all of them, and one more */
}

void ac_contexts_of_bins(const ac_contexts *c, uint8_t *bin, uint32_t n) {
  some_bins b = {0};
  uint32_t j = 0;
  for (; n - j >= sizeof b; j += sizeof b) {
    memcpy(&b, bin + j, sizeof b);
    b = contexts_of(c, b);
    memcpy(bin + j, &b, sizeof b);
  }
  memcpy(&b, bin + j, n - j);
  b = contexts_of(c, b);
  memcpy(bin + j, &b, n - j);
}

/* ---- stream ---- */
enum { CURVE = 1 << 6 };

void ac_contexts_write(ac_writer *out, const ac_contexts *c) {
  for (unsigned i = 1; i < c->n_contexts; i++) ac_write8(out, c->first_bin[i]);
  for (unsigned i = 0; i < ac_all_contexts(c); i++) {
    const ac_context *x = &c->of[i];
    ac_write8(out, x->k);
    ac_write8(out, (uint8_t)((x->n_tokens - 1) | (x->n_tokens > 1 && x->table.kind == AC_TABLE_CURVE ? CURVE : 0)));
    ac_write8(out, (uint8_t)x->lo);
  }
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned i = 0; i < ac_all_contexts(c); i++)
    if (c->of[i].n_tokens > 1) ac_model_write(&bits, &c->of[i].table, c->of[i].n_tokens);
  ac_flush_bits(&bits);
}

static int valid(const ac_context *x, unsigned m) {
  const int32_t last = x->lo + x->n_tokens - 1;
  if (x->k > AC_MAX_RAW_BITS || last > INT8_MAX) return 0;
  const unsigned a = ac_residual_bits(x->lo, m), b = ac_residual_bits(last, m), most = (a > b ? a : b) + x->k;
  return x->n_tokens > 1 ? most <= AC_MAX_RAW_BITS : most == 0;
}

void ac_contexts_read(ac_reader *in, ac_contexts *c) {
  int curves[AC_ALL_CONTEXTS];
  c->first_bin[0] = 0;
  for (unsigned i = 1; i < c->n_contexts; i++) {
    c->first_bin[i] = ac_read8(in);
    if (c->first_bin[i] <= c->first_bin[i - 1] || c->first_bin[i] >= AC_BINS) goto invalid;
  }
  for (unsigned i = 0; i < ac_all_contexts(c); i++) {
    ac_context *x = &c->of[i];
    x->k = ac_read8(in);
    const uint8_t tokens = ac_read8(in);
    x->n_tokens = (uint8_t)((tokens & 63) + 1);
    curves[i] = tokens & CURVE;
    x->lo = (int8_t)ac_read8(in);
    if (tokens >> 7 || (curves[i] && x->n_tokens < 2) || !valid(x, c->mantissa)) goto invalid;
  }
  ac_bitreader bits = {in, 0, 0};
  for (unsigned i = 0; i < ac_all_contexts(c); i++)
    if (c->of[i].n_tokens > 1) ac_model_read(&bits, c->of[i].n_tokens, c->prob_bits, curves[i] != 0, c->of[i].freq);
  ac_end_bits(&bits);
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}
