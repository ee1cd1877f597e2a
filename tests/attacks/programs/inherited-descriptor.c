/* Finds a descriptor that it was not given. */
#include "attack.h"

int main(void) {
  for (int fd = 3; fd < 1024; fd++) if (fcntl(fd, F_GETFD) >= 0) return 0;
  return stopped("none is open");
}
