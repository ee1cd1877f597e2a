/* Opens a file by a handle: it may lie outside every directory that is shown. */
#include "attack.h"

int main(void) {
  struct { unsigned bytes; int type; char handle[128]; } handle = {128, 0, {0}};
  int mount;
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/usr/lib", &handle, &mount, 0) < 0) handle.bytes = 8, handle.type = 1;
  int result = (int)syscall(SYS_open_by_handle_at, open("/usr/lib", O_RDONLY), &handle, O_RDONLY);
  /* What it names need not exist: the right is what is asked for. */
  return verdict(result < 0 && errno == ESTALE ? 0 : result);
}
