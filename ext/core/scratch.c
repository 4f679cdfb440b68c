/* scratch.c: one buffer per thread, so that the codec allocates nothing from its second call on
 * (a fresh buffer costs a page fault for every 4 KiB, as much time as encoding a small chunk).
 * Below all stages; only codec.c asks for it.
 *
 * Invariants: a buffer belongs to one thread and is freed when that thread ends; it never shrinks.
 * It stays below 18 MiB: a block has at most 2^18 values, for which the encoder lays out 15.8 MiB and 2 MiB
 * more to bring the doubles of a box together or swap their bytes.  Pages that a kind of block does not use are never touched.
 *
 * The thread's end is noticed by a key whose destructor is free() itself: code of the C library,
 * which is never unloaded.  The library that this file is part of may be: HDF5 closes its plugins.
 * Then threads that still have a buffer would free it, but key and buffer of the others stay behind
 * at every reload; so the plugin is linked never to be unmapped (setup.py), and keeps key and buffers
 * for the next time.
 * After fork() the child has its thread's buffer; those of the other threads stay unused.
 */
#include "scratch.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

/* What stands before the memory, which begins one ALIGNMENT further. */
typedef struct {
  size_t size;
  int taken;
} buffer;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int have_key;

/* Once a process.  glibc gives memory of 128 KiB and more back to the system when it is freed, until a
 * larger piece is: then it keeps pieces up to that size.  Encoded chunks are such pieces, and a fresh
 * page costs more than to encode what goes into it (measured: 1.8 times the time for chunks of 1 MiB).
 * So a larger piece is freed here, before it is touched. */
enum { KEPT = 4 << 20 };

static void prepare(void) {
  have_key = !pthread_key_create(&key, free);
  void *volatile piece = malloc(KEPT); /* volatile: a compiler may leave out a pair of malloc and free */
  free(piece);
}

static void *memory_of(buffer *b) { return (uint8_t *)b + ALIGNMENT; }

static buffer *allocate(size_t size) {
  if (size > SIZE_MAX - 2 * ALIGNMENT) return NULL;
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  buffer *b = aligned_alloc(ALIGNMENT, ALIGNMENT + size);
  if (b) *b = (buffer){size, 1};
  return b;
}

void *ac_scratch_take(size_t size) {
  pthread_once(&once, prepare);
  buffer *b = have_key ? pthread_getspecific(key) : NULL;
  if (b && !b->taken && b->size >= size) {
    b->taken = 1;
    return memory_of(b);
  }
  if (b && !b->taken) {
    pthread_setspecific(key, NULL); /* first, for the thread may be cancelled in between */
    free(b);
    b = NULL;
  }
  /* A thread without a key, and one that has its buffer in use (a signal handler that encodes),
   * gets memory for this time only. */
  const int keep = have_key && !b;
  b = allocate(size);
  if (b && keep) pthread_setspecific(key, b);
  return b ? memory_of(b) : NULL;
}

void ac_scratch_give(void *memory) {
  if (!memory) return;
  buffer *b = (buffer *)((uint8_t *)memory - ALIGNMENT);
  if (have_key && pthread_getspecific(key) == b) b->taken = 0;
  else free(b);
}
