/* portable_math.c: the few elementary functions that entropy models need, in plain IEEE arithmetic.
 *
 * Both sides of a stream have to quantize a distribution to the same integers.  The functions of a C library may
 * differ in their last bit from one library to the next, so that these here are used everywhere instead.  They follow
 * the algorithms, coefficients and order of operations of fdlibm, as FreeBSD's msun and musl have them today, and so
 * does the libm crate of Rust that constriction uses.
 *
 * Invariants: no state, no errno, round to nearest; compiled without contraction (-ffp-contract=off).  Errors are
 * below one unit in the last place.  Used by families.c and by quantize.c.
 *
 * The approximations and their coefficients come with this notice:
 *
 * ====================================================
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 *
 * Developed at SunPro, a Sun Microsystems, Inc. business.
 * Permission to use, copy, modify, and distribute this
 * software is freely granted, provided that this notice
 * is preserved.
 * ====================================================
 */
#include "portable_math.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t bits_of(double x) {
  uint64_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}

static double of_bits(uint64_t b) {
  double x;
  memcpy(&x, &b, sizeof x);
  return x;
}

/* c[0] + x (c[1] + x (...)), innermost first. */
static inline double horner(const double *c, int n, double x) {
  double y = c[n - 1];
  for (int i = n - 2; i >= 0; i--) y = c[i] + x * y;
  return y;
}

#define HORNER(c, x) horner(c, (int)(sizeof(c) / sizeof *(c)), x)

static const double LN2_HI = 6.93147180369123816490e-01, LN2_LO = 1.90821492927058770002e-10;

/* y 2^k for a normal y near 1; in two steps where the result is subnormal or the power out of range. */
static double scale_by(double y, int k) {
  if (k > 1023) {
    y *= 0x1p1023;
    k = k - 1023 > 1023 ? 1023 : k - 1023;
  } else if (k < -1022) {
    y *= 0x1p-969; /* leaves 53 bits, so that it is rounded once only */
    k += 969;
    if (k < -1022) k = -1022;
  }
  return y * of_bits((uint64_t)(1023 + k) << 52);
}

/* exp(x) = 2^k exp(r), |r| <= ln(2)/2, and exp(r) = 1 + r + r c/(2 - c) with c = r - r^2 P(r^2). */
double acc_exp(double x) {
  static const double P[] = {1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
                             -1.65339022054652515390e-06, 4.13813679705723846039e-08};
  if (x != x) return x;
  if (x > 709.782712893383973096) return HUGE_VAL;
  if (x < -745.13321910194110842) return 0;
  const uint32_t top = (uint32_t)(bits_of(x) >> 32) & 0x7fffffff;
  const int negative = x < 0;
  double hi = x, lo = 0;
  int k = 0;
  if (top > 0x3fd62e42) { /* beyond ln(2)/2 */
    k = top >= 0x3ff0a2b2 ? (int)(1.44269504088896338700e+00 * x + (negative ? -0.5 : 0.5)) : 1 - 2 * negative;
    hi = x - k * LN2_HI; /* k LN2_HI is exact */
    lo = k * LN2_LO;
    x = hi - lo;
  } else if (top <= 0x3e300000) { /* below 2^-28 */
    return 1 + x;
  }
  const double square = x * x, c = x - square * HORNER(P, square);
  const double y = 1 + (x * c / (2 - c) - lo + hi);
  return k ? scale_by(y, k) : y;
}

/* log(1 + x) = k ln(2) + log(1 + f), with a correction for what rounding 1 + x lost. */
double acc_log1p(double x) {
  static const double EVEN[] = {3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01};
  static const double ODD[] = {6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01,
                               1.479819860511658591e-01};
  const uint32_t top = (uint32_t)(bits_of(x) >> 32);
  double f = x, c = 0;
  int k = 0;
  if ((top << 1) < (0x3ca00000u << 1)) return x;      /* below 2^-53 */
  if (!(top < 0x3fda827a || (top >> 31 && top <= 0xbfd2bec4))) { /* 1 + x outside of sqrt(1/2) .. sqrt(2) */
    const double u = 1 + x;
    const uint64_t b = bits_of(u);
    const uint32_t shifted = (uint32_t)(b >> 32) + (0x3ff00000 - 0x3fe6a09e);
    k = (int)(shifted >> 20) - 0x3ff;
    if (k < 54) c = (k >= 2 ? 1 - (u - x) : x - (u - 1)) / u;
    f = of_bits((uint64_t)((shifted & 0xfffff) + 0x3fe6a09e) << 32 | (b & 0xffffffff)) - 1;
  }
  const double half_square = 0.5 * f * f, s = f / (2 + f), z = s * s, w = z * z;
  const double even = w * HORNER(EVEN, w), odd = z * HORNER(ODD, w);
  const double r = odd + even;
  return s * (half_square + r) + (k * LN2_LO + c) - half_square + f + k * LN2_HI;
}

/* 1 - erf(x) for x in 1.25 .. 28, by exp(-x^2) and a rational function of 1/x^2. */
static double tail_of_erf(double x) {
  static const double RA[] = {-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
                              -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
                              -8.12874355063065934246e+01, -9.81432934416914548592e+00};
  static const double SA[] = {1.0,
                              1.96512716674392571292e+01,
                              1.37657754143519042600e+02,
                              4.34565877475229228821e+02,
                              6.45387271733267880336e+02,
                              4.29008140027567833386e+02,
                              1.08635005541779435134e+02,
                              6.57024977031928170135e+00,
                              -6.04244152148580987438e-02};
  static const double RB[] = {-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
                              -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
                              -4.83519191608651397019e+02};
  static const double SB[] = {1.0,
                              3.03380607434824582924e+01,
                              3.25792512996573918826e+02,
                              1.53672958608443695994e+03,
                              3.19985821950859553908e+03,
                              2.55305040643316442583e+03,
                              4.74528541206955367215e+02,
                              -2.24409524465858183362e+01};
  const double s = 1 / (x * x);
  const int near = (uint32_t)(bits_of(x) >> 32) < 0x4006db6d; /* about 1/0.35 */
  const double r = near ? HORNER(RA, s) : HORNER(RB, s);
  const double d = near ? HORNER(SA, s) : HORNER(SB, s);
  const double z = of_bits(bits_of(x) & 0xffffffff00000000); /* z z is exact */
  return acc_exp(-z * z - 0.5625) * acc_exp((z - x) * (z + x) + r / d) / x;
}

double acc_erf(double x) {
  static const double PP[] = {1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
                              -5.77027029648944159157e-03, -2.37630166566501626084e-05};
  static const double QQ[] = {1.0,
                              3.97917223959155352819e-01,
                              6.50222499887672944485e-02,
                              5.08130628187576562776e-03,
                              1.32494738004321644526e-04,
                              -3.96022827877536812320e-06};
  static const double PA[] = {-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
                              3.18346619901161753674e-01,  -1.10894694282396677476e-01, 3.54783043256182359371e-02,
                              -2.16637559486879084300e-03};
  static const double QA[] = {1.0,
                              1.06420880400844228286e-01,
                              5.40397917702171048937e-01,
                              7.18286544141962662868e-02,
                              1.26171219808761642112e-01,
                              1.36370839120290507362e-02,
                              1.19844998467991074170e-02};
  static const double ERX = 8.45062911510467529297e-01;
  if (x != x) return x;
  const uint32_t top = (uint32_t)(bits_of(x) >> 32) & 0x7fffffff;
  const double a = fabs(x);
  if (top < 0x3feb0000) { /* below 0.84375 */
    if (top < 0x3e300000) return 0.125 * (8 * x + 1.02703333676410069053e+00 * x);
    const double z = x * x;
    return x + x * (HORNER(PP, z) / HORNER(QQ, z));
  }
  double y;
  if (top < 0x3ff40000) { /* below 1.25 */
    const double s = a - 1;
    y = 1 - (1 - ERX - HORNER(PA, s) / HORNER(QA, s));
  } else {
    y = top < 0x40180000 ? 1 - tail_of_erf(a) : 1; /* 6 */
  }
  return x < 0 ? -y : y;
}

/* atan(x) = atan(c) + atan((x - c)/(1 + x c)) with c of 1/2, 1, 3/2 or infinity. */
double acc_atan(double x) {
  static const double HI[] = {4.63647609000806093515e-01, 7.85398163397448278999e-01, 9.82793723247329054082e-01,
                              1.57079632679489655800e+00};
  static const double LO[] = {2.26987774529616870924e-17, 3.06161699786838301793e-17, 1.39033110312309984516e-17,
                              6.12323399573676603587e-17};
  static const double EVEN[] = {3.33333333333329318027e-01, 1.42857142725034663711e-01, 9.09088713343650656196e-02,
                                6.66107313738753120669e-02, 4.97687799461593236017e-02, 1.62858201153657823623e-02};
  static const double ODD[] = {-1.99999999998764832476e-01, -1.11111104054623557880e-01, -7.69187620504482999495e-02,
                               -5.83357013379057348645e-02, -3.65315727442169155270e-02};
  if (x != x) return x;
  const uint32_t top = (uint32_t)(bits_of(x) >> 32) & 0x7fffffff;
  const double sign = x < 0 ? -1 : 1;
  if (top >= 0x44100000) return sign * (HI[3] + 0x1p-120); /* 2^66 */
  int part = -1;
  if (top >= 0x3fdc0000) { /* 7/16 */
    x = fabs(x);
    if (top < 0x3fe60000) { /* 11/16 */
      part = 0;
      x = (2 * x - 1) / (2 + x);
    } else if (top < 0x3ff30000) { /* 19/16 */
      part = 1;
      x = (x - 1) / (x + 1);
    } else if (top < 0x40038000) { /* 39/16 */
      part = 2;
      x = (x - 1.5) / (1 + 1.5 * x);
    } else {
      part = 3;
      x = -1 / x;
    }
  } else if (top < 0x3e400000) { /* 2^-27 */
    return x;
  }
  const double z = x * x, w = z * z;
  const double even = z * HORNER(EVEN, w), odd = w * HORNER(ODD, w);
  if (part < 0) return x - x * (even + odd);
  return sign * (HI[part] - ((x * (even + odd) - LO[part]) - x));
}

/* atanh series of the mantissa, about nine digits. */
double acc_guess_log(double x) {
  const uint64_t b = bits_of(x) + ((0x3ff00000ull - 0x3fe6a09e) << 32);
  const int k = (int)(b >> 52) - 1023;
  const double m = of_bits((b & 0xfffffffffffff) + (0x3fe6a09eull << 32));
  const double s = (m - 1) / (m + 1), z = s * s;
  return k * 0.6931471805599453 + s * (2 + z * (2. / 3 + z * (2. / 5 + z * (2. / 7 + z * (2. / 9)))));
}

/* M. Giles, "Approximating the erfinv function", GPU Computing Gems Jade Edition, 2012, for single precision. */
double acc_guess_gaussian(double p) {
  static const double CENTRE[] = {1.50140941,     0.246640727,    -0.00417768164, -0.00125372503, 0.00021858087,
                                  -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08};
  static const double TAIL[] = {2.83297682,     1.00167406,     0.00943887047,   -0.0076224613, 0.00573950773,
                                -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257};
  const double x = 2 * p - 1, w = -acc_guess_log(4 * p * (1 - p));
  return 1.4142135623730951 * x * (w < 5 ? HORNER(CENTRE, w - 2.5) : HORNER(TAIL, sqrt(w) - 3));
}

/* tan(pi (p - 1/2)) by a continued fraction; its reciprocal beyond an eighth of a turn. */
double acc_guess_cauchy(double p) {
  const double t = p - 0.5, a = fabs(t);
  const double x = 3.141592653589793 * (a > 0.25 ? (p < 0.5 ? p : 1 - p) : t), z = x * x;
  const double y = x * (945 - z * (105 - z)) / (945 - z * (420 - 15 * z));
  return a > 0.25 ? (t < 0 ? -1 / y : 1 / y) : y;
}
