/* classes.h: groups of values with like statistics become classes. */
#ifndef AC_CLASSES_H
#define AC_CLASSES_H
#include "windows.h"

/* All groups of a class, and about how its values lie. */
typedef struct {
  uint32_t values, groups;
  int imaged;           /* its integers are images */
  double centre, scale; /* mean, and mean distance from it */
  double bits;          /* a value, for comparison */
} ac_cluster;

typedef struct {
  unsigned n_classes;
  ac_cluster clusters[AC_MAX_CLASSES];
  uint32_t magnitude; /* OR of all |v| */
  int centred;        /* some group lies about zero */
  double bits;        /* about what it all takes, for comparison */
} ac_classes;

/* Statistics of groups of 128 from those of their halves. */
void ac_join_halves(const ac_group_stats *half, uint32_t n, ac_group_stats *whole);

/* Classes for groups, by statistics alone: writes the class of every group.  A class must save `gain` bits a
 * value: less is within the error of these estimates, and every class costs time on both sides.  `imaged` says
 * for every 128 values whether they are images (NULL: none are). */
void ac_classes_find(const ac_group_stats *stats, uint32_t n, unsigned group, const uint8_t *imaged, double gain,
                     uint8_t *group_class, ac_classes *found);

/* The clusters of classes that were changed; those that are empty are taken out, and the groups renumbered. */
void ac_classes_recount(const ac_group_stats *stats, uint32_t n, unsigned group, uint8_t *group_class, ac_classes *c);

/* About the bits of the class sequence, by which class follows which. */
double ac_sequence_estimate(const uint8_t *group_class, uint32_t n_groups, unsigned n_classes);
#endif
