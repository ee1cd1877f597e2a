/* Mounts a file system over a directory. Argument: the directory. */
#include "attack.h"
#include <sys/mount.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int result = mount("none", argv[1], "tmpfs", 0, 0), error = errno;
  if (result == 0) umount(argv[1]);
  errno = error;
  return verdict(result);
}
