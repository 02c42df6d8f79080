import {h, put, say} from "./dom.js"
import {checkpoint as askCheckpoint, checkpointsPath, diff} from "./api.js"
import {clock, count, duration, kind, percent, status, whole} from "./format.js"
import {pretty} from "./json.js"
import {message, part} from "./message.js"

const pause = 120 // ms before a checkpoint is fetched, so that arrow keys held down fetch the last only
const drawn = 40  // messages drawn at once

// Properties that differ between any two checkpoints and say nothing.
const dull = new Set(["id", "sequence", "createdAt", "updatedAt"])

// checkpointPanel shows one checkpoint of a job: what is new, all messages, the raw
// text.
export function checkpointPanel(job, timeline, {close, refused, go}) {
  const title = h("h2", {tabindex: "-1"})
  const facts = h("p", {class: "hint about"})
  const content = h("div", {class: "content", tabindex: "0", role: "tabpanel", "aria-label": "Checkpoint"})
  const names = ["New", "Messages", "Raw"]
  const tabs = names.map((name, i) => h("button", {
    type: "button", role: "tab", "aria-selected": String(i === 0), tabindex: i === 0 ? "0" : "-1", onclick: () => turn(i), onkeydown: e => {
      const by = {ArrowRight: 1, ArrowLeft: -1}[e.key]
      if (!by) return
      e.preventDefault()
      turn((i + by + names.length) % names.length)
      tabs[tab].focus()
    },
  }, name))
  const against = h("input", {type: "number", min: "1", step: "1", "aria-label": "Compare with checkpoint number", onchange: () => compare()})
  const curl = h("button", {type: "button", onclick: () => copy()}, "Copy as curl")
  const copied = h("p", {class: "hint copied", role: "status"})
  const previous = h("button", {type: "button", "aria-label": "Previous checkpoint of the job", onclick: () => step(-1)}, "‹")
  const next = h("button", {type: "button", "aria-label": "Next checkpoint of the job", onclick: () => step(1)}, "›")
  const element = h("section", {class: "panel", "aria-label": "Checkpoint", hidden: true, onkeydown: e => { if (e.key === "Escape") close() }},
    h("div", {class: "panel-head"}, title, previous, next, h("button", {type: "button", "aria-label": "Close", onclick: close}, "✕")), facts,
    h("div", {class: "panel-tools"}, h("div", {role: "tablist", "aria-label": "Views"}, tabs),
      h("label", {class: "against"}, "against #", against), curl), copied, content)

  let id = "", tab = 0, timer = 0, loading = null
  let text = "", value = null, compared = null

  function step(by) {
    const c = timeline.all[timeline.place(id) + by]
    if (c) go(c)
  }

  function show(wanted) {
    if (wanted === id) return
    id = wanted
    element.hidden = id === ""
    clearTimeout(timer)
    loading?.abort()
    say(copied, "")
    if (!id) return
    const c = timeline.find(id)
    put(title, `#${c.sequence} ${c.label || "–"} `,
      h("span", {class: "pill", "data-kind": kind(c.status)}, c.status === "proceeding" ? "proceeding" : status(c.status)))
    put(facts, [c.expert, `step ${whole(c.step)}`, c.tool && `${c.skill} ${c.tool}`.trim(), duration(c.took), `${c.used > 0 ? "+" + count(c.used) : count(c.tokens)} tokens`,
      Number.isFinite(c.context) && `context ${percent(c.context)}`, clock(c.at)]
      .filter(v => v && v !== "–").map(v => h("span", null, v)))
    previous.disabled = c.sequence === timeline.all[0].sequence
    next.disabled = timeline.all.at(-1).id === id
    against.value = timeline.find(c.before)?.sequence ?? ""
    against.max = timeline.all.length
    content.classList.add("stale")
    timer = setTimeout(load, pause)
  }

  async function load() {
    const mine = loading = new AbortController()
    try {
      const body = await askCheckpoint(job, id, mine.signal)
      const read = JSON.parse(body).data.checkpoint
      const found = await comparison(mine.signal)
      if (mine !== loading) return
      text = body
      value = read
      compared = found
      draw()
    } catch (e) {
      if (mine !== loading || mine.signal.aborted) return
      if (e.final) return refused(e.message)
      content.classList.remove("stale")
      put(content, h("p", {class: "problem", role: "alert"}, e.status ? e.message : "The server cannot be reached. "),
        h("button", {type: "button", onclick: load}, "Try again"))
    }
  }

  // comparison returns the difference against the checkpoint whose number is given,
  // null if there is none.
  async function comparison(signal) {
    const other = timeline.all.find(c => c.sequence === +against.value)
    return other && other.id !== id ? diff(job, other.id, id, signal) : null
  }

  async function compare() {
    if (!value) return
    loading?.abort()
    load()
  }

  function turn(i) {
    tab = i
    tabs.forEach((t, j) => {
      t.setAttribute("aria-selected", String(i === j))
      t.tabIndex = i === j ? 0 : -1
    })
    if (value) draw()
  }

  function draw() {
    content.classList.remove("stale")
    content.scrollTop = 0
    const fresh = new Set((compared?.messages?.added ?? []).map(a => a.index))
    if (tab === 2) return drawRaw()
    if (tab === 1) {
      const all = value.messages ?? []
      put(content, all.length === 0 && h("p", {class: "hint"}, "No messages."))
      // The end is what one wants to see; what is before comes on demand.
      return more(content, all, Math.max(0, all.length - drawn), fresh)
    }
    put(content)
    if (!compared) {
      content.append(h("p", {class: "hint"}, "The first of its run: everything is new."))
      for (const m of value.inputMessages ?? []) content.append(message(m, false))
      for (const m of value.newMessages ?? []) content.append(message(m, false))
      if (!value.inputMessages?.length && !value.newMessages?.length) more(content, value.messages ?? [], Math.max(0, (value.messages ?? []).length - drawn), new Set())
      if (!content.querySelector(".message")) content.append(action() ?? "")
      return
    }
    const {added = [], removed = []} = compared.messages ?? {}
    const changed = (compared.changed ?? []).filter(c => !dull.has(c.name))
    content.append(h("p", {class: "hint"}, `Against #${compared.from?.sequence ?? "?"}: ${added.length} new message${added.length === 1 ? "" : "s"}, ${removed.length} gone, ${changed.length} changed propert${changed.length === 1 ? "y" : "ies"}.`))
    content.append(...added.slice(0, 200).map(a => message(a.message, false)))
    if (removed.length > 0) content.append(h("p", {class: "hint"}, `Gone: message ${removed.slice(0, 50).map(n => n + 1).join(", ")} of #${compared.from?.sequence}`))
    if (changed.length > 0) {
      content.append(h("table", {class: "changes"}, h("caption", null, "Changed properties"),
        h("thead", null, h("tr", null, ["Property", "Before", "Now"].map(n => h("th", {scope: "col"}, n)))),
        h("tbody", null, changed.map(c => h("tr", null, h("th", {scope: "row"}, c.name), h("td", null, brief(c.from)), h("td", null, brief(c.to)))))))
    }
  }

  // action stands for what a step did when it left no message.
  function action() {
    const a = value.action
    return a && h("div", {class: "part call"}, h("p", {class: "part-name"}, "Action ", h("code", null, a.type)), part(a))
  }

  function drawRaw() {
    const {text: indented, cut} = pretty(text)
    put(content, cut && h("p", {class: "hint"}, "Only the beginning is shown; curl gets it all."), h("pre", {class: "text code raw", tabindex: "0"}, indented))
  }

  const command = () => `curl -H "Authorization: Bearer $MILEPOST_API_KEY" '${new URL(checkpointsPath(job) + id, location.href)}'`

  // copy leaves the key out: what is copied is pasted anywhere.
  async function copy() {
    try {
      await navigator.clipboard.writeText(command())
      say(copied, "Copied. The key is read from $MILEPOST_API_KEY.")
    } catch {
      put(copied, "Copy this: ", h("code", null, command()))
    }
  }

  return {
    element, show,
    get id() { return id },
    get command() { return command() },
    close() {
      clearTimeout(timer)
      loading?.abort()
      loading = null
    },
  }
}

// more draws the messages from a place on, with a button for those before it.
function more(content, all, from, fresh) {
  const shown = all.slice(from, from + drawn).map((m, i) => message(m, fresh.has(from + i)))
  const first = content.querySelector(".message")
  if (first) first.before(...shown)
  else content.append(...shown)
  if (from === 0) return
  const button = h("button", {type: "button", class: "earlier", onclick: () => {
    button.remove()
    more(content, all.slice(0, from), Math.max(0, from - drawn), fresh)
  }}, `Show ${Math.min(from, drawn)} earlier of ${from}`)
  content.prepend(button)
}

function brief(v) {
  if (v === undefined) return "–"
  const text = typeof v === "string" ? v : JSON.stringify(v)
  return text.length > 300 ? text.slice(0, 300) + "…" : text
}
