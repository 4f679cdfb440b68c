/* copies.c: see copies.h.  Between the mask, whose bitmap it has, and the block.
 *
 *   number | bitmap | bit lengths of distances, a windows section | what is below the leading bits
 *
 * A value is looked for where it stood last, in a hash table of the values before, and the run of equal values behind both is as long as it
 * gets (after J. Ziv and A. Lempel, "A universal algorithm for sequential data compression", 1977, with values for letters).
 *
 * Invariants: no distance leads to before the block; a value that is no copy stands before its copies.
 */
#include "copies.h"

#include <string.h>

#include "../simd/kernels.h"

enum { MOST_LENGTH = 16 /* of distances, in bits */, WINDOW = (1 << 16) - 1, TABLE_BITS = 17, LEAST = 1024 /* values of a block */ };

/* ---- encode ---- */
/* Where values stood last: positions plus one. */
typedef struct {
  uint32_t *last;
  unsigned shift;
} table;

static table table_in(uint32_t *memory, uint32_t n) {
  unsigned bits = 8;
  while (bits < TABLE_BITS && 2u << bits <= n) bits++;
  memset(memory, 0, sizeof *memory << bits);
  return (table){memory, 64 - bits};
}

static uint32_t *slot_of(const table *t, uint64_t value) { return &t->last[value * 0x9e3779b97f4a7c15u >> t->shift]; }

typedef struct {
  const uint8_t *values;
  uint32_t n;
  unsigned size;
  const ac_mask *masked;
  double bits;
  table table;
  double gain; /* bits of all */
} finder;

static uint64_t value_at(const finder *f, uint32_t i) { return ac_load_bits(f->values + (size_t)i * f->size, f->size); }
static int is_masked(const finder *f, uint32_t i) { return f->masked->masked && f->masked->bits[i / 64] >> (i % 64) & 1; }

/* What a run of copies takes at least: where it begins among others, and its distance.  (A dearer estimate made blocks with many copies larger: those that
 * pay little alone make the next ones cheaper.) */
static double run_bits(uint32_t distance) { return 1 + ac_bit_length(distance); }

/* The length of the run of copies that begins at a value and pays, which is then in the table, and its distance; 0 if there is none. */
static uint32_t run_at(finder *f, uint32_t at, uint32_t end, uint32_t *distance) {
  uint32_t *const slot = slot_of(&f->table, value_at(f, at));
  const uint32_t before = *slot;
  *slot = at + 1;
  if (!before || at + 1 - before > WINDOW || value_at(f, before - 1) != value_at(f, at)) return 0;
  *distance = at + 1 - before;
  uint32_t length = 1;
  while (at + length < end && !is_masked(f, at + length) && value_at(f, at + length) == value_at(f, at + length - *distance)) length++;
  const double gain = length * (f->bits - 1) - run_bits(*distance);
  if (gain <= 0) return 0;
  for (uint32_t i = 1; i < length; i++) *slot_of(&f->table, value_at(f, at + i)) = at + i + 1;
  f->gain += gain;
  return length;
}

double ac_copies_estimate(const void *values, uint32_t n, unsigned size, const ac_mask *masked, double bits, ac_encode_scratch *s) {
  enum { PIECES = 4, PIECE = 2048 };
  const uint32_t length = n / PIECES < PIECE ? n / PIECES : PIECE;
  if (n < LEAST) return 0;
  finder f = {values, n, size, masked, bits, {NULL, 0}, 0};
  for (uint32_t i = 0; i < PIECES; i++) {
    const uint32_t from = n / PIECES * i, end = from + length;
    f.table = table_in((uint32_t *)s->field, length);
    for (uint32_t at = from, distance, run; at < end; at += run + !run) run = is_masked(&f, at) ? 0 : run_at(&f, at, end, &distance);
  }
  return f.gain / (bits * PIECES * length);
}

/* Bits below the leading ones of distances; of a copy that has the distance of the one before, nothing. */
static void write_distances(ac_writer *out, const uint16_t *distances, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s) {
  uint8_t *start = out->p;
  for (uint32_t i = 0; i < n; i++) s->q[i] = i && distances[i] == distances[i - 1] ? 0 : (int32_t)ac_bit_length(distances[i]);
  ac_active_kernels()->statistics(s->q, n, ac_group_size(tuning), s->stats);
  if (!ac_section_write(out, n, tuning, s, NULL, 0, 0, 0)) {
    out->failed = 1;
    return;
  }
  ac_insert_length(out, start);
  start = out->p;
  ac_bitwriter b = {out, 0, 0};
  for (uint32_t i = 0; i < n; i++) {
    if (i && distances[i] == distances[i - 1]) continue;
    const unsigned below = ac_bit_length(distances[i]) - 1;
    ac_write_bits(&b, distances[i] & ((1u << below) - 1), below);
  }
  ac_flush_bits(&b);
  ac_insert_length(out, start);
}

int ac_copies_find(const void *values, uint32_t n, unsigned size, const ac_mask *masked, double bits, const ac_strides *strides,
                   const ac_tuning *tuning, ac_encode_scratch *s, ac_copies *copies) {
  uint64_t *const found = (uint64_t *)s->copies;
  uint16_t *const distances = (uint16_t *)(s->field + n); /* behind the table, which has n entries at most */
  *copies = (ac_copies){{.n = n, .bits = found}, distances, NULL, 0};
  if (n < LEAST) return 0;
  finder f = {values, n, size, masked, bits, table_in((uint32_t *)s->field, n), 0};
  memset(found, 0, 8 * ac_bitmap_words(n));
  for (uint32_t at = 0, run; at < n; at += run + !run) {
    uint32_t distance;
    run = is_masked(&f, at) ? 0 : run_at(&f, at, n, &distance);
    for (uint32_t i = at; i < at + run; i++) {
      found[i / 64] |= (uint64_t)1 << (i % 64);
      distances[copies->at.masked++] = (uint16_t)distance;
    }
  }
  if (!copies->at.masked) return 0;
  uint8_t *const start = (uint8_t *)(ac_copies_joined(s, n) + ac_bitmap_words(n));
  ac_writer out = {start, start + 2 * (size_t)n, 0};
  ac_write_varint(&out, copies->at.masked);
  ac_mask_write_bitmap(&out, &copies->at, strides, (uint8_t *)s->events);
  if (!out.failed) write_distances(&out, distances, copies->at.masked, tuning, s);
  const double worth = 0.005; /* of all bits */
  copies->size = (size_t)(out.p - start);
  if (out.failed || 8.0 * (double)copies->size >= bits * (copies->at.masked - worth * n)) return 0;
  copies->section = start;
  return 1;
}

void ac_copies_join(const ac_copies *copies, const ac_mask *mask, uint64_t *bits, ac_mask *joined) {
  const size_t words = ac_bitmap_words(copies->at.n);
  for (size_t i = 0; i < words; i++) bits[i] = copies->at.bits[i] | (mask->masked ? mask->bits[i] : 0);
  *joined = (ac_mask){.n = copies->at.n, .masked = mask->masked + copies->at.masked, .n_patterns = 1, .bits = bits};
}

/* ---- decode ---- */
void ac_copies_read(ac_reader *in, ac_copies *copies, const ac_strides *strides, ac_decode_scratch *s) {
  uint16_t *const distances = s->distances;
  copies->distances = distances;
  const uint64_t number = ac_read_varint(in);
  if (in->failed || number < 1 || number >= copies->at.n) goto invalid;
  const uint32_t n = copies->at.masked = (uint32_t)number;
  ac_mask_read_bitmap(in, &copies->at, strides);
  const uint64_t length = ac_read_varint(in);
  if (in->failed || length > ac_remaining(in)) goto invalid;
  ac_reader bytes = {in->p, in->p + length, 0};
  in->p += length;
  if (ac_section_integers(&bytes, n, s->tables, s->watch, s->high)) goto invalid;
  const uint64_t below = ac_read_varint(in);
  if (in->failed || below > ac_remaining(in)) goto invalid;
  ac_reader low = {in->p, in->p + below, 0};
  ac_bitreader b = {&low, 0, 0};
  in->p += below;
  uint32_t k = 0;
  for (uint32_t i = 0; i < copies->at.n; i += 64)
    for (uint64_t left = copies->at.bits[i / 64]; left; left &= left - 1, k++) {
      const uint32_t at = i + (uint32_t)__builtin_ctzll(left);
      const int32_t bits = s->high[k];
      if (bits < 0 || bits > MOST_LENGTH || (!bits && !k)) goto invalid;
      distances[k] = bits ? (uint16_t)(1u << (bits - 1) | ac_read_bits(&b, (unsigned)bits - 1)) : distances[k - 1];
      if (distances[k] > at || low.failed) goto invalid;
    }
  ac_end_bits(&b);
  if (low.failed || ac_remaining(&low)) goto invalid;
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}

#define DEFINE_PUT(T)                                                                         \
  static void put_##T(const ac_copies *copies, T *dst) {                                      \
    const uint16_t *distance = copies->distances;                                             \
    for (uint32_t i = 0; i < copies->at.n; i += 64)                                           \
      for (uint64_t left = copies->at.bits[i / 64]; left; left &= left - 1) {                 \
        const uint32_t at = i + (uint32_t)__builtin_ctzll(left);                              \
        dst[at] = dst[at - *distance++];                                                      \
      }                                                                                       \
  }
DEFINE_PUT(uint8_t)
DEFINE_PUT(uint16_t)
DEFINE_PUT(uint32_t)
DEFINE_PUT(uint64_t)

void ac_copies_put(const ac_copies *copies, unsigned size, void *dst) {
  switch (size) {
    case 1: put_uint8_t(copies, dst); break;
    case 2: put_uint16_t(copies, dst); break;
    case 4: put_uint32_t(copies, dst); break;
    default: put_uint64_t(copies, dst);
  }
}
