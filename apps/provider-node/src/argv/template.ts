/** A piece of a template: text as it stands, or the name of an argument. */
export type TemplatePiece = { text: string } | { name: string }

const PLACEHOLDER = /\{([a-z][a-zA-Z0-9_]*)\}/g

/**
 * Cuts a template into its pieces.
 *
 * @example
 * templatePieces('scale={width}:-2') // [{ text: 'scale=' }, { name: 'width' }, { text: ':-2' }]
 */
export function templatePieces(template: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let from = 0
  for (const match of template.matchAll(PLACEHOLDER)) {
    if (match.index > from) pieces.push({ text: template.slice(from, match.index) })
    pieces.push({ name: match[1] ?? '' })
    from = match.index + match[0].length
  }
  if (from < template.length) pieces.push({ text: template.slice(from) })
  return pieces
}

/** The arguments that a template names, each once. */
export function templateNames(template: string): string[] {
  return [...new Set(templatePieces(template).flatMap((piece) => ('name' in piece ? [piece.name] : [])))]
}
