/* Makes a BPF map. */
#include "attack.h"
#include <linux/bpf.h>

static union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

int main(void) {
  return verdict(syscall(SYS_bpf, 0 /* MAP_CREATE */, &map, sizeof map));
}
