/* Reads every packet of an interface. */
#include "attack.h"

int main(void) {
  return verdict(socket(AF_PACKET, SOCK_RAW, 0));
}
