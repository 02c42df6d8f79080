// Parser reads an event stream (HTML standard, "Server-sent events") from pieces
// that may end anywhere: in a line, in a line end, in the middle of a letter.
export class Parser {
  #decoder = new TextDecoder("utf-8")
  #pieces = []      // of a line that has not ended
  #afterCR = false  // the last piece ended in CR: an LF at the start belongs to it
  #event = ""
  #data = []
  #id = ""
  #emit

  // emit is called with {event, data, id} for each event that has data; id is the
  // last one that the stream named.
  constructor(emit) { this.#emit = emit }

  // push takes the next bytes.
  push(bytes) {
    const text = this.#decoder.decode(bytes, {stream: true})
    let start = 0
    if (this.#afterCR && text.length > 0) {
      this.#afterCR = false
      if (text[0] === "\n") start = 1
    }
    const ends = /\r\n|\n|\r/g
    ends.lastIndex = start
    for (let m; (m = ends.exec(text)) !== null; start = ends.lastIndex) {
      this.#pieces.push(text.slice(start, m.index))
      const line = this.#pieces.length === 1 ? this.#pieces[0] : this.#pieces.join("")
      this.#pieces.length = 0
      this.#line(line)
      if (m[0] === "\r" && ends.lastIndex === text.length) this.#afterCR = true
    }
    if (start < text.length) this.#pieces.push(text.slice(start))
  }

  #line(line) {
    if (line === "") {
      if (this.#data.length > 0) this.#emit({event: this.#event || "message", data: this.#data.join("\n"), id: this.#id})
      this.#event = ""
      this.#data = []
      return
    }
    const colon = line.indexOf(":")
    if (colon === 0) return // a comment
    const name = colon < 0 ? line : line.slice(0, colon)
    let value = colon < 0 ? "" : line.slice(colon + 1)
    if (value.startsWith(" ")) value = value.slice(1)
    if (name === "data") this.#data.push(value)
    else if (name === "event") this.#event = value
    else if (name === "id" && !value.includes("\0")) this.#id = value
  }
}
