/* Reads a key of the node, mode 0600. Argument: its path. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char byte;
  int fd = open(argv[1], O_RDONLY);
  return verdict(fd < 0 ? fd : read(fd, &byte, 1) == 1 ? 0 : -1);
}
