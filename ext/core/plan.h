/* plan.h: choice of classes, windows and tables for a block of integers. */
#ifndef AC_PLAN_H
#define AC_PLAN_H
#include "windows.h"

/* A choice of windows and what it is expected to cost. */
typedef struct {
  ac_windows windows;
  uint64_t total_bits;  /* of the whole block */
  uint64_t token_bits;  /* of its entropy-coded part */
} ac_plan;

typedef struct {
  unsigned level;
  uint8_t group;         /* 64 or 128; 0: the one that costs less */
  uint8_t prob_bits;     /* or 0 */
  uint8_t image;         /* of what `imaged` says */
  const uint8_t *imaged; /* for every 128 integers, whether they are images; NULL: none are */
} ac_plan_request;

/* Rows of what values of like magnitude cost in every class: by the exponent of a float and four bits of its
 * significand. */
#define AC_COST_ROWS 512

typedef struct {
  ac_windows windows;
  double bits, token_bits;
  uint8_t group_class[AC_MAX_BLOCK / 64];
} ac_plan_attempt;

#define AC_PLAN_ATTEMPTS 3 /* one for each group size, and one in the making */

typedef struct {
  ac_histogram *histograms;               /* AC_MAX_CLASSES */
  ac_plan_attempt *attempts;              /* AC_PLAN_ATTEMPTS */
  uint16_t (*rows)[AC_MAX_CLASSES];       /* AC_COST_ROWS */
  uint16_t (*costs)[AC_MAX_CLASSES];      /* one for each group */
  uint8_t (*from)[AC_MAX_CLASSES];        /* one for each group */
} ac_plan_scratch;

/* Choose windows for q[0 .. n) and the class of every group, given the groups' statistics: those of request->group,
 * or if that is 0 of groups of 64, with room behind them for half as many.  windows.lanes is left alone. */
void ac_plan_make(const int32_t *q, uint32_t n, ac_group_stats *stats, const ac_plan_request *request,
                  const ac_plan_scratch *scratch, uint8_t *group_class, ac_plan *plan);
#endif
