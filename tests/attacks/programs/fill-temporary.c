/* Fills /tmp beyond its share. Argument: with how many MiB. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  static char mebibyte[1 << 20];
  char name[64];
  long wanted = atol(argv[1]), made = 0;
  int error = 0;
  for (; made < wanted && !error; made++) {
    snprintf(name, sizeof name, "/tmp/orien-attack-fill-%ld", made);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || write(fd, mebibyte, sizeof mebibyte) != sizeof mebibyte) error = errno ? errno : ENOSPC;
    close(fd);
  }
  for (; made >= 0; made--) {
    snprintf(name, sizeof name, "/tmp/orien-attack-fill-%ld", made);
    unlink(name);
  }
  errno = error;
  return verdict(error ? -1 : 0);
}
