/** What each fault is called, and what mends it. The code is stable: scripts and run books name it. */
export const FAULTS = {
  node_missing: 'Make a node here: orien provider init; or name its directory with --data-dir.',
  provider_file_wrong: 'Restore provider.json from a backup, or make a new node in another directory.',
  key_missing: 'Restore the file from a backup; a node without its keys has to be made anew.',
  key_readable_by_others: 'Run chmod 600 on the file. If others may have read it, make a new node.',
  node_stopped: 'Start it: orien provider start; or let a service do so: orien provider service install.',
  rules_wrong: 'Correct rules.json, or remove it and give your decisions again.',
  journal_damaged: 'Keep a copy, then restore the journal from a backup: unclaimed vouchers are in it.',
  receipts_untold: 'Start the node and let it reach its coordinator: receipts go out by themselves.',
  receipts_refused: 'See `refusedReceipts` of orien provider status --json; the coordinator says why.',
  node_unresponsive: 'End it with orien provider kill, then orien provider resume and start it again.',
  tools_file_wrong: 'Correct the line, then orien provider reload; orien provider tools check explains it.',
  executable_missing: 'Install the program, or take the tool out of orien.tools.yaml.',
  bubblewrap_missing:
    'Install it: apt-get install bubblewrap (or dnf, pacman, zypper). Version 0.8 or later.',
  helper_missing:
    'Install a C compiler, or reinstall ORIEN: the small programs that it brings are not there.',
  engine_missing: 'Install Docker or Podman and let the node reach it, or use bubblewrap.',
  driver_unproven: 'Use bubblewrap on Linux: this driver has not been proven on such a machine.',
  userns_forbidden: 'Allow user namespaces: sysctl -w user.max_user_namespaces=28633, also in /etc/sysctl.d.',
  userns_disabled: 'Run sysctl -w kernel.unprivileged_userns_clone=1, also in /etc/sysctl.d.',
  userns_restricted_by_apparmor:
    'Give bwrap an AppArmor profile with `userns,`, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0.',
  canary_failed: 'Do not serve strangers on this machine: an attack of the self-test got through.',
  sandbox_unsupported: 'Serve strangers from Linux; here only --standalone works.',
  cgroups_unwritable:
    'Let the node write cgroups: run it as a service, by systemd-run --user, or as root. Without them memory is looked at every 10 ms.',
  disk_low: 'Make room: workspaces, output and the journal need it.',
  port_in_use: 'End what listens there, or choose another with --port; 0 takes any.',
  rpc_missing: 'Name one: orien provider start --rpc-url, or ORIEN_RPC_URL.',
  rpc_unreachable: 'Check address and network, or name another with --rpc-url.',
  rpc_wrong_chain: 'Use an RPC of the chain that this node was made for.',
  escrow_missing: 'Use an RPC of the right network: there is no contract at the address of the escrow.',
  escrow_not_genuine:
    'Take no work: the contract at that address is not ORIEN’s for this token. Make a node for another network.',
  operator_without_gas:
    "Send some of the chain's coin to the operator key: with it the node claims by itself when the coordinator does not.",
  coordinator_missing: 'Name one: orien provider start --coordinator, or ORIEN_URL.',
  coordinator_unreachable: 'Check address, network and firewall: the node only dials out.',
  coordinator_other_chain: 'Use the coordinator that this node was made for, or make a node for this one.',
  coordinator_refuses: 'See the detail; the code is explained in the error table of the API.',
  not_registered: 'Start the node: it registers by itself.',
  duplicate_node: 'Stop the other node, or give one of them keys of its own with orien provider init.',
  clock_skewed: 'Set the clock: timedatectl set-ntp true.',
  paused: 'Take work again: orien provider resume.',
} as const

/** See {@link FAULTS}. */
export type FaultCode = keyof typeof FAULTS

/** One line of the doctor. A warning is something that the owner may want as it is. */
export type Finding = { check: string; detail: string } & (
  | { state: 'ok' }
  | { state: 'warning' | 'fault'; code: FaultCode; fix: string }
)

export const ok = (check: string, detail: string): Finding => ({ check, state: 'ok', detail })

export const fault = (check: string, code: FaultCode, detail: string): Finding => ({
  check,
  state: 'fault',
  code,
  detail,
  fix: FAULTS[code],
})

export const warning = (check: string, code: FaultCode, detail: string): Finding => ({
  check,
  state: 'warning',
  code,
  detail,
  fix: FAULTS[code],
})
