/* lists.c: see lists.h.  Between a section's tokens and its bytes.
 *
 * Invariants: a reader checks every position before it uses it; gaps count what lies between an entry and the one
 * before it, from the start for the first.
 */
#include "lists.h"

#include <string.h>

#include "../arraycodec.h"
#include "quantize.h"

/* Gaps between positions as Golomb-Rice codes (R. F. Rice, JPL 79-22, 1979): the parameter that takes the fewest
 * bits. */
static unsigned best_rice(const uint32_t *index, uint32_t n) {
  unsigned best = 0;
  uint64_t least = UINT64_MAX;
  for (unsigned r = 0; r <= AC_MAX_RICE; r++) {
    uint64_t bits = (uint64_t)n * (r + 1);
    for (uint32_t i = 0, next = 0; i < n; next = index[i++] + 1) bits += (index[i] - next) >> r;
    if (bits >= least) continue;
    least = bits;
    best = r;
  }
  return best;
}

static void write_gap(ac_bitwriter *out, uint32_t gap, unsigned rice) {
  ac_write_zeros(out, gap >> rice);
  ac_write_bits(out, gap & ((1u << rice) - 1), rice);
}

/* A gap of less than n, if it is one at all. */
static uint64_t read_gap(ac_bitreader *in, uint32_t n, unsigned rice) {
  const uint64_t quotient = ac_read_zeros(in, n >> rice);
  return quotient << rice | ac_read_bits(in, rice);
}

/* ---- integers outside their window ---- */
void ac_outside_write(ac_writer *out, const uint32_t *index, const int32_t *value, uint32_t n) {
  const unsigned rice = best_rice(index, n);
  unsigned order = 0;
  uint64_t least = UINT64_MAX;
  for (unsigned o = 0; o <= AC_MAX_ORDER; o++) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++) bits += ac_golomb_bits((uint32_t)ac_zigzag(value[index[i]]), o);
    if (bits > least) break; /* from here it hardly ever falls again */
    least = bits;
    order = o;
  }
  ac_write8(out, (uint8_t)rice);
  ac_write8(out, (uint8_t)order);
  ac_bitwriter bits = {out, 0, 0};
  for (uint32_t i = 0, next = 0; i < n; next = index[i++] + 1) {
    write_gap(&bits, index[i] - next, rice);
    ac_write_golomb(&bits, (uint32_t)ac_zigzag(value[index[i]]), order);
  }
  ac_flush_bits(&bits);
}

/* ---- refused values ---- */
/* They are often all the same (NaN, a fill value) and in runs: an entry stands for a run of neighbours with the same
 * bits, and need not repeat the bits of the entry before it. */
enum { REFUSED_SAME = 1, REFUSED_RUN = 2, REFUSED_GAP_SHIFT = 2 };

void ac_refused_write(ac_writer *out, size_t size, const uint8_t *src, const uint32_t *index, uint32_t n) {
  static const uint8_t zeros[8];
  const uint8_t *before = zeros;
  uint32_t next = 0;
  for (uint32_t i = 0; i < n;) {
    const uint32_t at = index[i];
    const uint8_t *bits = src + at * size;
    uint32_t run = 1;
    while (i + run < n && index[i + run] == at + run && !memcmp(bits, bits + run * size, size)) run++;
    const int same = !memcmp(bits, before, size);
    ac_write_varint(out, (uint64_t)(at - next) << REFUSED_GAP_SHIFT | (run > 1 ? REFUSED_RUN : 0) | (same ? REFUSED_SAME : 0));
    if (!same) {
      uint8_t *to = ac_give(out, size);
      if (to) memcpy(to, bits, size);
    }
    if (run > 1) ac_write_varint(out, run - 2);
    before = bits;
    next = at + run;
    i += run;
  }
}

int ac_refused_read(ac_reader *in, uint32_t n_refused, unsigned size, uint32_t n, uint8_t *dst) {
  uint8_t bits[8] = {0};
  uint64_t at = 0;
  for (uint32_t left = n_refused; left;) {
    const uint64_t head = ac_read_varint(in), gap = head >> REFUSED_GAP_SHIFT;
    if (!(head & REFUSED_SAME)) {
      const uint8_t *p = ac_take(in, size);
      if (p) memcpy(bits, p, size);
    }
    const uint64_t more = head & REFUSED_RUN ? ac_read_varint(in) : 0; /* a run of one has no length */
    if (in->failed || gap >= n || more >= n) return AC_E_FORMAT;
    const uint64_t run = head & REFUSED_RUN ? more + 2 : 1;
    at += gap;
    if (run > left || at + run > n) return AC_E_FORMAT;
    for (uint64_t j = 0; j < run; j++) memcpy(dst + (at + j) * size, bits, size);
    at += run;
    left -= (uint32_t)run;
  }
  return AC_OK;
}

/* ---- edges ---- */
void ac_edges_write(ac_writer *out, const uint32_t *index, uint32_t n) {
  const unsigned rice = best_rice(index, n);
  ac_write8(out, (uint8_t)rice);
  ac_bitwriter bits = {out, 0, 0};
  for (uint32_t i = 0, next = 0; i < n; next = index[i++] + 1) write_gap(&bits, index[i] - next, rice);
  ac_flush_bits(&bits);
}

int ac_edges_read(ac_reader *in, uint32_t n_edges, int dtype, unsigned size, double delta, uint32_t n, uint8_t *dst) {
  const unsigned rice = ac_read8(in);
  if (rice > AC_MAX_RICE) return AC_E_FORMAT;
  ac_bitreader bits = {in, 0, 0};
  uint64_t at = 0;
  for (uint32_t i = 0; i < n_edges; i++, at++) {
    at += read_gap(&bits, n, rice);
    if (in->failed || at >= n || !ac_edge(dtype, dst + at * size, delta, dst + at * size)) return AC_E_FORMAT;
  }
  ac_end_bits(&bits);
  return in->failed ? AC_E_FORMAT : AC_OK;
}

/* ---- corrections ---- */
enum { CORRECTION_BITS = 4 };

void ac_corrections_write(ac_writer *out, const uint32_t *index, const int8_t *correction, uint32_t n) {
  const unsigned rice = best_rice(index, n);
  ac_write8(out, (uint8_t)rice);
  ac_bitwriter bits = {out, 0, 0};
  for (uint32_t i = 0, next = 0; i < n; next = index[i++] + 1) {
    write_gap(&bits, index[i] - next, rice);
    ac_write_bits(&bits, (uint32_t)(correction[i] + AC_MAX_CORRECTION - (correction[i] > 0)), CORRECTION_BITS);
  }
  ac_flush_bits(&bits);
}

/* ---- shifts ---- */
enum { FOLD_BITS = 2 };
static const uint8_t SHIFT_BITS[3] = {2, 4, 5};

unsigned ac_shift_bits(unsigned fold) { return SHIFT_BITS[fold]; }

void ac_shifts_write(ac_writer *out, const uint32_t *index, const uint8_t *code, uint32_t n) {
  const unsigned rice = best_rice(index, n);
  ac_write8(out, (uint8_t)rice);
  ac_bitwriter bits = {out, 0, 0};
  for (uint32_t i = 0, next = 0; i < n; next = index[i++] + 1) {
    const unsigned fold = code[i] >> 5, width = SHIFT_BITS[fold];
    write_gap(&bits, index[i] - next, rice);
    ac_write_bits(&bits, fold, FOLD_BITS);
    ac_write_bits(&bits, (uint32_t)(code[i] & 31) - AC_SHIFT_MIDDLE + (1u << width >> 1), width);
  }
  ac_flush_bits(&bits);
}

/* ---- lists that are read as their positions come up ---- */
enum { OUTSIDE, CORRECTIONS, SHIFTS };

void ac_list_next(ac_list *list) {
  ac_reader *in = list->bits.bytes;
  if (!list->left) {
    if (list->at != UINT64_MAX) ac_end_bits(&list->bits);
    list->at = UINT64_MAX;
    return;
  }
  list->left--;
  list->at += 1 + read_gap(&list->bits, list->n, list->rice);
  if (list->kind == SHIFTS) {
    list->fold = (uint8_t)ac_read_bits(&list->bits, FOLD_BITS);
    if (list->fold >= sizeof SHIFT_BITS) {
      list->fold = 0;
      if (!in->failed) in->failed = AC_E_FORMAT;
    }
    const unsigned width = SHIFT_BITS[list->fold];
    list->value = (int32_t)ac_read_bits(&list->bits, width) - (1 << width >> 1);
  } else if (list->kind == CORRECTIONS) {
    const int32_t c = (int32_t)ac_read_bits(&list->bits, CORRECTION_BITS) - AC_MAX_CORRECTION;
    list->value = c + (c >= 0);
  } else {
    const int64_t v = ac_unzigzag(ac_read_golomb(&list->bits, list->order));
    if ((v < -AC_QMAX || v > AC_QMAX) && !in->failed) in->failed = AC_E_FORMAT;
    list->value = (int32_t)v;
  }
  if (list->at >= list->n && !in->failed) in->failed = AC_E_FORMAT;
  if (in->failed) {
    list->at = UINT64_MAX;
    list->left = 0;
  }
}

static void open_list(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n, unsigned kind) {
  *list = (ac_list){.bits = {in, 0, 0}, .at = UINT64_MAX, .left = entries, .n = n, .kind = (uint8_t)kind};
  if (!entries) return;
  list->rice = ac_read8(in);
  list->order = kind == OUTSIDE ? ac_read8(in) : 0;
  if ((list->rice > AC_MAX_RICE || list->order > AC_MAX_ORDER) && !in->failed) in->failed = AC_E_FORMAT;
  if (in->failed) list->left = 0;
  if (list->left) ac_list_next(list);
}

void ac_outside_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n) { open_list(list, in, entries, n, OUTSIDE); }
void ac_corrections_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n) { open_list(list, in, entries, n, CORRECTIONS); }
void ac_shifts_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n) { open_list(list, in, entries, n, SHIFTS); }
