/* Reaches the session keyring, which the node would otherwise hand down to every sandbox. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 1));
}
