import {every, h, put, say} from "./dom.js"
import {jobs, now} from "./api.js"
import {age, cost, count, duration, kind, status, whole, word} from "./format.js"
import {showState} from "./state.js"

const pace = 2000 // ms between two looks
const take = 50
const filters = [
  ["Any status", []], ["Running", ["processing", "requestDelegateResult"]], ["Asks the user", ["requestInteractiveToolResult"]],
  ["Completed", ["completed"]], ["Failed", ["failed", "exceededMaxSteps"]],
]
const sorts = [["Last activity", "lastAt"], ["Start", "startedAt"], ["Steps", "steps"], ["Tokens", "tokens"]]

// jobsPage lists the jobs that the key may see, and keeps the list up to date.
export function jobsPage(main, refused) {
  const query = {take, skip: 0, sort: "lastAt", order: "desc", filter: "", statuses: []}
  const rows = new Map() // job id to its row
  const body = h("tbody")
  const note = h("p", {class: "notice", hidden: true})
  const range = h("span", {class: "range"})
  const table = h("table", {class: "jobs"}, h("caption", {class: "unseen"}, "Jobs"),
    h("thead", null, h("tr", null, ...["Job", "Status", "Expert", "Steps", "Tokens", "Cost", "Duration", "Last action", "Last checkpoint"]
      .map((name, i) => h("th", {scope: "col", class: i >= 3 && i <= 6 ? "number" : null}, name)))), body)
  const back = h("button", {type: "button", onclick: () => turn(-take)}, "Newer")
  const on = h("button", {type: "button", onclick: () => turn(take)}, "Older")
  let asking = null, since = 0, typed

  const choose = change => {
    Object.assign(query, change, {skip: 0})
    look(true)
  }
  const tools = h("form", {class: "tools", role: "search", onsubmit: e => e.preventDefault()},
    h("label", null, h("span", {class: "unseen"}, "Find"), h("input", {type: "search", placeholder: "Job or expert", maxlength: "256", oninput: e => {
      clearTimeout(typed)
      typed = setTimeout(() => choose({filter: e.target.value.trim()}), 250)
    }})),
    h("label", null, h("span", {class: "unseen"}, "Status"), h("select", {onchange: e => choose({statuses: filters[e.target.value][1]})},
      ...filters.map(([name], i) => h("option", {value: i}, name)))),
    h("label", null, "Sort by ", h("select", {onchange: e => choose({sort: e.target.value})},
      ...sorts.map(([name, value]) => h("option", {value}, name)))))
  const byID = h("form", {class: "tools", onsubmit: e => {
    e.preventDefault()
    const id = e.target.elements.id.value.trim()
    if (id) location.hash = "#/jobs/" + encodeURIComponent(id)
  }}, h("label", null, h("span", {class: "unseen"}, "Job id"), h("input", {name: "id", placeholder: "Open a job by its id", pattern: "[a-z0-9]{24}", title: "24 characters of a–z and 0–9", spellcheck: "false"})),
  h("button", {type: "submit"}, "Open"))

  function turn(by) {
    query.skip = Math.max(0, query.skip + by)
    look(true)
  }

  async function look(restart) {
    if (asking && !restart) return
    asking?.abort()
    const mine = asking = new AbortController()
    const timeout = setTimeout(() => mine.abort(), 15_000)
    try {
      const page = await jobs(query, mine.signal)
      if (mine !== asking) return
      since = 0
      showState("live")
      show(page)
    } catch (e) {
      if (mine !== asking) return
      if (e.final) return refused(e.message)
      since ||= Date.now()
      showState("reconnecting", {since, reason: e.status ? e.message : "The server cannot be reached"})
    } finally {
      clearTimeout(timeout)
      if (mine === asking) asking = null
    }
  }

  function show({jobs, total, complete}) {
    const seen = new Set()
    jobs.forEach((j, i) => {
      seen.add(j.id)
      let row = rows.get(j.id)
      if (!row) rows.set(j.id, (row = newRow(j.id)))
      row.update(j)
      if (body.children[i] !== row.element) body.insertBefore(row.element, body.children[i] ?? null)
    })
    for (const [id, row] of rows) {
      if (seen.has(id)) continue
      row.element.remove()
      rows.delete(id)
    }
    table.hidden = jobs.length === 0
    note.hidden = jobs.length > 0
    say(note, query.filter || query.statuses.length > 0 ? "No job matches." : query.skip > 0 ? "No more jobs." : "No jobs yet. A job appears with its first checkpoint; in front of an upstream, once it has been opened by its id.")
    say(range, total > 0 ? `${Math.min(total, query.skip + 1)}–${Math.min(total, query.skip + jobs.length)} of ${whole(total)}${complete ? "" : " or more"}` : "")
    pages.hidden = jobs.length === 0 && query.skip === 0
    back.disabled = query.skip === 0
    on.disabled = query.skip + jobs.length >= total
  }

  const tick = every(1000, () => rows.forEach(r => r.tick()))
  const poll = every(pace, () => look(false))
  const pages = h("div", {class: "pages", role: "group", "aria-label": "Pages"}, back, range, on)
  main.append(h("div", {class: "bar"}, h("h1", null, "Jobs"), tools, byID), note, table, pages)
  table.hidden = pages.hidden = true
  put(range)
  showState("connecting")
  look(true)
  return {close() {
    tick()
    poll()
    clearTimeout(typed)
    asking?.abort()
    asking = null
  }}
}

// quietFor returns how long a running job has been silent, in milliseconds, if that
// is far longer than its usual step; else 0.
export function quietFor(job, at) {
  if (!["processing", "requestDelegateResult"].includes(job.status)) return 0
  const silence = at - Date.parse(job.lastAt)
  const usual = (Date.parse(job.lastAt) - Date.parse(job.startedAt)) / Math.max(1, (job.checkpoints ?? 1) - 1)
  return silence > Math.max(60_000, 5 * (usual || 0)) ? silence : 0
}

function newRow(id) {
  const cell = (attributes, ...children) => h("td", attributes, ...children)
  const pill = h("span", {class: "pill"}), expert = cell({class: "text"}), steps = cell({class: "number"}), tokens = cell({class: "number"}),
    price = cell({class: "number"}), took = cell({class: "number"}), action = cell({class: "text"}), last = cell()
  const element = h("tr", null, h("th", {scope: "row"}, h("a", {class: "id", href: "#/jobs/" + encodeURIComponent(id)}, id)),
    cell(null, pill), expert, steps, tokens, price, took, action, last)
  element.addEventListener("click", e => {
    if (!e.target.closest("a") && !getSelection().toString()) location.hash = "#/jobs/" + encodeURIComponent(id)
  })
  let job
  const tick = () => {
    const start = Date.parse(job.startedAt), end = Date.parse(job.endedAt ?? job.lastAt), at = now()
    say(took, duration(end - start))
    const quiet = quietFor(job, at)
    say(last, quiet ? `quiet for ${age(quiet)}` : `${age(at - Date.parse(job.lastAt))}${at - Date.parse(job.lastAt) < 2000 ? "" : " ago"}`)
    last.classList.toggle("quiet", quiet > 0)
  }
  return {element, tick, update(j) {
    job = j
    say(pill, status(j.status))
    pill.dataset.kind = kind(j.status)
    const experts = j.experts ?? []
    const first = experts[0]?.key ?? j.last?.expert ?? "–"
    say(expert, experts.length > 1 ? `${first} +${experts.length - 1}` : first)
    say(steps, whole(j.steps))
    steps.title = `${whole(j.checkpoints)} checkpoints`
    say(tokens, count(j.tokens?.totalTokens))
    say(price, cost(j.cost))
    say(action, j.last ? word(j.last.action, j.last.toolName) : "–")
    tick()
  }}
}
