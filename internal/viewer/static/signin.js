import {h, put} from "./dom.js"
import {forget, keep} from "./session.js"
import {jobs} from "./api.js"

// signIn asks for the API key and tries it. done is called when it was taken.
export function signIn(main, done, reason) {
  const problem = h("p", {class: "problem", role: "alert"}, reason ?? "")
  const input = h("input", {id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-note"})
  const button = h("button", {type: "submit", class: "primary"}, "Sign in")
  const form = h("form", {class: "sign-in", onsubmit: async e => {
    e.preventDefault()
    const key = input.value.trim()
    if (!key) return
    // What cannot stand in a header cannot be a key.
    if (!/^[\x21-\x7e]+$/.test(key)) return put(problem, "A key has only letters, digits and signs, without spaces")
    button.disabled = true
    put(problem)
    keep(key)
    try {
      await jobs({take: 1})
      input.value = ""
      done()
    } catch (e) {
      forget()
      put(problem, e.final ? `Refused: ${e.message}` : e.status ? e.message : "The server cannot be reached")
      input.select()
    } finally {
      button.disabled = false
    }
  }}, h("h1", null, "Sign in"), h("label", {for: "key"}, "API key"), input,
  h("p", {id: "key-note", class: "hint"}, "It stays in this tab and is forgotten with it. A key that only reads is enough."), button, problem)
  main.append(form)
  input.focus()
  return {close() {}}
}
