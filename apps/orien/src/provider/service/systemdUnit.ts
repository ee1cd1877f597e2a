import { OrienError } from '@orien/protocol'

/** What is run as a service, and as whom. */
export type ServiceTerms = {
  /** The command line, program first; every element absolute or plain. */
  command: readonly string[]
  dataDir: string
  /** A system user that owns the data directory and nothing else. */
  user: string
}

/** Characters that no quoting of a unit or a property list can hold. */
export function requirePlain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (!/[\u0000-\u001f\u007f]/.test(text)) return text
  throw new OrienError('validation_failed', 'a path of the service holds a control character')
}

/** A word of a unit: quotes, backslashes and specifiers, https://www.freedesktop.org/software/systemd/man/systemd.syntax.html. */
const word = (text: string): string =>
  `"${requirePlain(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`

/** A word of a command line, where variables are filled in as well. */
const argument = (text: string): string => word(text).replaceAll('$', '$$$$')

/**
 * The unit of a node. What systemd could shut beyond this breaks the node's own sandboxes: options that filter system
 * calls bring no_new_privs, under which AppArmor lets bubblewrap into no user namespace; ProtectKernelTunables and
 * ProtectProc hide parts of /proc, and the kernel then refuses a fresh /proc inside a sandbox; ProtectHostname refuses
 * the sandbox's own name; ProtectControlGroups takes away the groups that memory is limited and measured by.
 */
export function systemdUnit({ command, dataDir, user }: ServiceTerms): string {
  return `# Written by \`orien provider service install\`; installing again replaces it.
[Unit]
Description=ORIEN provider node
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User=${user}
Group=${user}
ExecStart=${command.map(argument).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60
Slice=orien.slice
Delegate=yes
LimitNOFILE=65536
LimitCORE=0
TasksMax=infinity
UMask=0022
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ReadWritePaths=${word(dataDir)}

[Install]
WantedBy=multi-user.target
`
}
