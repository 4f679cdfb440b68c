/* mask.c: see mask.h.  Before quantization in the encoder, after everything else in the decoder.
 *
 * The bitmap is coded by contexts: first the state of every word of 64 bits (all zeros, all ones, mixed)
 * given the words before, above and in the plane before; of a mixed word, whether it is that of the plane
 * before, and if not, in the same way the states of its bytes; then the bits of mixed bytes given their
 * neighbours W, N, NW, NE and that in the plane before.  Masks are regions, so nearly all is in the
 * states, and what is left are coasts.  Probabilities adapt: the left neighbour forbids to do bits side by
 * side anyway, and tables would cost more than a small mask (measured: 0.055 bits a value against 0.047).
 *
 * Invariants: contexts look at coded bits only; bits before the block are zero.
 */
#include "mask.h"

#include "model.h"

/* ---- finding, leaving out, putting back ---- */
static void store_value(uint8_t *p, uint64_t v, unsigned size) { memcpy(p, &v, size); }

/* Index of a pattern; n_patterns if it is new. */
static unsigned pattern_of(const ac_mask *mask, uint64_t bits) {
  unsigned i = 0;
  while (i < mask->n_patterns && mask->patterns[i] != bits) i++;
  return i;
}

/* Is any of n values wanted; and a word of the bitmap: which of at most 64 are. */
#define DEFINE_WANTED(T)                                                                                     \
  static inline T is_wanted_##T(const ac_mask_rule *rule, T v) { /* all that it is compared with is loop-invariant */ \
    const T exponent = (T)rule->exponent, a = (T)rule->fixed[0], b = (T)rule->fixed[1];                       \
    const T special = rule->special ? (T)~(T)0 : 0, use_a = rule->n_fixed > 0 ? (T)~(T)0 : 0;                 \
    const T use_b = rule->n_fixed > 1 ? (T)~(T)0 : 0;                                                         \
    return ((v & exponent) == exponent ? special : 0) | (v == a ? use_a : 0) | (v == b ? use_b : 0);          \
  }                                                                                                           \
  static uint64_t wanted_##T(const ac_mask_rule *rule, const T *x, unsigned n) {                              \
    uint8_t is[64];                                                                                           \
    for (unsigned j = 0; j < n; j++) is[j] = is_wanted_##T(rule, x[j]) != 0;                                  \
    uint64_t word = 0; /* eight at a time: bytes that are 0 or 1 come together in the highest one */            \
    memset(is + n, 0, 64 - n);                                                                                \
    for (unsigned j = 0; j < 64; j += 8) word |= (ac_load64(is + j) * 0x0102040810204080u >> 56) << j;        \
    return word;                                                                                              \
  }                                                                                                           \
  static int any_wanted_##T(const ac_mask_rule *rule, const T *x, uint32_t n) {                               \
    T any = 0;                                                                                                \
    for (uint32_t j = 0; j < n; j++) any |= is_wanted_##T(rule, x[j]);                                        \
    return any != 0;                                                                                          \
  }
DEFINE_WANTED(uint8_t)
DEFINE_WANTED(uint16_t)
DEFINE_WANTED(uint32_t)
DEFINE_WANTED(uint64_t)

static uint64_t wanted(const ac_mask_rule *rule, const void *x, unsigned n) {
  switch (rule->size) {
    case 1: return wanted_uint8_t(rule, x, n);
    case 2: return wanted_uint16_t(rule, x, n);
    case 4: return wanted_uint32_t(rule, x, n);
    default: return wanted_uint64_t(rule, x, n);
  }
}

static int any_wanted(const ac_mask_rule *rule, const void *x, uint32_t n) {
  switch (rule->size) {
    case 1: return any_wanted_uint8_t(rule, x, n);
    case 2: return any_wanted_uint16_t(rule, x, n);
    case 4: return any_wanted_uint32_t(rule, x, n);
    default: return any_wanted_uint64_t(rule, x, n);
  }
}

enum { PIECE = 1024 }; /* values that are looked at before their words are made */

void ac_mask_find(const ac_mask_rule *rule, const void *src, uint32_t n, ac_mask *mask) {
  const uint8_t *const p = src;
  const unsigned size = rule->size;
  unsigned n_other = 0, last = 0;
  mask->n = n;
  mask->masked = 0;
  mask->n_patterns = 0;
  for (uint32_t i = 0; i < n; i += 64) {
    const unsigned m = n - i < 64 ? n - i : 64;
    const uint8_t *x = p + (size_t)i * size;
    if (i % PIECE == 0) {
      const uint32_t piece = n - i < PIECE ? n - i : PIECE;
      if (!any_wanted(rule, x, piece)) {
        memset(&mask->bits[i / 64], 0, 8 * ac_bitmap_words(piece));
        if (piece < PIECE) break;
        i += PIECE - 64;
        continue;
      }
    }
    uint64_t word = wanted(rule, x, m);
    /* those of the pattern that was last are soon found: most masks have one */
    const ac_mask_rule as_last = {size, 0, 0, mask->n_patterns > 0, {mask->n_patterns ? mask->patterns[last] : 0, 0}};
    uint64_t left = word && mask->n_patterns ? word & ~wanted(&as_last, x, m) : word;
    for (; left; left &= left - 1) {
      const unsigned j = (unsigned)__builtin_ctzll(left);
      const uint64_t bits = ac_load_bits(x + j * size, size);
      const unsigned at = pattern_of(mask, bits);
      last = at < mask->n_patterns ? at : last;
      if (at < mask->n_patterns) continue;
      /* where there is no room a value is not masked; the fixed ones have their places */
      const int fixed = (rule->n_fixed > 0 && bits == rule->fixed[0]) || (rule->n_fixed > 1 && bits == rule->fixed[1]);
      if (fixed || n_other < AC_MAX_PATTERNS - rule->n_fixed) {
        last = mask->n_patterns;
        mask->patterns[mask->n_patterns++] = bits;
        n_other += !fixed;
      } else {
        word &= ~(1ull << j);
      }
    }
    mask->bits[i / 64] = word;
    mask->masked += (uint32_t)__builtin_popcountll(word);
  }
}

#define DEFINE_COMPACT(T)                                                                    \
  static void compact_##T(const ac_mask *mask, const T *src, T *dst) {                       \
    for (uint32_t i = 0; i < mask->n; i += 64) {                                             \
      const unsigned m = mask->n - i < 64 ? mask->n - i : 64;                                \
      uint64_t word = mask->bits[i / 64];                                                    \
      if (!word) {                                                                           \
        memcpy(dst, src + i, m * sizeof(T));                                                 \
        dst += m;                                                                            \
        continue;                                                                            \
      }                                                                                      \
      for (uint64_t left = ~word & (m < 64 ? (1ull << m) - 1 : ~0ull); left; left &= left - 1) \
        *dst++ = src[i + (unsigned)__builtin_ctzll(left)];                                   \
    }                                                                                        \
  }                                                                                          \
  static void expand_##T(const ac_mask *mask, const uint8_t *which, T *dst) {                \
    const T *src = dst + mask->masked;                                                       \
    T pattern = (T)mask->patterns[0];                                                        \
    for (uint32_t i = 0; i < mask->n; i += 64) {                                             \
      const unsigned m = mask->n - i < 64 ? mask->n - i : 64;                                \
      const uint64_t word = mask->bits[i / 64];                                              \
      if (!word) {                                                                           \
        memmove(dst + i, src, m * sizeof(T));                                                \
        src += m;                                                                            \
      } else {                                                                               \
        for (unsigned j = 0; j < m; j++) {                                                   \
          if (!(word >> j & 1)) {                                                            \
            dst[i + j] = *src++;                                                             \
          } else {                                                                           \
            if (which) pattern = (T)mask->patterns[*which++];                                \
            dst[i + j] = pattern;                                                            \
          }                                                                                  \
        }                                                                                    \
      }                                                                                      \
    }                                                                                        \
  }
#define DEFINE_PUT(T)                                                                        \
  static void put_##T(const ac_mask *mask, const uint8_t *which, T *dst) {                   \
    T pattern = (T)mask->patterns[0];                                                        \
    for (size_t w = 0; w < ac_bitmap_words(mask->n); w++, dst += 64) {                       \
      const uint64_t word = mask->bits[w];                                                   \
      if (!which && word == ~0ull) {                                                         \
        for (unsigned j = 0; j < 64; j++) dst[j] = pattern;                                  \
        continue;                                                                            \
      }                                                                                      \
      for (uint64_t left = word; left; left &= left - 1) {                                   \
        if (which) pattern = (T)mask->patterns[*which++];                                    \
        dst[__builtin_ctzll(left)] = pattern;                                                \
      }                                                                                      \
    }                                                                                        \
  }
DEFINE_PUT(uint8_t)
DEFINE_PUT(uint16_t)
DEFINE_PUT(uint32_t)
DEFINE_PUT(uint64_t)
DEFINE_COMPACT(uint8_t)
DEFINE_COMPACT(uint16_t)
DEFINE_COMPACT(uint32_t)
DEFINE_COMPACT(uint64_t)

uint32_t ac_mask_compact(const ac_mask *mask, unsigned size, const void *src, void *dst) {
  switch (size) {
    case 1: compact_uint8_t(mask, src, dst); break;
    case 2: compact_uint16_t(mask, src, dst); break;
    case 4: compact_uint32_t(mask, src, dst); break;
    default: compact_uint64_t(mask, src, dst);
  }
  return mask->n - mask->masked;
}

void ac_mask_put(const ac_mask *mask, unsigned size, const uint8_t *which, void *dst) {
  switch (size) {
    case 1: put_uint8_t(mask, which, dst); break;
    case 2: put_uint16_t(mask, which, dst); break;
    case 4: put_uint32_t(mask, which, dst); break;
    default: put_uint64_t(mask, which, dst);
  }
}

void ac_mask_expand(const ac_mask *mask, unsigned size, const uint8_t *which, void *dst) {
  switch (size) {
    case 1: expand_uint8_t(mask, which, dst); break;
    case 2: expand_uint16_t(mask, which, dst); break;
    case 4: expand_uint32_t(mask, which, dst); break;
    default: expand_uint64_t(mask, which, dst);
  }
}

void ac_mask_bytes(const ac_mask *mask, uint8_t *bytes) {
  /* bit i of eight into byte i, where it then is all that can be there */
  const uint64_t ones = 0x0101010101010101u, diagonal = 0x8040201008040201u, below_top = 0x7f7f7f7f7f7f7f7fu;
  uint32_t i = 0;
  for (; i + 8 <= mask->n; i += 8)
    ac_store64(bytes + i, (((mask->bits[i / 64] >> (i % 64) & 255) * ones & diagonal) + below_top) >> 7 & ones);
  for (; i < mask->n; i++) bytes[i] = mask->bits[i / 64] >> (i % 64) & 1;
}

/* ---- contexts ---- */
enum { P = 12, WORD_CONTEXTS = 27, BYTE_CONTEXTS = 18, BIT_CONTEXTS = 32 };
enum { ZEROS = 0, ONES = 1, MIXED = 2 };

static uint64_t ones(unsigned m) { return m < 64 ? (1ull << m) - 1 : ~0ull; }

/* m bits from position `at` on, all before the end; zero before the first. */
static inline uint64_t bits_from(const uint64_t *bits, int64_t at, unsigned m) {
  if (at <= -64) return 0;
  if (at < 0) return bits[0] << -at & ones(m);
  const unsigned shift = at & 63;
  const uint64_t *const word = bits + at / 64;
  return (shift + m > 64 ? word[0] >> shift | word[1] << (64 - shift) : word[0] >> shift) & ones(m);
}

static inline unsigned state_of(uint64_t bits, unsigned m) { return !bits ? ZEROS : bits == ones(m) ? ONES : MIXED; }

/* The strides as what can be used of them within a block, in bits; 0: none.  What is looked at ends before the word, or the
 * byte, begins. */
typedef struct {
  int64_t row, plane;           /* of bits and bytes */
  int64_t word_row, word_plane;
} reach;

static int64_t usable(uint64_t stride, uint64_t least, uint64_t most) { return stride >= least && stride <= most ? (int64_t)stride : 0; }

static reach reach_of(const ac_strides *strides, uint32_t n) {
  enum { BYTE_ROW = 9 /* the neighbour NE of a byte's last bit */, BYTE = 8, WORD = 64 };
  return (reach){usable(strides->row, BYTE_ROW, n), usable(strides->plane, BYTE, n - 1), usable(strides->row, WORD, n),
                 usable(strides->plane, WORD, n - 1)};
}

/* The probability of a one in a context, times 2^16: a running mean over the last decisions, of the first
 * ones over all of them. */
typedef struct {
  uint32_t p, n;
} chance;

typedef struct {
  chance mixed[WORD_CONTEXTS], filled[WORD_CONTEXTS], same[2], byte_mixed[BYTE_CONTEXTS], byte_filled[BYTE_CONTEXTS], bit[BIT_CONTEXTS];
} chances;

enum { MEMORY = 32 };

static inline uint32_t frequency(const chance *c) {
  const uint32_t f = c->p >> 4;
  return f < 1 ? 1 : f > (1u << P) - 1 ? (1u << P) - 1 : f;
}

static inline void learn(chance *c, unsigned bit) {
  static const uint16_t RATE[MEMORY + 1] = { /* 655360 / (10 n + 6) */
      0,    40960, 25206, 18204, 14246, 11702, 9929, 8623, 7620, 6826, 6182, 5649, 5201, 4818, 4488, 4201, 3947,
      3723, 3523,  3343,  3181,  3034,  2899,  2776, 2664, 2560, 2463, 2374, 2291, 2214, 2141, 2073, 2010};
  c->n += c->n < MEMORY;
  const int32_t d = (int32_t)(bit << 16) - (int32_t)c->p;
  c->p = (uint32_t)((int32_t)c->p + (int32_t)((int64_t)d * RATE[c->n] >> 16));
}

/* ---- the walk along a bitmap, of writer and reader ---- */
/* The writer records decisions, in order, for an encoder that goes backwards: frequency of a one, and which it was.  The reader
 * decodes them: `words` are used up to words_end, and `failed` says that they ran short. */
typedef struct {
  chances chances;
  uint32_t *events, n_events;
  uint32_t x;
  const uint8_t *words, *words_end;
  int failed;
} bitmap_coder;

static inline unsigned play(bitmap_coder *d, uint32_t one) {
  const uint32_t zero = (1u << P) - one, slot = d->x & ((1u << P) - 1);
  const unsigned bit = slot >= zero;
  d->x = bit ? one * (d->x >> P) + slot - zero : zero * (d->x >> P) + slot;
  if (d->x < AC_STATE_MIN) {
    if (d->words == d->words_end) {
      d->failed = 1;
      d->x = AC_STATE_MIN;
    } else {
      d->x = d->x << 16 | ac_load16(d->words);
      d->words += 2;
    }
  }
  return bit;
}

/* A writer's decision is `bit`, a reader's what it decodes. */
AC_ALWAYS_INLINE unsigned decide(bitmap_coder *d, chance *c, unsigned bit, const int WRITES) {
  const uint32_t one = frequency(c);
  if (WRITES) d->events[d->n_events++] = one << 1 | bit;
  else bit = play(d, one);
  learn(c, bit);
  return bit;
}

/* ZEROS, ONES or MIXED. */
AC_ALWAYS_INLINE unsigned decide_state(bitmap_coder *d, chance *mixed, chance *filled, unsigned state, const int WRITES) {
  return decide(d, mixed, state == MIXED, WRITES) ? MIXED : decide(d, filled, state == ONES, WRITES);
}

/* The m bits of a byte at position i, which a writer knows, behind the bit `last`. */
AC_ALWAYS_INLINE unsigned code_byte(bitmap_coder *d, const uint64_t *bits, int64_t i, unsigned m, unsigned last, unsigned byte,
                                    const reach *r, const int WRITES) {
  chances *const c = &d->chances;
  const unsigned above = r->row ? (unsigned)bits_from(bits, i - r->row - 1, m + 2) : 0; /* from NW of the first on */
  const unsigned plane = r->plane ? (unsigned)bits_from(bits, i - r->plane, m) : 0;
  const unsigned context = last + 2 * state_of(above >> 1 & (unsigned)ones(m), m) + 6 * state_of(plane, m);
  const unsigned state = decide_state(d, &c->byte_mixed[context], &c->byte_filled[context], state_of(byte, m), WRITES);
  if (state != MIXED) return state == ONES ? (unsigned)ones(m) : 0;
  unsigned coded = 0;
  for (unsigned j = 0; j < m; j++) {
    last = decide(d, &c->bit[last | (above >> j & 7) << 1 | (plane >> j & 1) << 4], byte >> j & 1, WRITES);
    coded |= last << j;
  }
  return coded;
}

AC_ALWAYS_INLINE void code_bitmap(bitmap_coder *d, uint64_t *bits, uint32_t n, const ac_strides *strides, const int WRITES) {
  const reach r = reach_of(strides, n);
  chances *const c = &d->chances;
  chance *const all = (chance *)c;
  for (size_t i = 0; i < sizeof *c / sizeof *all; i++) all[i] = (chance){1u << 15, 0};
  unsigned before = ZEROS, same = 0;
  for (uint32_t i = 0; i < n && !d->failed; i += 64) {
    const unsigned m = n - i < 64 ? n - i : 64;
    const uint64_t word = WRITES ? bits[i / 64] : 0;
    const uint64_t above = r.word_row ? bits_from(bits, (int64_t)i - r.word_row, m) : 0;
    const uint64_t plane = r.word_plane ? bits_from(bits, (int64_t)i - r.word_plane, m) : 0;
    const unsigned context = before + 3 * state_of(above, m) + 9 * state_of(plane, m);
    before = decide_state(d, &c->mixed[context], &c->filled[context], state_of(word, m), WRITES);
    if (before != MIXED) {
      bits[i / 64] = before == ONES ? ones(m) : 0;
      continue;
    }
    if (state_of(plane, m) == MIXED && (same = decide(d, &c->same[same], word == plane, WRITES))) {
      bits[i / 64] = plane;
      continue;
    }
    uint64_t coded = 0;
    for (unsigned j = 0; j < m; j += 8) { /* a reader's bytes may be above others of the same word */
      const unsigned k = m - j < 8 ? m - j : 8, last = j ? coded >> (j - 1) & 1 : i ? (unsigned)(bits[i / 64 - 1] >> 63) : 0;
      coded |= (uint64_t)code_byte(d, bits, (int64_t)i + j, k, last, word >> j & 255, &r, WRITES) << j;
      if (!WRITES) bits[i / 64] = coded;
    }
  }
}

/* ---- writing ---- */
void ac_mask_write_bitmap(ac_writer *out, const ac_mask *mask, const ac_strides *strides, uint8_t *scratch) {
  bitmap_coder d = {.events = (uint32_t *)(void *)scratch};
  code_bitmap(&d, mask->bits, mask->n, strides, 1);
  /* backwards; a decision takes less than 16 bits, so words fit into the events that they replace */
  uint32_t x = AC_STATE_MIN;
  uint8_t *const end = scratch + 4 * (size_t)d.n_events, *p = end;
  for (uint32_t i = d.n_events; i-- > 0;) {
    const uint32_t bit = d.events[i] & 1, one = d.events[i] >> 1, zero = (1u << P) - one;
    const uint32_t freq = bit ? one : zero;
    if (x >= freq << (32 - P)) {
      p -= 2;
      ac_store16(p, (uint16_t)x);
      x >>= 16;
    }
    x = (x / freq << P) + x % freq + (bit ? zero : 0);
  }
  ac_write32(out, x);
  ac_write_varint(out, (uint64_t)(end - p) / 2);
  uint8_t *to = ac_give(out, (size_t)(end - p));
  if (to) memcpy(to, p, (size_t)(end - p));
}

static void write_runs(ac_writer *out, const ac_mask *mask, unsigned size, const uint8_t *src) {
  unsigned pattern = AC_MAX_PATTERNS;
  uint64_t run = 0;
  for (uint32_t i = 0; i < mask->n; i += 64)
    for (uint64_t left = mask->bits[i / 64]; left; left &= left - 1) {
      const uint32_t at = i + (uint32_t)__builtin_ctzll(left);
      const unsigned next = pattern_of(mask, ac_load_bits(src + (size_t)at * size, size));
      if (run && next != pattern) {
        ac_write_varint(out, (run - 1) << 4 | pattern);
        run = 0;
      }
      pattern = next;
      run++;
    }
  ac_write_varint(out, (run - 1) << 4 | pattern);
}

void ac_mask_write(ac_writer *out, const ac_mask *mask, unsigned size, const void *src, const ac_strides *strides,
                   uint8_t *scratch) {
  ac_write_varint(out, mask->masked);
  ac_write8(out, (uint8_t)mask->n_patterns);
  for (unsigned i = 0; i < mask->n_patterns; i++) {
    uint8_t *to = ac_give(out, size);
    if (to) store_value(to, mask->patterns[i], size);
  }
  if (mask->n_patterns > 1) write_runs(out, mask, size, src);
  if (mask->masked < mask->n) ac_mask_write_bitmap(out, mask, strides, scratch);
}

/* ---- reading ---- */
void ac_mask_read_bitmap(ac_reader *in, ac_mask *mask, const ac_strides *strides) {
  bitmap_coder d = {.x = ac_read32(in)};
  const uint64_t n_words = ac_read_varint(in);
  if (in->failed) return;
  if (d.x < AC_STATE_MIN || n_words > ac_remaining(in) / 2) {
    in->failed = AC_E_FORMAT;
    return;
  }
  d.words = ac_take(in, 2 * (size_t)n_words);
  d.words_end = d.words + 2 * (size_t)n_words;
  code_bitmap(&d, mask->bits, mask->n, strides, 0);
  uint32_t total = 0;
  for (size_t w = 0; w < ac_bitmap_words(mask->n); w++) total += (uint32_t)__builtin_popcountll(mask->bits[w]);
  if (d.failed || d.x != AC_STATE_MIN || d.words != d.words_end || total != mask->masked) in->failed = AC_E_FORMAT;
}

void ac_mask_read(ac_reader *in, ac_mask *mask, unsigned size, const ac_strides *strides, uint8_t *which) {
  const uint64_t masked = ac_read_varint(in);
  mask->n_patterns = ac_read8(in);
  if (masked < 1 || masked > mask->n || mask->n_patterns < 1 || mask->n_patterns > AC_MAX_PATTERNS) goto invalid;
  mask->masked = (uint32_t)masked;
  for (unsigned i = 0; i < mask->n_patterns; i++) {
    const uint8_t *p = ac_take(in, size);
    mask->patterns[i] = p ? ac_load_bits(p, size) : 0;
  }
  if (mask->n_patterns > 1)
    for (uint32_t done = 0; done < mask->masked;) {
      const uint64_t run = ac_read_varint(in), length = (run >> 4) + 1;
      if (in->failed) return;
      if ((run & 15) >= mask->n_patterns || length > mask->masked - done) goto invalid;
      memset(which + done, (int)(run & 15), (size_t)length);
      done += (uint32_t)length;
    }
  if (in->failed) return;
  if (mask->masked < mask->n) {
    ac_mask_read_bitmap(in, mask, strides);
  } else {
    for (uint32_t i = 0; i < mask->n; i += 64) mask->bits[i / 64] = ones(mask->n - i < 64 ? mask->n - i : 64);
  }
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}
