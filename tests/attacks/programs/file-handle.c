/* Names a file by its inode, which needs no path. */
#include "attack.h"

int main(void) {
  struct { unsigned bytes; int type; char handle[128]; } handle = {128, 0, {0}};
  int mount;
  return verdict(syscall(SYS_name_to_handle_at, AT_FDCWD, "/usr", &handle, &mount, 0));
}
