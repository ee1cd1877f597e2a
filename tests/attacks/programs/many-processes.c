/* Makes more processes than it may have. Argument: how many. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  setpgid(0, 0);
  int wanted = atoi(argv[1]), made = 0, error = 0;
  for (; made < wanted; made++) {
    pid_t pid = fork();
    if (pid == 0) {
      pause();
      _exit(0);
    }
    if (pid < 0) {
      error = errno;
      break;
    }
  }
  signal(SIGTERM, SIG_IGN);
  kill(0, SIGTERM);
  while (wait(0) > 0) {}
  errno = error;
  return made == wanted ? 0 : verdict(-1);
}
