/* split.c: see split.h.  Between the values of a block without loss and the field of their integers (field_encode.c,
 * field_decode.c).
 *
 * Invariants: the bits that a value leaves out are counted by its integer alone; what does not come back bit for bit is refused; no
 * bits are read that are not there.  Integers only, but for scaling by powers of two.
 */
#include "split.h"

#include <string.h>

#include "../simd/kernels.h"

/* Bits of a value that are left out, with seven before them, are in one word. */
enum { PIECE = 1024, MOST_SPAN = 1 << 30, MOST_LEFT_OUT = 56, MOST_EXPONENT = 28 /* of integers */ };
enum { MOST_ADJUSTED = 127 /* units of the ordered image */ };

/* Exponents of the lattice that scaling reaches without a subnormal factor. */
static int least_shift(const ac_type *type) { return type->size == 8 ? -960 : -149; }
static int most_shift(const ac_type *type) { return type->size == 8 ? 960 : 127; }

/* Bits of a significand, as far as values have them. */
static unsigned significand_of(const ac_split *split, const ac_type *type) { return (unsigned)type->significand - split->idle; }

int ac_split_valid(const ac_split *split, const ac_type *type) {
  if (type->kind != AC_KIND_FLOAT) return 0;
  if (split->kind == AC_SPLIT_IMAGE) return split->shift >= 0 && split->shift <= MOST_LEFT_OUT && split->shift < 8 * type->size;
  if (split->kind == AC_SPLIT_AFFINE) return type->size >= 4;
  if (split->kind == AC_SPLIT_DECIMAL) return type->size >= 4 && ac_decimal_valid(&split->decimal) && split->shift >= 0 && split->shift <= AC_MOST_DIGITS;
  return split->kind == AC_SPLIT_LATTICE && type->size >= 4 && split->idle <= type->significand && split->shift >= least_shift(type) && split->shift <= most_shift(type);
}

/* Codes of small values begin with so many zeros: a positive zero; or octaves below 2^(shift - 1), and one more (then a sign and the
 * significand follow); or all bits do. */
enum { POSITIVE_ZERO = 0, LAST_OCTAVE = 32, ALL_BITS = 33, SMALL_BITS = 4 /* beside the significand, on average */ };

/* ---- of a piece ---- */
typedef struct {
  int32_t k[PIECE];     /* of lattices */
  int64_t wide[PIECE];  /* of images, and of decimals */
  uint64_t bits[PIECE]; /* that are left out */
  uint8_t width[PIECE]; /* and how many */
  uint8_t lost[PIECE];  /* is it less than the lattice has? */
} piece;

static int is_double(const ac_type *type) { return type->size == 8; }

/* ---- decimals: number = k * 10^left + bits * 10^zeros ---- */
static uint64_t low_end(int32_t k) { return k < 0 ? ~(uint32_t)k : (uint32_t)k; } /* of the magnitudes, in units of 10^left */

enum { MOST_LOW_DIGITS = 11 };
typedef struct {
  uint64_t unit[MOST_LOW_DIGITS]; /* of the digits that are left out, where the low end has so many digits */
  uint8_t width[MOST_LOW_DIGITS];
} left_digits;

static left_digits left_digits_of(const ac_split *split) {
  left_digits d;
  uint64_t low = 0;
  for (unsigned i = 0; i < MOST_LOW_DIGITS; low = low ? 10 * low : 1, i++) {
    const unsigned left = (unsigned)split->shift, zeros = ac_decimal_zeros(&split->decimal, left, low);
    d.unit[i] = ac_decimal_power(zeros);
    d.width[i] = (uint8_t)ac_bit_length(ac_decimal_power(left - zeros) - 1);
  }
  return d;
}

static void decimal_widths(const ac_split *split, uint32_t n, piece *p) {
  const left_digits d = left_digits_of(split);
  for (uint32_t j = 0; j < n; j++) p->width[j] = d.width[ac_decimal_digits(low_end(p->k[j]))];
}

static void split_decimals(const ac_split *split, uint32_t n, piece *p) {
  const left_digits d = left_digits_of(split);
  const int64_t unit = (int64_t)ac_decimal_power((unsigned)split->shift);
  for (uint32_t j = 0; j < n; j++) {
    const int64_t v = p->wide[j], quotient = v / unit, k = quotient - (v < quotient * unit);
    p->k[j] = k >= INT32_MIN && k <= INT32_MAX ? (int32_t)k : 0;
    p->bits[j] = (uint64_t)(v - k * unit) / d.unit[ac_decimal_digits(low_end(p->k[j]))];
  }
}

static void join_decimals(const ac_split *split, uint32_t n, piece *p) {
  const left_digits d = left_digits_of(split);
  const uint64_t unit = ac_decimal_power((unsigned)split->shift);
  for (uint32_t j = 0; j < n; j++)
    p->wide[j] = (int64_t)((uint64_t)p->k[j] * unit + p->bits[j] * d.unit[ac_decimal_digits(low_end(p->k[j]))]);
}

/* How many bits integers leave out; returns how many integers are 0, of a lattice of a power of two. */
static uint32_t find_widths(const ac_split *split, const ac_type *type, const uint8_t *masked, uint32_t n, piece *p) {
  uint32_t zeros = 0;
  if (split->kind == AC_SPLIT_IMAGE) memset(p->width, split->shift, n);
  else if (split->kind == AC_SPLIT_AFFINE) memset(p->width, 0, n);
  else if (split->kind == AC_SPLIT_DECIMAL) decimal_widths(split, n, p);
  else zeros = ac_active_kernels()->widths(p->k, significand_of(split, type), n, p->width);
  for (uint32_t j = 0; masked && j < n; j++) p->width[j] = (uint8_t)(p->width[j] & ((masked[j] & 1) - 1));
  return zeros;
}

static void split_piece(const ac_split *split, const ac_type *type, const void *values, uint32_t n, piece *p) {
  const ac_kernels *const kernels = ac_active_kernels();
  if (split->kind == AC_SPLIT_LATTICE) {
    kernels->part[is_double(type)](values, split->shift, n, p->k, p->bits, p->lost);
    for (uint32_t j = 0; j < n && split->idle; j++) p->bits[j] >>= split->idle;
    return;
  }
  if (split->kind == AC_SPLIT_AFFINE) {
    ac_affine_numbers(&split->lattice, type->size, values, n, p->k);
    memset(p->bits, 0, n * sizeof *p->bits);
    return;
  }
  if (split->kind == AC_SPLIT_DECIMAL) {
    ac_decimal_numbers(&split->decimal, type, values, n, p->wide);
    split_decimals(split, n, p);
    return;
  }
  kernels->to_wide(AC_IMAGE_ORDERED, type->size, 0, values, n, p->wide);
  for (uint32_t j = 0; j < n; j++) {
    p->bits[j] = (uint64_t)p->wide[j] & (((uint64_t)1 << split->shift) - 1);
    p->wide[j] >>= split->shift;
  }
}

/* And back. */
static void join_piece(const ac_split *split, const ac_type *type, piece *p, uint32_t n, void *values) {
  const ac_kernels *const kernels = ac_active_kernels();
  if (split->kind == AC_SPLIT_LATTICE) {
    kernels->unpart[is_double(type)](p->k, p->bits, p->width, split->shift, n, values);
    return;
  }
  if (split->kind == AC_SPLIT_AFFINE) {
    kernels->affine(&split->lattice.formula, type->size, p->k, n, values);
    return;
  }
  if (split->kind == AC_SPLIT_DECIMAL) {
    join_decimals(split, n, p);
    ac_decimal_values(&split->decimal, type, p->wide, n, values);
    return;
  }
  for (uint32_t j = 0; j < n; j++) p->wide[j] = (int64_t)((uint64_t)p->wide[j] << split->shift | p->bits[j]);
  kernels->from_wide(AC_IMAGE_ORDERED, type->size, 0, p->wide, n, values);
}

/* ---- encoder ---- */
int ac_split_finest(unsigned kind, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_split *split) {
  const unsigned size = type->size, significand = type->significand;
  *split = (ac_split){.kind = (uint8_t)kind};
  if (kind == AC_SPLIT_IMAGE) {
    int64_t wide[PIECE], least = INT64_MAX, most = INT64_MIN;
    for (uint32_t from = 0; from < n; from += PIECE) {
      const uint32_t m = n - from < PIECE ? n - from : PIECE;
      ac_active_kernels()->to_wide(AC_IMAGE_ORDERED, size, 0, (const uint8_t *)values + (size_t)from * size, m, wide);
      for (uint32_t j = 0; j < m; j++) {
        if (masked[from + j] & 1) continue;
        least = wide[j] < least ? wide[j] : least;
        most = wide[j] > most ? wide[j] : most;
      }
    }
    if (least > most) return 0;
    while ((uint64_t)(most >> split->shift) - (uint64_t)(least >> split->shift) >= MOST_SPAN - 1) split->shift++;
    return 1;
  }
  if (size < 4) return 0;
  if (kind == AC_SPLIT_DECIMAL) {
    uint64_t number;
    if (!ac_decimal_find(type, values, n, masked, &split->decimal, &number)) return 0;
    for (; number >= MOST_SPAN / 2; number /= 10) split->shift++;
    return ac_split_valid(split, type);
  }
  uint64_t largest = 0, any = 0;
  const uint64_t magnitude = ~(uint64_t)0 >> (65 - 8 * size);
  for (uint32_t j = 0; j < n; j++) {
    const uint64_t bits = masked[j] & 1 ? 0 : ac_load_bits((const uint8_t *)values + (size_t)j * size, size) & magnitude;
    largest = bits > largest ? bits : largest;
    any |= bits;
  }
  const unsigned zeros = any ? (unsigned)__builtin_ctzll(any) : 0;
  split->idle = (uint8_t)(zeros < significand ? zeros : significand);
  const int exponent = (int)(largest >> significand) - (int)type->most / 2; /* |x| < 2^(exponent + 1) */
  /* no finer than the largest values are */
  split->shift = (int16_t)(exponent - (int)(significand - split->idle < MOST_EXPONENT ? significand - split->idle : MOST_EXPONENT));
  if (split->shift < least_shift(type)) split->shift = (int16_t)least_shift(type);
  return largest && ac_split_valid(split, type);
}

/* The least and the largest of the integers of a piece that are not masked. */
static void extend(const ac_split *split, const piece *p, const uint8_t *masked, uint32_t n, int64_t *least, int64_t *most) {
  if (split->kind != AC_SPLIT_IMAGE) {
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (uint32_t j = 0; j < n; j++) {
      const int32_t gone = (int32_t)(masked[j] & 1); /* as nothing of either */
      const int32_t a = gone ? INT32_MAX : p->k[j], b = gone ? INT32_MIN : p->k[j];
      low = a < low ? a : low;
      high = b > high ? b : high;
    }
    if (low > high) return;
    *least = low < *least ? low : *least;
    *most = high > *most ? high : *most;
    return;
  }
  for (uint32_t j = 0; j < n; j++) {
    if (masked[j] & 1) continue;
    *least = p->wide[j] < *least ? p->wide[j] : *least;
    *most = p->wide[j] > *most ? p->wide[j] : *most;
  }
}

/* How many values that are not masked do not come back from a piece. */
static uint32_t count_refused(const ac_split *split, const ac_type *type, const uint8_t *values, const uint8_t *masked, uint32_t n, piece *p) {
  uint64_t again[PIECE];
  uint32_t refused = 0;
  join_piece(split, type, p, n, again);
  for (uint32_t j = 0; j < n; j++)
    refused += !(masked[j] & 1) && memcmp((uint8_t *)again + (size_t)j * type->size, values + (size_t)j * type->size, type->size);
  return refused;
}

/* By how many units of the ordered image values are off what their integers mean, those of an affine lattice; 0 if they are masked. */
static void find_adjustments(const ac_split *split, const ac_type *type, const void *values, const uint8_t *masked, uint32_t n, piece *p,
                             int64_t *units) {
  const ac_kernels *const kernels = ac_active_kernels();
  uint64_t again[PIECE];
  kernels->affine(&split->lattice.formula, type->size, p->k, n, again);
  kernels->to_wide(AC_IMAGE_ORDERED, type->size, 0, again, n, p->wide);
  kernels->to_wide(AC_IMAGE_ORDERED, type->size, 0, values, n, units);
  for (uint32_t j = 0; j < n; j++) units[j] = masked[j] & 1 ? 0 : (int64_t)((uint64_t)units[j] - (uint64_t)p->wide[j]);
}

static int can_adjust(int64_t units) { return units >= -MOST_ADJUSTED && units <= MOST_ADJUSTED; }

/* What values are off, by sign and bit length; those that must be refused anyway are the last. */
enum { ADJUSTMENTS = 2 * 8, REFUSED_BITS = 8 /* beside the value's own */ };
static void count_adjustments(const int64_t *units, uint32_t n, uint32_t *counts) {
  for (uint32_t j = 0; j < n; j++) {
    const uint64_t magnitude = (uint64_t)(units[j] < 0 ? -units[j] : units[j]);
    counts[can_adjust(units[j]) ? 2 * ac_bit_length(magnitude) - (units[j] < 0) : ADJUSTMENTS]++;
  }
}

/* Bits that it takes to adjust all values that can be, by the entropy. */
static double adjusting_bits(const uint32_t *counts) {
  uint32_t all = 0;
  double bits = 0;
  for (unsigned i = 0; i < ADJUSTMENTS; i++) all += counts[i];
  for (unsigned i = 0; i < ADJUSTMENTS; i++)
    if (counts[i]) bits += counts[i] * ((ac_log2(all) - ac_log2(counts[i])) * 0x1p-16 + (i > 2 ? (i + 1) / 2 - 1 : 0));
  return bits;
}

int ac_split_take(ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, int32_t *k, int64_t *base,
                  double *left_out) {
  const int on_lattice = split->kind != AC_SPLIT_IMAGE;
  uint32_t counts[ADJUSTMENTS + 1] = {0};
  int64_t least = INT64_MAX, most = INT64_MIN;
  uint64_t bits = 0;
  piece p;
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const at = (const uint8_t *)values + (size_t)from * type->size;
    uint32_t some = 0, small = 0;
    split_piece(split, type, at, m, &p);
    extend(split, &p, masked + from, m, &least, &most);
    find_widths(split, type, masked + from, m, &p);
    for (uint32_t j = 0; j < m; j++) some += p.width[j];
    if (split->kind == AC_SPLIT_AFFINE) {
      int64_t units[PIECE];
      find_adjustments(split, type, at, masked + from, m, &p, units);
      count_adjustments(units, m, counts);
    }
    if (split->kind == AC_SPLIT_DECIMAL) bits += count_refused(split, type, at, masked + from, m, &p) * (REFUSED_BITS + 8ull * type->size);
    for (uint32_t j = 0; j < m && split->kind == AC_SPLIT_LATTICE; j++) small += p.lost[j] & !(masked[from + j] & 1);
    bits += some + small * (uint64_t)(SMALL_BITS + significand_of(split, type));
    if (on_lattice) memcpy(k + from, p.k, m * sizeof *k);
  }
  if (least > most || (uint64_t)most - (uint64_t)least >= MOST_SPAN) return 0;
  if (split->kind == AC_SPLIT_AFFINE) {
    const uint64_t refused = REFUSED_BITS + 8ull * type->size, far = counts[ADJUSTMENTS] * refused;
    const double adjusted = adjusting_bits(counts);
    uint32_t off = 0;
    for (unsigned i = 1; i < ADJUSTMENTS; i++) off += counts[i];
    split->adjusted = adjusted < (double)(off * refused);
    bits = far + (split->adjusted ? (uint64_t)adjusted : off * refused);
  }
  *base = (int64_t)((uint64_t)least + ((uint64_t)most - (uint64_t)least) / 2);
  for (uint32_t from = 0; from < n && !on_lattice; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    split_piece(split, type, (const uint8_t *)values + (size_t)from * type->size, m, &p);
    for (uint32_t j = 0; j < m; j++) k[from + j] = (int32_t)((uint64_t)p.wide[j] - (uint64_t)*base);
  }
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t from_base = (uint32_t)k[j] - (on_lattice ? (uint32_t)*base : 0);
    k[j] = (int32_t)(from_base & ((uint32_t)(masked[j] & 1) - 1));
  }
  uint32_t coded = 0;
  for (uint32_t j = 0; j < n; j++) coded += !(masked[j] & 1);
  *left_out = (double)bits / coded;
  return 1;
}

/* ---- small values ---- */
static void write_wide(ac_bitwriter *b, uint64_t v, unsigned n) {
  ac_write_bits(b, (uint32_t)(v & (n < 32 ? (1u << n) - 1 : UINT32_MAX)), n < 32 ? n : 32);
  if (n > 32) ac_write_bits(b, (uint32_t)(v >> 32), n - 32);
}

static uint64_t read_wide(ac_bitreader *b, unsigned n) {
  const uint64_t low = ac_read_bits(b, n < 32 ? n : 32);
  return n > 32 ? low | (uint64_t)ac_read_bits(b, n - 32) << 32 : low;
}

static void write_small(ac_bitwriter *b, const ac_split *split, const ac_type *type, uint64_t bits) {
  const unsigned significand = type->significand, width = 8 * type->size;
  const uint64_t negative = bits >> (width - 1), magnitude = bits & ~(negative << (width - 1));
  const int exponent = (int)(magnitude >> significand) - (int)type->most / 2, octave = split->shift - exponent;
  if (!bits) {
    ac_write_zeros(b, POSITIVE_ZERO);
  } else if (magnitude >> significand && octave > 0 && octave <= LAST_OCTAVE) {
    ac_write_zeros(b, (uint32_t)octave);
    ac_write_bits(b, (uint32_t)negative, 1);
    write_wide(b, (magnitude & (((uint64_t)1 << significand) - 1)) >> split->idle, significand - split->idle);
  } else {
    ac_write_zeros(b, ALL_BITS);
    write_wide(b, bits, width);
  }
}

static void read_small(ac_bitreader *b, const ac_split *split, const ac_type *type, uint8_t *value) {
  const unsigned significand = significand_of(split, type);
  const uint32_t zeros = ac_read_zeros(b, ALL_BITS);
  if (zeros == POSITIVE_ZERO || b->bytes->failed) {
    memset(value, 0, type->size);
  } else if (zeros == ALL_BITS) {
    const uint64_t bits = read_wide(b, 8 * type->size);
    memcpy(value, &bits, type->size);
  } else {
    const uint32_t negative = ac_read_bits(b, 1);
    const double m = (double)(int64_t)(read_wide(b, significand) | (uint64_t)1 << significand);
    const union {
      uint64_t bits;
      double d;
    } scale = {(uint64_t)(1023 + split->shift - (int)zeros - (int)significand) << 52};
    const double x = (negative ? -m : m) * scale.d;
    const float single = (float)x;
    if (type->size == 4) memcpy(value, &single, 4);
    else memcpy(value, &x, 8);
  }
}

/* The adjustments of a piece of PIECE values at most, from one on; returns how many those are. */
static uint32_t piece_adjustments(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, uint32_t from,
                                  int64_t *units) {
  const uint32_t m = n - from < PIECE ? n - from : PIECE;
  const uint8_t *const at = (const uint8_t *)values + (size_t)from * type->size;
  piece p;
  split_piece(split, type, at, m, &p);
  find_adjustments(split, type, at, masked + from, m, &p, units);
  return m;
}

int ac_split_adjust(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, const ac_tuning *tuning,
                    ac_encode_scratch *s, ac_left_out *left) {
  const size_t room = left->size;
  left->size = left->small = 0;
  if (!split->adjusted) return 1;
  for (uint32_t from = 0; from < n; from += PIECE) {
    int64_t units[PIECE];
    const uint32_t m = piece_adjustments(split, type, values, n, masked, from, units);
    for (uint32_t j = 0; j < m; j++) s->q[from + j] = can_adjust(units[j]) ? (int32_t)units[j] : 0;
  }
  ac_active_kernels()->statistics(s->q, n, ac_group_size(tuning), s->stats);
  ac_writer out = {left->bits, left->bits + room, 0};
  if (!ac_section_write(&out, n, tuning, s, NULL, 0, 0, 0) || out.failed) return 0;
  left->size = (size_t)(out.p - left->bits);
  return 1;
}

/* Values that an affine lattice does not give back, adjusted or not. */
static void refuse(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, uint32_t *refused,
                   uint32_t *n_refused) {
  for (uint32_t from = 0; from < n; from += PIECE) {
    int64_t units[PIECE];
    const uint32_t m = piece_adjustments(split, type, values, n, masked, from, units);
    for (uint32_t j = 0; j < m; j++)
      if (split->adjusted ? !can_adjust(units[j]) : units[j] != 0) refused[(*n_refused)++] = from + j;
  }
}

int ac_split_write(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_left_out *left,
                   uint32_t *refused, uint32_t *n_refused) {
  *n_refused = 0;
  if (split->kind == AC_SPLIT_AFFINE) {
    refuse(split, type, values, n, masked, refused, n_refused);
    return 1;
  }
  const unsigned size = type->size;
  piece p;
  uint64_t joined[PIECE];
  uint8_t *const again = (uint8_t *)joined, *to = left->bits, *const end = left->bits + left->size;
  uint64_t some = 0; /* bits that are not written yet: `filled` of them, below 8 */
  unsigned filled = 0;
  uint32_t zeros = 0; /* integers, masked ones among them */
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const at = (const uint8_t *)values + (size_t)from * size;
    uint32_t bits = 0;
    split_piece(split, type, at, m, &p);
    zeros += find_widths(split, type, masked + from, m, &p);
    for (uint32_t j = 0; j < m; j++) bits += p.width[j];
    if ((size_t)(end - to) < (filled + bits) / 8 + sizeof some) return 0; /* words are written to their ends */
    for (uint32_t j = 0; j < m; j++) {
      p.bits[j] &= ((uint64_t)1 << p.width[j]) - 1;
      some |= p.bits[j] << filled;
      filled += p.width[j];
      ac_store64(to, some);
      to += filled / 8;
      some >>= filled & ~7u;
      filled &= 7;
    }
    join_piece(split, type, &p, m, again);
    if (!memcmp(again, at, (size_t)m * size)) continue;
    for (uint32_t j = 0; j < m; j++) {
      if (masked[from + j] & 1 || !memcmp(again + (size_t)j * size, at + (size_t)j * size, size)) continue;
      if (split->kind != AC_SPLIT_LATTICE || p.k[j]) refused[(*n_refused)++] = from + j; /* others are small */
    }
  }
  to += filled > 0;
  ac_writer out = {to, end, 0};
  ac_bitwriter codes = {&out, 0, 0};
  for (uint32_t from = 0; from < n && zeros; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const at = (const uint8_t *)values + (size_t)from * size;
    split_piece(split, type, at, m, &p);
    for (uint32_t j = 0; j < m; j++)
      if (!p.k[j] && !(masked[from + j] & 1)) write_small(&codes, split, type, ac_load_bits(at + (size_t)j * size, size));
  }
  ac_flush_bits(&codes);
  left->size = (size_t)(to - left->bits);
  left->small = (size_t)(out.p - to);
  return !out.failed;
}

void ac_split_write_all(ac_writer *out, const ac_split *split, const ac_left_out *left) {
  ac_write8(out, split->kind);
  if (split->kind == AC_SPLIT_AFFINE) {
    ac_affine_write_lattice(out, &split->lattice.formula);
    ac_write_varint(out, left->size);
    uint8_t *const adjustments = ac_give(out, left->size);
    if (adjustments) memcpy(adjustments, left->bits, left->size);
    return;
  }
  if (split->kind == AC_SPLIT_LATTICE) ac_write8(out, split->idle);
  if (split->kind == AC_SPLIT_DECIMAL) {
    ac_write8(out, split->decimal.places);
    ac_write8(out, split->decimal.digits);
  }
  ac_write_varint(out, ac_zigzag(split->shift));
  ac_write_varint(out, left->size);
  if (split->kind == AC_SPLIT_LATTICE) ac_write_varint(out, left->small);
  uint8_t *const to = ac_give(out, left->size + left->small);
  if (to) memcpy(to, left->bits, left->size + left->small);
}

/* ---- decoder ---- */
int ac_split_open(ac_reader *in, const ac_type *type, ac_split *split, ac_split_reader *r) {
  *split = (ac_split){.kind = ac_read8(in)};
  if (split->kind == AC_SPLIT_AFFINE) {
    ac_affine_read_lattice(in, &split->lattice.formula);
    const uint64_t length = ac_read_varint(in);
    if (in->failed || length > ac_remaining(in) || !ac_split_valid(split, type)) return 0;
    split->adjusted = length > 0;
    *r = (ac_split_reader){.split = split, .type = type, .bits = in->p, .small = {in->p, in->p + length, 0}};
    r->codes = (ac_bitreader){&r->small, 0, 0};
    in->p += length;
    return 1;
  }
  if (split->kind == AC_SPLIT_LATTICE) split->idle = ac_read8(in);
  if (split->kind == AC_SPLIT_DECIMAL) {
    split->decimal.places = ac_read8(in);
    split->decimal.digits = ac_read8(in);
  }
  const int64_t shift = ac_unzigzag(ac_read_varint(in));
  split->shift = (int16_t)shift;
  *r = (ac_split_reader){.split = split, .type = type, .size = ac_read_varint(in)};
  if (in->failed || shift != split->shift || !ac_split_valid(split, type)) return 0;
  const uint64_t small = split->kind == AC_SPLIT_LATTICE ? ac_read_varint(in) : 0;
  if (in->failed || r->size > ac_remaining(in) || small > ac_remaining(in) - r->size) return 0;
  r->bits = in->p;
  r->small = (ac_reader){in->p + r->size, in->p + r->size + small, 0};
  in->p = r->small.end;
  r->codes = (ac_bitreader){&r->small, 0, 0};
  return 1;
}

int ac_split_load(ac_split_reader *r, uint32_t n, ac_decode_scratch *s) {
  if (!r->split->adjusted) return AC_OK;
  /* where the walk through the residuals keeps nothing */
  int8_t *const adjustments = (int8_t *)s->low + 5 * (size_t)n;
  const int error = ac_section_integers(&r->small, n, s->tables, s->watch, s->high);
  if (error) return error;
  int far = 0;
  for (uint32_t i = 0; i < n; i++) {
    far |= !can_adjust(s->high[i]);
    adjustments[i] = (int8_t)s->high[i];
  }
  if (far) return AC_E_FORMAT;
  r->adjustments = adjustments;
  r->small.p = r->small.end;
  return AC_OK;
}

int ac_split_ended(ac_split_reader *r) {
  ac_end_bits(&r->codes);
  return !r->failed && (r->bit + 7) / 8 == r->size && !r->small.failed && !ac_remaining(&r->small);
}

void ac_split_put(ac_split_reader *r, int64_t base, const int32_t *k, uint32_t at, uint32_t n, void *values) {
  const ac_kernels *const kernels = ac_active_kernels();
  const unsigned size = r->type->size;
  const int on_lattice = r->split->kind != AC_SPLIT_IMAGE;
  piece p;
  uint8_t copy[PIECE * sizeof(uint64_t) + 8];
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const masked = r->masked ? r->masked + at + from : NULL;
    uint8_t *const to = (uint8_t *)values + (size_t)from * size;
    if (on_lattice)
      for (uint32_t j = 0; j < m; j++) p.k[j] = (int32_t)((uint32_t)base + (uint32_t)k[from + j]);
    else
      for (uint32_t j = 0; j < m; j++) p.wide[j] = (int64_t)((uint64_t)base + (uint64_t)(int64_t)k[from + j]);
    const uint32_t zeros = find_widths(r->split, r->type, masked, m, &p);
    uint32_t bits = 0;
    for (uint32_t j = 0; j < m; j++) bits += p.width[j];
    if (r->bit + bits > 8 * r->size) {
      r->failed = 1;
      memset(p.bits, 0, sizeof p.bits);
    } else {
      const uint8_t *field = r->bits + r->bit / 8;
      const uint64_t left = r->size - r->bit / 8;
      if (left < ((r->bit & 7) + bits) / 8 + 8) { /* words are read to their ends */
        memcpy(copy, field, left);
        memset(copy + left, 0, 8);
        field = copy;
      }
      kernels->fields(field, r->bit & 7, p.width, m, p.bits);
      r->bit += bits;
    }
    join_piece(r->split, r->type, &p, m, to);
    if (r->adjustments) {
      kernels->to_wide(AC_IMAGE_ORDERED, size, 0, to, m, p.wide);
      for (uint32_t j = 0; j < m; j++) p.wide[j] = (int64_t)((uint64_t)p.wide[j] + (uint64_t)(int64_t)r->adjustments[at + from + j]);
      kernels->from_wide(AC_IMAGE_ORDERED, size, 0, p.wide, m, to);
    }
    for (uint32_t j = 0; j < m && zeros; j++)
      if (p.k[j] == 0 && !(masked && masked[j] & 1)) read_small(&r->codes, r->split, r->type, to + (size_t)j * size);
  }
}
