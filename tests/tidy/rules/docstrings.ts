import ts from 'typescript'
import { isShipped, type Rule } from '../rule.ts'
import { findNodes } from '../syntax.ts'

function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false
  return (
    ts.getModifiers(statement)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false
  )
}

function hasDocstring(statement: ts.Statement): boolean {
  return ts
    .getJSDocCommentsAndTags(statement)
    .some((comment) => ts.isJSDoc(comment) && comment.comment !== undefined)
}

/** `export type Receipt = z.output<typeof receipt>` says nothing that its schema does not: one docstring for both. */
function isTypeOfSchema(statement: ts.Statement): boolean {
  if (!ts.isTypeAliasDeclaration(statement) || !ts.isTypeReferenceNode(statement.type)) return false
  const [argument] = statement.type.typeArguments ?? []
  return (
    /^z\.(infer|output|input)$/.test(statement.type.typeName.getText()) &&
    ts.isTypeQueryNode(argument ?? statement)
  )
}

/** Names declared by a statement, so that a second overload does not need a second docstring. */
function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((declaration) => declaration.name.getText())
  }
  const named = ts.isFunctionDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
  if (named || ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement)) {
    return [statement.name?.text ?? 'default']
  }
  return []
}

export const docstrings: Rule = {
  name: 'docstrings',
  why: 'every export of a package says in a sentence what it is: shapes, units, errors by code, the source of outside facts',
  appliesTo: (path) => isShipped(path) && path.startsWith('packages/'),
  check: (file) => {
    const statements = [...(file.syntax?.tree.statements ?? [])]
    const documented = new Set(statements.filter(hasDocstring).flatMap(namesOf))
    return findNodes(file, (node) => {
      const statement = statements.find((candidate) => candidate === node)
      if (statement === undefined || !isExported(statement) || isTypeOfSchema(statement)) return undefined
      const bare = namesOf(statement).filter((name) => !documented.has(name))
      return bare.length > 0 ? `export ${bare.join(', ')} without a docstring` : undefined
    })
  },
}
