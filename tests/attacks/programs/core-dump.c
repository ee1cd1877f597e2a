/* Dies, and leaves a copy of its memory in the workspace. */
#include "attack.h"

int main(void) {
  struct rlimit all;
  getrlimit(RLIMIT_CORE, &all);
  all.rlim_cur = all.rlim_max;
  setrlimit(RLIMIT_CORE, &all);
  int status;
  if (fork() == 0) abort();
  wait(&status);
  remove("./core");
  return WCOREDUMP(status) ? 0 : stopped("no dump was made");
}
