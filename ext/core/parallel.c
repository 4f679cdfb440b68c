/* parallel.c: threads for the blocks of one chunk.  Used by codec.c, which shares the blocks out.
 *
 * Invariants: threads are made for a call and joined before it returns, so that nothing of them
 * survives it (a fork() between two calls is safe, and a library can be unloaded); where the system
 * gives fewer threads than asked for, those that there are do the work.
 */
#include "parallel.h"

#include <pthread.h>
#include <signal.h>

#include "fpenv.h"

typedef struct {
  void (*work)(void *context);
  void *context;
} job;

static void *run(void *argument) {
  const job *j = argument;
  ac_fpenv_enter(); /* nothing to restore: the thread ends */
  j->work(j->context);
  return NULL;
}

/* Signals are for the caller's threads, whose handlers know nothing of ours.  Those that a thread
 * raises itself, by a fault, stay: blocked they would kill the process past its handlers. */
static void block_signals(sigset_t *saved) {
  sigset_t signals;
  sigfillset(&signals);
  sigdelset(&signals, SIGSEGV);
  sigdelset(&signals, SIGBUS);
  sigdelset(&signals, SIGFPE);
  sigdelset(&signals, SIGILL);
  pthread_sigmask(SIG_SETMASK, &signals, saved);
}

void ac_parallel(unsigned threads, void (*work)(void *context), void *context) {
  job j = {work, context};
  pthread_t others[AC_MAX_THREADS - 1];
  unsigned n = 0;
  if (threads > AC_MAX_THREADS) threads = AC_MAX_THREADS;
  if (threads > 1) {
    sigset_t saved;
    block_signals(&saved); /* a new thread has its maker's mask */
    while (n + 1 < threads && !pthread_create(&others[n], NULL, run, &j)) n++;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
  }
  work(context);
  while (n) pthread_join(others[--n], NULL);
}
