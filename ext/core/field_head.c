/* field_head.c: see field_head.h.  Between the bytes of a predicted block and what both of its sides, field_encode.c and
 * field_decode.c, know of it.
 *
 * Invariant: what is read is checked here: a field that is returned can be walked through.
 */
#include "field_head.h"

#include <string.h>

int ac_field_place(ac_field *f, const ac_box *box) {
  ac_pyramid *p = &f->predictor.pyramid;
  if (!f->axes || f->axes > AC_AXES || f->first + f->axes > box->ndim) return 0;
  p->outer = p->inner = 1;
  for (unsigned a = 0; a < AC_AXES; a++) p->axis[a] = 1;
  for (unsigned d = 0; d < box->ndim; d++) {
    if (d < f->first) p->outer *= box->extent[d];
    else if (d < f->first + f->axes) p->axis[AC_AXES - f->axes + d - f->first] = box->extent[d];
    else p->inner *= box->extent[d];
  }
  return 1;
}

/* ---- predictor ---- */
enum { AXES_SHIFT = 2, FOLD_SHIFT = 4, REFERENCE_SHIFT = 6, ALONG_SHIFT = 4, WEIGHT_BITS = 5, TRUST_BITS = 3 };
enum { LINEAR = 1, STENCIL = 2 /* in the place of a reference, where there are no levels */ };

static unsigned axes_of(unsigned mask) { return (unsigned)__builtin_popcount(mask); }

static int same_rules(const ac_pyramid *p, unsigned level, const ac_rule *a, const ac_rule *b) {
  for (unsigned mask = 1; mask < 8; mask++) {
    if (!ac_pyramid_class(p, level, mask).size) continue;
    if (a[mask].cubic != b[mask].cubic || a[mask].trust != b[mask].trust) return 0;
    for (unsigned i = 1; i < axes_of(mask); i++)
      if (a[mask].weight[i - 1] != b[mask].weight[i - 1]) return 0;
  }
  return 1;
}

static void write_predictor(ac_writer *out, const ac_field *f) {
  const ac_predictor *p = &f->predictor;
  const ac_pyramid *g = &p->pyramid;
  ac_write8(out, (uint8_t)(f->first | f->axes << AXES_SHIFT | f->fold << FOLD_SHIFT | (p->linear.order ? LINEAR : p->stencil.n ? STENCIL : p->reference) << REFERENCE_SHIFT));
  ac_write8(out, (uint8_t)(g->levels | p->along << ALONG_SHIFT));
  if (p->linear.order) {
    ac_linear_write(out, &p->linear);
    return;
  }
  for (unsigned i = 0; i < p->stencil.n; i++) ac_write16(out, (uint16_t)p->stencil.weight[i]);
  if (p->reference && f->fold) ac_write8(out, p->first_unit);
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned level = g->levels; level-- > 0;) {
    if (level + 1u < g->levels) {
      const int same = same_rules(g, level, p->rules[level], p->rules[level + 1]);
      ac_write_bits(&bits, (uint32_t)same, 1);
      if (same) continue;
    }
    for (unsigned mask = 1; mask < 8; mask++) {
      if (!ac_pyramid_class(g, level, mask).size) continue;
      ac_write_bits(&bits, p->rules[level][mask].cubic, 1);
      for (unsigned i = 1; i < axes_of(mask); i++) ac_write_bits(&bits, p->rules[level][mask].weight[i - 1], WEIGHT_BITS);
      if (p->reference) ac_write_bits(&bits, p->rules[level][mask].trust, TRUST_BITS);
    }
  }
  ac_flush_bits(&bits);
}

static int read_predictor(ac_reader *in, ac_field *f, const ac_box *box) {
  ac_predictor *p = &f->predictor;
  ac_pyramid *g = &p->pyramid;
  const uint8_t axes = ac_read8(in), levels = ac_read8(in);
  f->first = axes & 3;
  f->axes = axes >> AXES_SHIFT & 3;
  f->fold = axes >> FOLD_SHIFT & 3;
  if (f->fold >= AC_FOLDS) return 0;
  p->unit = AC_FOLD[f->fold];
  g->levels = levels & 15;
  p->along = levels >> ALONG_SHIFT;
  p->reference = axes >> REFERENCE_SHIFT;
  p->linear.order = 0;
  p->first_unit = p->unit;
  p->stencil.n = 0;
  if (!g->levels && p->reference) {
    const int what = p->reference;
    p->reference = AC_NO_REFERENCE;
    if (!ac_field_place(f, box)) return 0;
    if (what == LINEAR && !p->along) {
      ac_linear_read(in, &p->linear);
    } else if (what == STENCIL && p->along & AC_ALONG_AXIS1) {
      p->stencil.n = (uint8_t)ac_stencil_weights(p->along & AC_ALONG_AXIS0, p->along & AC_ALONG_OUTER);
      for (unsigned i = 0; i < p->stencil.n; i++) p->stencil.weight[i] = (int16_t)ac_read16(in);
    } else {
      return 0;
    }
    return !in->failed;
  }
  if (p->reference && f->fold) p->first_unit = ac_read8(in);
  if (p->first_unit % 2 == 0 || p->first_unit > p->unit) return 0;
  if (in->failed || p->reference >= AC_REFERENCES || !ac_field_place(f, box)) return 0;
  ac_bitreader bits = {in, 0, 0};
  memset(p->rules, 0, sizeof p->rules);
  for (unsigned level = g->levels; level-- > 0;) {
    const int same = level + 1u < g->levels && ac_read_bits(&bits, 1);
    for (unsigned mask = 1; mask < 8; mask++) {
      ac_rule *rule = &p->rules[level][mask];
      if (same) {
        *rule = p->rules[level + 1][mask];
        continue;
      }
      if (!ac_pyramid_class(g, level, mask).size) continue;
      rule->cubic = (uint8_t)ac_read_bits(&bits, 1);
      for (unsigned i = 1; i < axes_of(mask); i++) {
        rule->weight[i - 1] = (uint8_t)ac_read_bits(&bits, WEIGHT_BITS);
        if (rule->weight[i - 1] > 16) return 0;
      }
      if (p->reference) rule->trust = (uint8_t)ac_read_bits(&bits, TRUST_BITS);
    }
  }
  ac_end_bits(&bits);
  return !in->failed;
}

/* ---- layout: two bytes, and the contexts ---- */
enum { LANES = 7, PROB_SHIFT = 3, MANTISSA_SHIFT = 5, EXCEPTIONS = 1 << 7 };
enum { CONTEXTS = 7, OWN = 1 << 3, SHIFT_SHIFT = 4, TOGETHER = 1 << 7 };

void ac_field_write_head(ac_writer *out, const ac_field *f, int exceptions) {
  const ac_contexts *c = &f->contexts;
  write_predictor(out, f);
  ac_write8(out, (uint8_t)((__builtin_ctz(c->lanes) - 2) | (c->prob_bits - AC_MIN_PROB_BITS) << PROB_SHIFT |
                           c->mantissa << MANTISSA_SHIFT | (exceptions ? EXCEPTIONS : 0)));
  ac_write8(out, (uint8_t)((c->n_contexts - 1) | (c->own ? OWN : 0) | c->shift << SHIFT_SHIFT | (c->together ? TOGETHER : 0)));
  ac_contexts_write(out, c);
}

int ac_field_read_head(ac_reader *in, const ac_scale *scale, const ac_box *box, ac_field *f, int *exceptions) {
  ac_contexts *c = &f->contexts;
  if (!read_predictor(in, f, box)) return AC_E_FORMAT;
  if (ac_fold_limit(scale->type->dtype, f->fold) == 0) return AC_E_FORMAT;
  const uint8_t layout = ac_read8(in), kinds = ac_read8(in);
  if (in->failed || (layout & LANES) > 4) return AC_E_FORMAT;
  c->lanes = (uint8_t)(4 << (layout & LANES));
  c->prob_bits = (uint8_t)(AC_MIN_PROB_BITS + (layout >> PROB_SHIFT & 3));
  c->mantissa = layout >> MANTISSA_SHIFT & 3;
  c->n_contexts = (uint8_t)((kinds & CONTEXTS) + 1);
  c->own = (kinds & OWN) != 0;
  c->shift = kinds >> SHIFT_SHIFT & 7;
  c->together = (kinds & TOGETHER) != 0;
  *exceptions = (layout & EXCEPTIONS) != 0;
  ac_contexts_read(in, c);
  return in->failed ? AC_E_FORMAT : AC_OK;
}
