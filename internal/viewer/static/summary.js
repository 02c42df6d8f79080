import {word} from "./format.js"

// summarize keeps of a checkpoint what the list shows: a few numbers and short
// strings. The body is fetched when somebody looks at it. What the server's timeline
// has of a checkpoint will do: what is missing there is missing in the note alone.
export function summarize(c) {
  const started = Date.parse(c.startedAt), finished = Date.parse(c.finishedAt)
  return {
    id: text(c.id, 24), sequence: number(c.sequence), run: text(c.runId, 24),
    step: number(c.stepNumber), status: text(c.status, 64), expert: text(c.expert?.key, 511),
    ...did(c),
    skill: text(c.skillName, 255), tool: text(c.toolName, 255),
    delegateTo: c.status === "stoppedByDelegate" ? text(c.delegateTo?.expert?.key, 511) : "",
    parent: text(c.delegatedBy?.checkpointId, 24),
    tokens: number(c.usage?.totalTokens),
    context: contextOf(c),
    took: finished >= started ? finished - started : NaN,
    at: Date.parse(c.createdAt) || finished || started,
  }
}

const number = v => (typeof v === "number" ? v : NaN)
const text = (v, most) => (typeof v === "string" ? v.slice(0, most) : "")

// contextOf is the share of the context window that is in use. A runtime may give
// a share or a number of tokens.
function contextOf(c) {
  const used = number(c.contextWindowUsage)
  return used > 1 && c.contextWindow > 1 ? used / c.contextWindow : used
}

// did is what a step did: label is a word for it, note what it was about. A step
// without a tool has, by the API's rules, an action that only says so; its message
// tells more.
function did(c) {
  const type = text(c.action?.type, 64)
  if (type !== "error" || c.toolCall || c.toolName || c.status === "stoppedByError") return {label: word(type, text(c.toolName, 255)), note: about(c.action)}
  if (c.status === "init") return {label: "start", note: said(c.inputMessages?.at?.(-1))}
  if (c.toolResult) return {label: "result", note: said({contents: c.toolResult.result})}
  return {label: c.status === "completed" ? "answer" : "message", note: said(c.newMessages?.[0])}
}

// about is what an action was about, in one line: a path, a command, a thought.
function about(action) {
  for (const name of ["path", "command", "query", "thought", "error", "message", "source", "key", "text"]) {
    const v = line(action?.[name]) || line(action?.args?.[name])
    if (v) return v
  }
  return tasks(action?.todos)
}

// tasks is how far a list of tasks has come, and what is on it.
function tasks(todos) {
  if (!Array.isArray(todos) || todos.length === 0) return ""
  const done = todos.filter(t => t?.completed === true).length
  return `${done} of ${todos.length} done: ${line(todos.slice(0, 8).map(t => line(t?.title)).join(", "))}`
}

// said is the first text of a message.
function said(message) {
  const parts = Array.isArray(message?.contents) ? message.contents : []
  for (const p of parts) {
    const v = line(p?.text) || (Array.isArray(p?.contents) ? line(p.contents[0]?.text) : "")
    if (v) return v
  }
  return ""
}

const line = v => (typeof v === "string" ? v.slice(0, 160).replace(/\s+/g, " ").trim() : "")
