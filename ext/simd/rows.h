/* rows.h: kernels of prediction, in plain C for every table: loops over rows that a compiler makes vectors of.
 * Part of generic.h.
 *
 * Invariant: arithmetic is modulo 2^32, shifts to the right round down.
 */
#ifndef AC_ROWS_H
#define AC_ROWS_H

/* ---- interpolation ---- */
UNUSED static void midpoint(const int32_t *restrict b, const int32_t *restrict c, uint32_t n, int32_t *restrict p) {
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t at = (uint32_t)b[j], rise = (uint32_t)c[j] - at;
    p[j] = (int32_t)(at + (uint32_t)((int32_t)(rise + 1) >> 1));
  }
}

/* (9b + 9c - a - d) / 16, in differences, so that nothing overflows that is smooth. */
UNUSED static void cubic(const int32_t *restrict a, const int32_t *restrict b, const int32_t *restrict c,
                         const int32_t *restrict d, uint32_t n, int32_t *restrict p) {
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t at = (uint32_t)b[j], rise = (uint32_t)c[j] - at;
    const uint32_t bend = at - (uint32_t)a[j] + (uint32_t)c[j] - (uint32_t)d[j];
    p[j] = (int32_t)(at + (uint32_t)((int32_t)(8 * rise + bend + 8) >> 4));
  }
}

UNUSED static void blend(int32_t *restrict p, const int32_t *restrict q, const int32_t *restrict s, unsigned to_q,
                         unsigned to_s, uint32_t n) {
  if (s)
    for (uint32_t j = 0; j < n; j++) {
      const uint32_t at = (uint32_t)p[j];
      const uint32_t move = to_q * ((uint32_t)q[j] - at) + to_s * ((uint32_t)s[j] - at);
      p[j] = (int32_t)(at + (uint32_t)((int32_t)(move + 8) >> 4));
    }
  else
    for (uint32_t j = 0; j < n; j++) {
      const uint32_t at = (uint32_t)p[j];
      p[j] = (int32_t)(at + (uint32_t)((int32_t)(to_q * ((uint32_t)q[j] - at) + 8) >> 4));
    }
}

UNUSED static void refer(int32_t *restrict p, const int32_t *restrict reference, const int32_t *restrict expected,
                         unsigned trust, unsigned damping, unsigned shift, uint32_t n) {
  const uint32_t half = 2u << shift;
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t differs = trust * ((uint32_t)reference[j] - (uint32_t)expected[j]) + damping * ((uint32_t)expected[j] - ((uint32_t)p[j] << shift));
    p[j] = (int32_t)((uint32_t)p[j] + (uint32_t)((int32_t)(differs + half) >> (shift + 2)));
  }
}

/* A mean, 2^shift fold, in which every later value counts for 2^-weight. */
UNUSED static void follow(int32_t *restrict mean, const int32_t *restrict r, unsigned weight, unsigned shift, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t differs = ((uint32_t)r[j] << shift) - (uint32_t)mean[j];
    mean[j] = (int32_t)((uint32_t)mean[j] + (uint32_t)((int32_t)differs >> weight));
  }
}

/* ---- differences ---- */
UNUSED static void stencil(const int32_t *restrict base, const int32_t *const *values, const int16_t *weights, unsigned n_values,
                           unsigned shift, uint32_t n, int32_t *restrict sum) {
  const uint32_t half = 1u << shift >> 1;
  for (uint32_t j = 0; j < n; j++) sum[j] = (int32_t)half;
  for (unsigned i = 0; i < n_values; i++) {
    const int32_t *restrict const x = values[i];
    const uint32_t weight = (uint32_t)(int32_t)weights[i];
    if (!weight) continue;
    for (uint32_t j = 0; j < n; j++) sum[j] = (int32_t)((uint32_t)sum[j] + weight * ((uint32_t)x[j] - (uint32_t)base[j]));
  }
  for (uint32_t j = 0; j < n; j++) sum[j] = sum[j] >> shift;
}

UNUSED static void accumulate(int32_t *restrict sum, const int32_t *restrict row, int sign, uint32_t n) {
  if (sign > 0)
    for (uint32_t j = 0; j < n; j++) sum[j] = (int32_t)((uint32_t)sum[j] + (uint32_t)row[j]);
  else
    for (uint32_t j = 0; j < n; j++) sum[j] = (int32_t)((uint32_t)sum[j] - (uint32_t)row[j]);
}

/* Few sums at a time stay in registers. */
AC_ALWAYS_INLINE void sums_apart(int32_t *v, uint32_t n, const uint32_t distance) {
  uint32_t sum[4] = {0}, j = 0;
  for (; n - j >= distance; j += distance)
    for (uint32_t i = 0; i < distance; i++) v[j + i] = (int32_t)(sum[i] += (uint32_t)v[j + i]);
  for (uint32_t i = 0; j < n; i++, j++) v[j] = (int32_t)(sum[i] + (uint32_t)v[j]);
}

UNUSED static void sums(int32_t *v, uint32_t n, uint32_t distance) {
  switch (distance) {
    case 1: sums_apart(v, n, 1); break;
    case 2: sums_apart(v, n, 2); break;
    case 3: sums_apart(v, n, 3); break;
    case 4: sums_apart(v, n, 4); break;
    default:
      for (uint32_t j = distance; j < n; j++) v[j] = (int32_t)((uint32_t)v[j] + (uint32_t)v[j - distance]);
  }
}

/* From the end on: what stands before is read before it changes. */
typedef uint32_t some_words __attribute__((vector_size(32)));
UNUSED static void differences(int32_t *v, uint32_t n, uint32_t distance) {
  enum { LANES = sizeof(some_words) / sizeof *v };
  uint32_t j = n;
  for (; j >= distance + LANES; j -= LANES) {
    some_words here, before;
    memcpy(&here, v + j - LANES, sizeof here);
    memcpy(&before, v + j - LANES - distance, sizeof before);
    here -= before;
    memcpy(v + j - LANES, &here, sizeof here);
  }
  for (; j > distance; j--) v[j - 1] = (int32_t)((uint32_t)v[j - 1] - (uint32_t)v[j - 1 - distance]);
}

UNUSED static void advance(const int32_t *p, const int32_t *v, unsigned unit, uint32_t n, int32_t *r) {
  if (unit == 1)
    for (uint32_t j = 0; j < n; j++) r[j] = (int32_t)((uint32_t)p[j] + (uint32_t)v[j]);
  else
    for (uint32_t j = 0; j < n; j++) r[j] = (int32_t)((uint32_t)p[j] + unit * (uint32_t)v[j]);
}

/* A double has room for the product, and is never near a half: so the quotient is the nearest. */
AC_ALWAYS_INLINE void by_units_in(const int32_t *restrict x, const int32_t *restrict p, const unsigned unit, uint32_t n,
                                   int32_t *restrict v, int32_t *restrict r) {
  const double inv = 1.0 / unit;
  for (uint32_t j = 0; j < n; j++) {
    const int32_t d = (int32_t)((uint32_t)x[j] - (uint32_t)p[j]);
    v[j] = unit == 1 ? d : (int32_t)ac_rint((double)d * inv);
    r[j] = (int32_t)((uint32_t)p[j] + unit * (uint32_t)v[j]);
  }
}

UNUSED static void by_units(const int32_t *x, const int32_t *p, unsigned unit, uint32_t n, int32_t *v, int32_t *r) {
  if (unit == 1) by_units_in(x, p, 1, n, v, r);
  else by_units_in(x, p, unit, n, v, r);
}

/* The logarithm of |x - p| and of 19/32 unit on top of it, by the bits of a float: linear between powers of two. */
UNUSED static uint32_t price(const int32_t *restrict x, const int32_t *restrict p, unsigned unit, uint32_t n) {
  uint32_t sum = 0;
  for (uint32_t j = 0; j < n; j++) {
    const int32_t d = (int32_t)((uint32_t)x[j] - (uint32_t)p[j]);
    const uint32_t e = d < 0 ? 0u - (uint32_t)d : (uint32_t)d, most = 1u << 25;
    const union {
      float f;
      uint32_t bits;
    } number = {.f = (float)(int32_t)((e < most ? e : most) * 32 + 19 * unit)};
    sum += (number.bits >> 7) - (127u << 16);
  }
  return sum;
}

/* ---- rows and their halves ---- */
UNUSED static void deal32(const int32_t *restrict row, uint32_t n, int32_t *restrict even, int32_t *restrict odd) {
  const uint32_t half = n / 2;
  for (uint32_t j = 0; j < half; j++) {
    even[j] = row[2 * j];
    odd[j] = row[2 * j + 1];
  }
  if (n & 1) even[half] = row[n - 1];
}

UNUSED static void deal8(const uint8_t *restrict row, uint32_t n, uint8_t *restrict even, uint8_t *restrict odd) {
  const uint32_t half = n / 2;
  for (uint32_t j = 0; j < half; j++) {
    even[j] = row[2 * j];
    odd[j] = row[2 * j + 1];
  }
  if (n & 1) even[half] = row[n - 1];
}

UNUSED static void zip32(const int32_t *restrict even, const int32_t *restrict odd, uint32_t n, int32_t *restrict row) {
  const uint32_t half = n / 2;
  for (uint32_t j = 0; j < half; j++) {
    row[2 * j] = even[j];
    row[2 * j + 1] = odd[j];
  }
  if (n & 1) row[n - 1] = even[half];
}

UNUSED static void zip8(const uint8_t *restrict even, const uint8_t *restrict odd, uint32_t n, uint8_t *restrict row) {
  const uint32_t half = n / 2;
  for (uint32_t j = 0; j < half; j++) {
    row[2 * j] = even[j];
    row[2 * j + 1] = odd[j];
  }
  if (n & 1) row[n - 1] = even[half];
}

/* ---- contexts ---- */
typedef uint8_t eight_bytes __attribute__((vector_size(8)));
typedef uint16_t eight_sums __attribute__((vector_size(16)));

/* m <= 8 values from j on. */
AC_ALWAYS_INLINE void contexts_of_some(const uint8_t *const *near, const uint8_t *weights, unsigned n_near,
                                       const uint16_t *limit, unsigned limits, uint32_t j, uint32_t m, uint8_t *context) {
  eight_sums sum = {0}, reached = {0};
  for (unsigned i = 0; i < n_near; i++) {
    eight_bytes row = {0};
    memcpy(&row, near[i] + j, m);
    sum += __builtin_convertvector(row, eight_sums) * weights[i];
  }
  for (unsigned i = 0; i < limits; i++) reached -= (eight_sums)(sum >= limit[i]);
  const eight_bytes some = __builtin_convertvector(reached, eight_bytes);
  memcpy(context + j, &some, m);
}

UNUSED static void contexts(const uint8_t *const *near, const uint8_t *weights, unsigned n_near, const uint16_t *limit,
                            unsigned limits, uint32_t n, uint8_t *context) {
  for (uint32_t j = 0; j + 8 <= n; j += 8) contexts_of_some(near, weights, n_near, limit, limits, j, 8, context);
  if (n >= 8 && n % 8) contexts_of_some(near, weights, n_near, limit, limits, n - 8, 8, context); /* some of them again */
  if (n < 8) contexts_of_some(near, weights, n_near, limit, limits, 0, n, context);
}

/* ---- residuals ---- */
/* Make words and raw bits of AC_POP_MOST residuals readable. */
UNUSED static int pop_ahead(ac_pop_cursor *at) {
  if (UNLIKELY(look_ahead(&at->words) || at->bit > at->bits)) return AC_E_FORMAT;
  const uint64_t byte = at->bit / 8, left = (at->bits + 7) / 8 - byte;
  if (LIKELY(left >= AC_AHEAD_BYTES) || at->in_copy) return AC_OK;
  memcpy(at->copy, at->raw + byte, left);
  memset(at->copy + left, 0, sizeof at->copy - left);
  at->raw = at->copy;
  at->bits -= 8 * byte;
  at->bit -= 8 * byte;
  at->in_copy = 1;
  return AC_OK;
}

/* Table entries of n tokens off the lanes, in turns. */
UNUSED static void pop_entries(const ac_popping *p, ac_cursor *at, const uint8_t *context, uint32_t n, uint32_t *entries) {
  const unsigned P = p->prob_bits;
  const uint32_t slots = (1u << P) - 1, turn = p->lanes - 1u;
  const uint32_t *const tables = p->tables; /* stores to entries cannot change it */
  const uint8_t *const words = at->words;
  size_t used = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t *const x = &at->x[i & turn];
    const uint32_t e = tables[((size_t)context[i] << P) + (*x & slots)];
    *x = ac_refill(ac_entry_advance(e, *x, P), words, &used);
    entries[i] = e;
  }
  at->words = words + 2 * used;
}

/* A bin's octave says how many bits of its residuals are raw, and k more of them are. */
AC_ALWAYS_INLINE int32_t residual(int32_t bin, unsigned k, unsigned m, const uint8_t *raw, uint64_t *bit) {
  const uint32_t sign = 0u - (uint32_t)(bin < 0), a = (uint32_t)bin ^ sign, octave = a >> m;
  const uint32_t e = octave - (octave > 0), bits = e + k;
  const uint32_t field = ac_load32(raw + *bit / 8) >> (*bit & 7) & ((1u << bits) - 1);
  *bit += bits;
  return (int32_t)(((((a - (e << m)) << e) << k) + field) ^ sign);
}

UNUSED static int pop_residuals(const ac_popping *p, ac_pop_cursor *at, const uint8_t *context, uint32_t n, int32_t *v) {
  const unsigned P = p->prob_bits;
  uint32_t entries[AC_POP_MOST];
  if (UNLIKELY(pop_ahead(at))) return AC_E_FORMAT;
  pop_entries(p, &at->words, context, n, entries);
  uint64_t bit = at->bit;
  for (uint32_t i = 0; i < n; i++) {
    const unsigned c = context[i];
    v[i] = residual(p->lo[c] + (int32_t)ac_entry_symbol(entries[i], P), p->k[c], p->mantissa, at->raw, &bit);
  }
  at->bit = bit;
  return AC_OK;
}

/* The length of u is the exponent of a float: of u without the bit behind the first, so that nothing is rounded up. */
UNUSED static unsigned tokens(const ac_pushing *p, const uint8_t *restrict context, const int32_t *restrict v, uint32_t n,
                              uint8_t *restrict token, uint8_t *restrict raw_bits, uint32_t *restrict raw) {
  const unsigned m = p->mantissa;
  uint32_t most = 0, outside = 0;
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t sign = (uint32_t)(v[j] >> 31), u = (uint32_t)v[j] ^ sign;
    const union {
      float f;
      int32_t bits;
    } number = {.f = (float)(int32_t)(u & ~(u >> 1))};
    const int32_t octave = (number.bits >> 23) - 127 - (int32_t)m;
    const uint32_t e = octave > 0 ? (uint32_t)octave : 0;
    const uint32_t t = (((e << m) + (u >> e)) ^ sign) - (uint32_t)p->lo[context[j]];
    const uint32_t inside = t < p->n_tokens[context[j]] && e <= AC_MAX_RAW_BITS ? ~0u : 0;
    token[j] = (uint8_t)(t | ~inside);
    raw_bits[j] = (uint8_t)(e & inside);
    raw[j] = u & ((1u << e) - 1) & inside;
    most |= e & inside;
    outside |= ~inside;
  }
  return (most ? AC_SOME_RAW : 0) | (outside ? AC_SOME_OUTSIDE : 0);
}

UNUSED static uint8_t *push_tokens(const ac_pushing *p, const uint8_t *context, const uint8_t *token, uint32_t n, uint32_t *x,
                                   uint8_t *words) {
  const unsigned P = p->prob_bits;
  const uint32_t turn = p->lanes - 1u;
  for (uint32_t j = n; j-- > 0;) {
    const ac_symbol *const symbol = &p->symbols[context[j]][token[j]];
    uint32_t *const state = &x[j & turn];
    const uint32_t more = *state > symbol->limit; /* random: no branch */
    ac_store16(words - 2, (uint16_t)*state);
    words -= 2 * more;
    *state = ac_symbol_push(symbol, *state >> 16 * more, P);
  }
  return words;
}

UNUSED static uint32_t pack(const uint8_t *context, const uint8_t *flags, unsigned set, uint32_t n, uint8_t *restrict some,
                            uint64_t *restrict keep) {
  uint32_t m = 0;
  for (uint32_t j = 0; j < n; j += 64) {
    uint64_t bits = 0;
    for (uint32_t i = j; i < n && i < j + 64; i++) {
      const uint64_t here = (set >> context[i] & 1) & (!flags || !flags[i]);
      bits |= here << (i - j);
      some[m] = context[i];
      m += (uint32_t)here;
    }
    keep[j / 64] = bits;
  }
  return m;
}

UNUSED static void unpack(const int32_t *restrict some, const uint64_t *restrict keep, uint32_t n, int32_t *restrict v) {
  for (uint32_t j = 0, m = 0; j < n; j++) {
    const uint32_t here = (uint32_t)(keep[j / 64] >> (j & 63) & 1);
    v[j] = some[m] & (int32_t)(0u - here);
    m += here;
  }
}

UNUSED static void magnitudes(const int32_t *restrict v, uint32_t n, unsigned shift, uint8_t *restrict magnitude) {
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t a = (uint32_t)(v[j] < 0 ? 0u - (uint32_t)v[j] : (uint32_t)v[j]) >> shift;
    magnitude[j] = (uint8_t)(a < 255 ? a : 255);
  }
}

/* ---- linear prediction ---- */
enum { TOGETHER = 8 /* values */ };

UNUSED static void foresee(const ac_linear *linear, const int32_t *restrict x, uint32_t n, int32_t *restrict v) {
  uint32_t k = 0;
  for (; k + TOGETHER <= n; k += TOGETHER) {
    int64_t sum[TOGETHER];
    for (unsigned i = 0; i < TOGETHER; i++) sum[i] = (int64_t)1 << (linear->shift - 1);
    const int32_t *at = x + k;
    for (unsigned j = 0; j < linear->order; j++) {
      at--;
      for (unsigned i = 0; i < TOGETHER; i++) sum[i] += (int64_t)linear->tap[j] * at[i];
    }
    for (unsigned i = 0; i < TOGETHER; i++) v[k + i] = (int32_t)((uint32_t)x[k + i] - (uint32_t)(uint64_t)(sum[i] >> linear->shift));
  }
  for (; k < n; k++) {
    int64_t sum = (int64_t)1 << (linear->shift - 1);
    for (unsigned j = 0; j < linear->order; j++) sum += (int64_t)linear->tap[j] * x[(ptrdiff_t)k - 1 - (ptrdiff_t)j];
    v[k] = (int32_t)((uint32_t)x[k] - (uint32_t)(uint64_t)(sum >> linear->shift));
  }
}

/* Of some values together first what those before them all say of each, and then what they say of each other. */
AC_ALWAYS_INLINE void settle_together(const ac_linear *linear, const int64_t *tap, const int64_t *sum, unsigned unit, unsigned m, int32_t *at) {
  const unsigned shift = linear->shift;
  int64_t found[TOGETHER];
  for (unsigned i = 0; i < m; i++) {
    int64_t all = sum[i];
    for (unsigned j = 0; j < i; j++) all += tap[i - 1 - j] * found[j];
    at[i] = (int32_t)((uint32_t)(uint64_t)(all >> shift) + unit * (uint32_t)at[i]);
    found[i] = at[i];
  }
}

UNUSED static void recur(const ac_linear *linear, unsigned unit, uint32_t n, int32_t *restrict r) {
  int64_t tap[AC_MAX_TAPS + TOGETHER] = {0};
  for (unsigned j = 0; j < linear->order; j++) tap[j] = linear->tap[j];
  for (uint32_t k = 0; k < n; k += TOGETHER) {
    const unsigned m = n - k < TOGETHER ? n - k : TOGETHER;
    int64_t sum[TOGETHER];
    for (unsigned i = 0; i < TOGETHER; i++) sum[i] = (int64_t)1 << (linear->shift - 1);
    int32_t *const at = r + k;
    for (unsigned j = 0; j < linear->order; j++) {
      const int64_t before = at[-1 - (ptrdiff_t)j];
      for (unsigned i = 0; i < TOGETHER; i++) sum[i] += tap[j + i] * before;
    }
    settle_together(linear, tap, sum, unit, m, at);
  }
}

/* ---- values ---- */
#define DEFINE_SCALE(T, F)                                                                                \
  UNUSED static void scale_##F(const int32_t *restrict r, double step, uint32_t n, void *restrict out) { \
    T *restrict const x = out;                                                                            \
    for (uint32_t j = 0; j < n; j++) x[j] = ac_reconstruct_##F(r[j], step);                               \
  }
DEFINE_SCALE(float, f32)
DEFINE_SCALE(double, f64)
DEFINE_SCALE(uint16_t, f16)
DEFINE_SCALE(uint16_t, bf16)

#define DEFINE_BELONGS(T, F)                                                                                              \
  UNUSED static void belongs_##F(const void *values, const double *step, const double *limit, unsigned lattices, uint32_t n, \
                                 uint8_t *restrict on) {                                                                  \
    const T *restrict const x = values;                                                                                   \
    memset(on, 0, n);                                                                                                     \
    for (unsigned i = 0; i < lattices; i++) {                                                                             \
      const double delta = step[i], inv = 1 / delta, end = limit[i];                                                      \
      for (uint32_t j = 0; j < n; j++) {                                                                                  \
        const double r = ac_rint((double)x[j] * inv);                                                                     \
        on[j] |= (uint8_t)(((T)(r * delta) == x[j]) & (fabs(r) < end)) << i; /* NaN is equal to nothing */               \
      }                                                                                                                   \
    }                                                                                                                     \
  }
DEFINE_BELONGS(float, f32)
DEFINE_BELONGS(double, f64)

/* x / step is computed with an error below three units of the type; BIAS rounds to integers what is below a quarter of it. */
#define DEFINE_SUSPECTS(T, F, BIAS, ERROR, ABS)                                                                            \
  UNUSED static uint32_t suspects_##F(const void *values, double step, uint32_t n, uint8_t *restrict suspect) {           \
    const T *restrict const x = values;                                                                                   \
    const T inv = (T)(1 / step);                                                                                          \
    uint32_t found = 0;                                                                                                   \
    for (uint32_t j = 0; j < n; j++) {                                                                                    \
      const T r = x[j] * inv, off = r - ((r + BIAS) - BIAS);                                                              \
      const uint8_t here = ABS(off) < ABS(r) * ERROR;                                                                     \
      suspect[j] |= here;                                                                                                 \
      found += here;                                                                                                      \
    }                                                                                                                     \
    return found;                                                                                                         \
  }
DEFINE_SUSPECTS(float, f32, 0x1.8p23f, 0x1p-22f, fabsf)
DEFINE_SUSPECTS(double, f64, 0x1.8p52, 0x1p-51, fabs)

#define DEFINE_NEAREST(T, F)                                                                                             \
  UNUSED static uint32_t nearest_##F(const void *values, double step, double limit, uint32_t n, int32_t *restrict r) {   \
    const T *restrict const x = values;                                                                                  \
    const double inv = 1 / step;                                                                                         \
    uint32_t far = 0;                                                                                                    \
    for (uint32_t j = 0; j < n; j++) {                                                                                   \
      const double q = ac_rint((double)x[j] * inv);                                                                      \
      const int near = fabs(q) < limit; /* NaN is not */                                                                 \
      r[j] = (int32_t)(near ? q : 0);                                                                                    \
      far += !near;                                                                                                      \
    }                                                                                                                    \
    return far;                                                                                                          \
  }                                                                                                                      \
  UNUSED static uint32_t off_##F(const void *values, const int32_t *restrict r, double step, double limit, double tol,   \
                                 uint32_t n) {                                                                           \
    const T *restrict const x = values;                                                                                  \
    uint32_t off = 0;                                                                                                    \
    for (uint32_t j = 0; j < n; j++) {                                                                                   \
      const double error = (double)x[j] - (double)(T)((double)r[j] * step);                                              \
      off += !((fabs(error) < tol) & (fabs((double)r[j]) < limit));                                                      \
    }                                                                                                                    \
    return off;                                                                                                          \
  }
DEFINE_NEAREST(float, f32)
DEFINE_NEAREST(double, f64)

/* ---- floats and integers on a lattice of a power of two ---- */
UNUSED static void part_f32(const void *values, int shift, uint32_t n, int32_t *restrict k, uint64_t *restrict bits, uint8_t *restrict lost) {
  enum { SIGNIFICAND = 23, BIAS = 127 + SIGNIFICAND };
  const uint32_t *restrict const x = values;
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t magnitude = x[j] & 0x7fffffff, field = magnitude >> SIGNIFICAND;
    const uint32_t m = (magnitude & ((1u << SIGNIFICAND) - 1)) | (uint32_t)(field != 0) << SIGNIFICAND;
    const int32_t drop = shift + BIAS - (int32_t)(field + (field == 0));
    const uint32_t down = (uint32_t)(drop < 0 ? 0 : drop > 31 ? 31 : drop), up = (uint32_t)(drop >= 0 ? 0 : drop < -7 ? 7 : -drop);
    const uint32_t a = m >> down << up, sign = 0u - (x[j] >> 31);
    k[j] = (int32_t)((a ^ sign) - sign);
    bits[j] = m & ((1u << down) - 1);
    lost[j] = (uint8_t)((a == 0) & (x[j] != 0));
  }
}

UNUSED static void part_f64(const void *values, int shift, uint32_t n, int32_t *restrict k, uint64_t *restrict bits, uint8_t *restrict lost) {
  enum { SIGNIFICAND = 52, BIAS = 1023 + SIGNIFICAND };
  const uint64_t *restrict const x = values;
  for (uint32_t j = 0; j < n; j++) {
    const uint64_t magnitude = x[j] & (UINT64_MAX >> 1), field = magnitude >> SIGNIFICAND;
    const uint64_t m = (magnitude & ((1ull << SIGNIFICAND) - 1)) | (uint64_t)(field != 0) << SIGNIFICAND;
    const int64_t drop = (int64_t)shift + BIAS - (int64_t)(field + (field == 0));
    const uint64_t down = (uint64_t)(drop < 0 ? 0 : drop > 63 ? 63 : drop), a = m >> down;
    const uint32_t small = (uint32_t)(a < 1u << 30 ? a : 1u << 30), sign = 0u - (uint32_t)(x[j] >> 63);
    k[j] = (int32_t)((small ^ sign) - sign);
    bits[j] = m & ((1ull << down) - 1);
    lost[j] = (uint8_t)((a == 0) & (x[j] != 0));
  }
}

/* Exact but for the last rounding: the significand has at most 53 bits, and no factor is subnormal. */
#define DEFINE_UNPART(T, F)                                                                                                            \
  UNUSED static void unpart_##F(const int32_t *restrict k, const uint64_t *restrict bits, const uint8_t *restrict width, int shift,    \
                                uint32_t n, void *restrict values) {                                                                   \
    T *restrict const x = values;                                                                                                      \
    for (uint32_t j = 0; j < n; j++) {                                                                                                 \
      const uint64_t a = (uint32_t)(k[j] < 0 ? 0u - (uint32_t)k[j] : (uint32_t)k[j]), w = width[j];                                    \
      const double m = (double)(int64_t)(a << w | bits[j]);                                                                            \
      const union {                                                                                                                    \
        uint64_t bits;                                                                                                                 \
        double d;                                                                                                                      \
      } scale = {(uint64_t)((int64_t)(1023 + shift) - (int64_t)w) << 52};                                                              \
      x[j] = (T)((k[j] < 0 ? -m : m) * scale.d);                                                                                       \
    }                                                                                                                                  \
  }
DEFINE_UNPART(float, f32)
DEFINE_UNPART(double, f64)

/* The exponent of a float, as of tokens. */
UNUSED static uint32_t widths(const int32_t *restrict k, unsigned significand, uint32_t n, uint8_t *restrict width) {
  uint32_t zeros = 0;
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t a = k[j] < 0 ? 0u - (uint32_t)k[j] : (uint32_t)k[j];
    const union {
      float f;
      uint32_t bits;
    } number = {.f = (float)(int32_t)(a & ~(a >> 1))};
    const int32_t left = (int32_t)significand + 127 - (int32_t)(number.bits >> 23 & 255);
    width[j] = (uint8_t)(left > 0 && a ? left : 0);
    zeros += a == 0;
  }
  return zeros;
}

UNUSED static void fields(const uint8_t *at, uint64_t bit, const uint8_t *restrict width, uint32_t n, uint64_t *restrict found) {
  for (uint32_t j = 0; j < n; j++) {
    found[j] = ac_load64(at + bit / 8) >> (bit & 7) & ((1ull << width[j]) - 1);
    bit += width[j];
  }
}

#define ROW_KERNELS                                                                                                \
  midpoint, cubic, blend, refer, follow, stencil, accumulate, deal32, deal8, zip32, zip8, contexts, pop_residuals, tokens, push_tokens, pack, unpack, magnitudes, \
  by_units, price, advance, sums, differences, foresee, recur, {scale_f32, scale_f64, scale_f16, scale_bf16}, {nearest_f32, nearest_f64}, \
  {off_f32, off_f64}, {belongs_f32, belongs_f64}, {suspects_f32, suspects_f64}, {part_f32, part_f64}, {unpart_f32, unpart_f64}, widths, fields, \
  read_varints, write_varints
#endif
