/* Talks to the network configuration of the kernel. */
#include "attack.h"

int main(void) {
  return verdict(socket(AF_NETLINK, SOCK_RAW, 0));
}
