/* Opens a socket to the hypervisor, from any network namespace. */
#include "attack.h"

int main(void) {
  return verdict(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
}
