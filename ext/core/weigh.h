/* weigh.h: rules for a predictor, by what they would have predicted of values that are there. */
#ifndef AC_WEIGH_H
#define AC_WEIGH_H
#include "predict.h"

enum { AC_RULES = 1, AC_TRUST_ALONE = 2, AC_RULES_AND_TRUST = 3 };

/* For every class of every level the rule that comes nearest to x, in the order of the stream, if predictions are made from
 * r, and the trust in the predictor's reference (or, of these, what is asked for): by some values, about `weighed` of every
 * class.  Values whose flags have AC_SKIPPED do not count.  Returns about the bits of all residuals, in units of 2^-16 and up
 * to a constant for each: of two predictors for the same values it says which is the better one.  Of trust alone, these are
 * what it saves, and negative. */
int64_t ac_weigh(ac_predictor *predictor, unsigned what, const int32_t *x, const int32_t *r, const uint8_t *flags, uint32_t weighed,
                 const ac_walk_scratch *scratch);
#endif
