// pretty indents a JSON text without reading it: number literals, escapes and the
// order of properties stay as the server sent them.
export function pretty(text, most = 2_000_000) {
  const out = []
  let depth = 0, size = 0
  const line = () => "\n" + "  ".repeat(Math.min(depth, 64))
  // A string, a literal, or one sign.
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"{}[\],:]+|[{}[\],:]/g)) {
    let piece = token
    if (token === "{" || token === "[") {
      depth++
      piece += line()
    } else if (token === "}" || token === "]") {
      depth--
      const empty = out.length > 0 && /^[{[]\n/.test(out.at(-1))
      if (empty) out[out.length - 1] = out.at(-1)[0]
      else piece = line() + piece
    } else if (token === ",") {
      piece += line()
    } else if (token === ":") {
      piece += " "
    }
    out.push(piece)
    if ((size += piece.length) > most) return {text: out.join(""), cut: true}
  }
  return {text: out.join(""), cut: false}
}
