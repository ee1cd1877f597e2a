/* Makes a file that is larger than any may be. Argument: how large. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  signal(SIGXFSZ, SIG_IGN);
  int fd = open("./orien-attack-large", O_CREAT | O_RDWR, 0600);
  int result = ftruncate(fd, atoll(argv[1])), error = errno;
  unlink("./orien-attack-large");
  errno = error;
  return verdict(result);
}
