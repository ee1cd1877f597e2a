/* Makes more files in the workspace than it may hold. Argument: how many. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char name[64];
  int wanted = atoi(argv[1]), made = 0, error = 0;
  for (; made < wanted && !error; made++) {
    snprintf(name, sizeof name, "./orien-attack-many-%d", made);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    if (fd < 0) error = errno;
    close(fd);
  }
  for (int i = 0; i < made; i++) {
    snprintf(name, sizeof name, "./orien-attack-many-%d", i);
    unlink(name);
  }
  errno = error;
  return verdict(error ? -1 : 0);
}
