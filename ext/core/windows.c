/* windows.c: how class windows stand in the stream.  What plan.c chose for a block is written here, and the reader
 * is the exact mirror.
 *
 * Invariants: every window lies within int32, and so do the integers that its images stand for; every table
 * satisfies the invariant of model.h.
 */
#include "windows.h"

enum { HAS_IMAGE = 1 << 5 }; /* in the byte of raw bits */
enum { IS_CURVE = 1 << 6 };  /* in the byte of tokens: of their table */

void ac_windows_write(ac_writer *out, const ac_windows *w) {
  for (unsigned i = 0; i < w->n_classes; i++) {
    const ac_class *c = &w->classes[i];
    const int curve = c->n_tokens > 1 && c->table.kind == AC_TABLE_CURVE;
    ac_write8(out, (uint8_t)(c->k | (c->image ? HAS_IMAGE : 0)));
    ac_write8(out, (uint8_t)((c->n_tokens - 1) | (curve ? IS_CURVE : 0)));
    ac_write_varint(out, ac_zigzag(c->base >> c->k));
    if (c->image) ac_write8(out, c->image);
  }
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned i = 0; i < w->n_classes; i++)
    if (w->classes[i].n_tokens > 1) ac_model_write(&bits, &w->classes[i].table, w->classes[i].n_tokens);
  ac_flush_bits(&bits);
}

/* Is ac_expand(u, m) an int32?  |u| is at most 2^31. */
static int image_fits(int64_t u, unsigned m) {
  return ac_expand_short((uint32_t)(u < 0 ? -u : u), m) <= (uint32_t)INT32_MAX + (u < 0);
}

int ac_class_fits(const ac_class *c) {
  const int64_t end = ac_window_end(c);
  if (end > (int64_t)INT32_MAX + 1) return 0;
  return !c->image || (image_fits(c->base, c->image) && image_fits(end - 1, c->image));
}

void ac_windows_read(ac_reader *in, ac_windows *w) {
  uint32_t curves = 0;
  for (unsigned i = 0; i < w->n_classes; i++) {
    ac_class *c = &w->classes[i];
    const unsigned head = ac_read8(in);
    unsigned tokens = ac_read8(in);
    if (tokens & IS_CURVE && tokens != IS_CURVE) { /* one token has no table */
      curves |= 1u << i;
      tokens ^= IS_CURVE;
    }
    const int64_t lo = ac_unzigzag(ac_read_varint(in));
    c->k = (uint8_t)(head & ~(unsigned)HAS_IMAGE);
    c->image = head & HAS_IMAGE ? ac_read8(in) : 0;
    if (head & HAS_IMAGE && (c->image < 1 || c->image > AC_MAX_IMAGE)) goto invalid;
    if (c->k > AC_MAX_RAW_BITS || tokens >= AC_MAX_TOKENS || lo < INT32_MIN || lo > INT32_MAX) goto invalid;
    const int64_t base = lo * ((int64_t)1 << c->k);
    if (base < INT32_MIN || base > INT32_MAX) goto invalid;
    c->n_tokens = (uint8_t)(tokens + 1);
    c->base = (int32_t)base;
    if (!ac_class_fits(c)) goto invalid;
  }
  ac_bitreader bits = {in, 0, 0};
  for (unsigned i = 0; i < w->n_classes; i++)
    if (w->classes[i].n_tokens > 1)
      ac_model_read(&bits, w->classes[i].n_tokens, w->prob_bits, curves >> i & 1, w->classes[i].freq);
  ac_end_bits(&bits);
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}
