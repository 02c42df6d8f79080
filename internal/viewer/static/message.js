import {h} from "./dom.js"
import {pretty} from "./json.js"

// A picture is drawn only if it comes with the message, and only in formats that
// are pixels.
const pixels = /^image\/(?:png|jpeg|gif|webp|avif|bmp)$/
const base64 = /^[A-Za-z0-9+/=\s]+$/
const long = 4000 // characters shown before "show all"
const brief = 400 // of an instruction, which is much the same in every job

const names = {
  instructionMessage: "Instruction", userMessage: "User", expertMessage: "Expert", toolMessage: "Tool",
}

// message draws one message by its parts. Whatever it holds, it stays text.
export function message(m, fresh) {
  const type = typeof m?.type === "string" ? m.type : "message"
  const parts = Array.isArray(m?.contents) ? m.contents : m?.contents === undefined ? [m] : [m.contents]
  return h("article", {class: `message${fresh ? " fresh" : ""}`, "data-type": type in names ? type : ""},
    h("h3", null, Object.hasOwn(names, type) ? names[type] : type, fresh && h("span", {class: "new"}, "new")),
    parts.map(p => part(p, type === "instructionMessage" ? brief : long)))
}

// part draws one part of a message, of a long text the beginning.
export function part(p, most = long) {
  if (typeof p === "string") return passage(p, most)
  switch (p?.type) {
    case "textPart": return passage(p.text, most)
    case "thinkingPart": return h("details", {class: "part thinking"}, h("summary", null, "Thinking"), passage(p.thinking))
    case "toolCallPart": return call(p)
    case "toolResultPart":
      return h("div", {class: "part result", "data-error": p.isError === true},
        h("p", {class: "part-name"}, "Result of ", h("code", null, p.toolName ?? "a tool"), p.isError === true && h("span", {class: "new"}, "error")),
        (Array.isArray(p.contents) ? p.contents : [p.contents]).filter(c => c !== undefined).map(c => part(c)))
    case "imageInlinePart": return image(`data:${p.mimeType};base64,${p.encodedData}`, p.mimeType, p.encodedData)
    case "imageUrlPart": return imageURL(p.url)
  }
  return raw(p)
}

function passage(text, most = long) {
  if (typeof text !== "string") return raw(text)
  const json = /^\s*[{[]/.test(text) && isJSON(text)
  const whole = json ? pretty(text).text : text
  if (whole.length <= most * 1.2) return h("pre", {class: json ? "part text code" : "part text"}, whole)
  const block = h("pre", {class: json ? "part text code" : "part text"}, whole.slice(0, most) + "…")
  const more = h("button", {type: "button", onclick: () => {
    block.textContent = whole
    more.remove()
  }}, `Show all ${whole.length.toLocaleString("en")} characters`)
  return h("div", null, block, more)
}

function isJSON(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function call(p) {
  const args = p.args && typeof p.args === "object" ? Object.entries(p.args) : []
  return h("div", {class: "part call"}, h("p", {class: "part-name"}, "Calls ", h("code", null, p.toolName ?? "a tool")),
    args.length > 0 && h("dl", {class: "args"}, args.map(([name, value]) =>
      h("div", null, h("dt", null, name), h("dd", null, passage(typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? ""))))))
}

function image(url, type, data) {
  if (!pixels.test(type ?? "") || typeof data !== "string" || !base64.test(data)) return raw({type: "image", mimeType: type})
  return h("img", {class: "part picture", src: url, alt: `Picture (${type})`, loading: "lazy"})
}

function imageURL(url) {
  const m = /^data:([a-z/]+);base64,(.*)$/s.exec(String(url))
  if (m) return image(url, m[1], m[2])
  return h("p", {class: "part hint"}, "A picture elsewhere, not loaded: ", h("code", null, String(url)))
}

const raw = v => h("pre", {class: "part text code"}, (JSON.stringify(v, null, 2) ?? String(v)).slice(0, 20_000))
