import { isGenerated, type Rule } from '../rule.ts'

const EMPTY_NAME = /^(utils?|helpers?|common|shared|misc|lib)$/i

export const emptyNames: Rule = {
  name: 'empty-names',
  why: 'a folder or file is called after what it holds; these names hold anything',
  appliesTo: (path) => !isGenerated(path),
  check: (file) =>
    file.path
      .split('/')
      .filter((part) => EMPTY_NAME.test(part.split('.')[0] ?? ''))
      .map((part) => ({ line: 1, message: `the name ${part}` })),
}
