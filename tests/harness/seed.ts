import fc from 'fast-check'
import { seed } from './config.ts'

fc.configureGlobal({ seed })
