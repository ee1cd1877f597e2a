import type ts from 'typescript'

/** A parsed script: its nodes in the order of the text, walked once for all rules. */
export type Syntax = { tree: ts.SourceFile; nodes: readonly ts.Node[] }

/** One file of the repository; `syntax` is present for TypeScript and JavaScript. */
export type SourceFile = { path: string; text: string; syntax: Syntax | undefined }

/** A place that breaks a rule: what stands there, in the words of the rule. */
export type Finding = { line: number; message: string }

/** Something that holds for every file it applies to. `why` is what a person reads when it does not. */
export type Rule = {
  name: string
  why: string
  appliesTo: (path: string) => boolean
  check: (file: SourceFile) => Finding[]
}

/** Tests, their harness and benchmarks: they may look at clocks, environments and chance. */
export function isTest(path: string): boolean {
  return /\.(test|contract|bench)\.tsx?$/.test(path) || /^tests\/|\/(fixtures|testing)\//.test(path)
}

/** A file whose content is made by a program: read by nobody, so no rule for readers applies. */
export function isGenerated(path: string): boolean {
  return /(^|\/)(artifacts|generated|migrations)\/|\.generated\.tsx?$|next-env\.d\.ts$/.test(path)
}

/** TypeScript that ships: `src` of a package or an app, without its tests. */
export function isShipped(path: string): boolean {
  return /^(packages|apps)\/[^/]+\/src\/.*\.tsx?$/.test(path) && !isTest(path) && !isGenerated(path)
}

export function isScript(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path)
}
