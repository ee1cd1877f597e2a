/** Connects to a socket of the machine by its path. Argument: the path. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { argument, verdict } from './attack.mjs'

await verdict(() => once(connect(argument), 'connect'))
