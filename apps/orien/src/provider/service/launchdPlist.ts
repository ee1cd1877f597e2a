import { requirePlain, type ServiceTerms } from './systemdUnit.ts'

/** The name that launchd knows the node by. */
export const LAUNCHD_LABEL = 'org.orien.provider'

const text = (value: string): string =>
  requirePlain(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The same service for macOS, https://www.manpagez.com/man/5/launchd.plist/. Nobody has loaded it on a Mac. */
export function launchdPlist({ command, dataDir, user }: ServiceTerms): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${LAUNCHD_LABEL}</string>
  <key>UserName</key><string>${text(user)}</string>
  <key>ProgramArguments</key>
  <array>
${command.map((element) => `    <string>${text(element)}</string>`).join('\n')}
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><true/>
  <key>ThrottleInterval</key><integer>2</integer>
  <key>ExitTimeOut</key><integer>60</integer>
  <key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>65536</integer></dict>
  <key>StandardErrorPath</key><string>${text(dataDir)}/node.log</string>
</dict>
</plist>
`
}
