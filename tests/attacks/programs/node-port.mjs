/** Asks the node itself, on its port of the loopback interface. Argument: the port. */
import { argument, verdict } from './attack.mjs'

await verdict(async () => (await fetch(`http://127.0.0.1:${argument}/`)).status > 0)
