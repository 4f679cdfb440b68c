/* fit.h: a window and a table for each class. */
#ifndef AC_FIT_H
#define AC_FIT_H
#include "classes.h"

typedef struct {
  unsigned sampling;  /* as little as one group in 2^sampling of a large class is counted */
  int tables;         /* which kinds are tried: `search` of ac_model_choose */
  uint8_t image;      /* of classes that have one */
} ac_fit_effort;

typedef struct {
  double bits;        /* what classes, tokens, raw bits and exceptions take, about */
  double token_bits;  /* the entropy-coded part of it */
} ac_fit;

/* Windows for classes: w->group and w->prob_bits are set, histograms is scratch for AC_MAX_CLASSES. */
void ac_fit_windows(const int32_t *q, uint32_t n, const uint8_t *group_class, const ac_classes *classes,
                    const ac_fit_effort *effort, ac_histogram *histograms, ac_windows *w, ac_fit *fit);
#endif
