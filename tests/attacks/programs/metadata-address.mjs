/** Finds a way to the address at which clouds hand out credentials. */
import { createSocket } from 'node:dgram'
import { verdict } from './attack.mjs'

await verdict(
  () =>
    new Promise((resolve, reject) => {
      // A datagram socket is connected as soon as the kernel has a route; nothing is sent.
      createSocket('udp4').connect(80, '169.254.169.254', (error) => (error ? reject(error) : resolve(true)))
    }),
)
