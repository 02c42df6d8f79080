// Numbers and times as people read them.

// count shortens a number: 950, 1.2k, 34k, 5.6M.
export function count(n) {
  if (!Number.isFinite(n)) return "–"
  const a = Math.abs(n)
  if (a < 1000) return String(Math.round(n * 10) / 10)
  for (const [unit, size] of [["k", 1e3], ["M", 1e6], ["G", 1e9], ["T", 1e12]]) {
    const v = n / size
    if (Math.abs(v) < 9.95) return v.toFixed(1).replace(/\.0$/, "") + unit
    if (Math.abs(v) < 999.5) return Math.round(v) + unit
  }
  return n.toExponential(1)
}

// whole is a number with separators.
export const whole = n => (Number.isFinite(n) ? Math.round(n).toLocaleString("en") : "–")

// duration is a time span in milliseconds: 340 ms, 2.1 s, 3 min 04 s, 2 h 05 min.
export function duration(ms) {
  if (!Number.isFinite(ms) || ms < 0) return "–"
  if (ms < 1000) return Math.round(ms) + " ms"
  if (ms < 9950) return (ms / 1000).toFixed(1) + " s"
  const sec = Math.round(ms / 1000)
  if (sec < 60) return sec + " s"
  const two = n => String(n).padStart(2, "0")
  if (sec < 3600) return `${Math.floor(sec / 60)} min ${two(sec % 60)} s`
  const min = Math.floor(sec / 60)
  if (min < 2880) return `${Math.floor(min / 60)} h ${two(min % 60)} min`
  return `${Math.floor(min / 1440)} d ${Math.floor(min / 60) % 24} h`
}

// age is a rough time span: now, 12 s, 3 min, 2 h, 4 d.
export function age(ms) {
  if (!Number.isFinite(ms)) return "–"
  const sec = Math.floor(Math.max(0, ms) / 1000)
  if (sec < 2) return "now"
  if (sec < 60) return sec + " s"
  if (sec < 3600) return Math.floor(sec / 60) + " min"
  if (sec < 172800) return Math.floor(sec / 3600) + " h"
  return Math.floor(sec / 86400) + " d"
}

const timeOfDay = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"})
const day = new Intl.DateTimeFormat(undefined, {month: "short", day: "numeric"})
const dayOfYear = new Intl.DateTimeFormat(undefined, {year: "numeric", month: "short", day: "numeric"})

// clock is the local time of day, with the date unless it is today's.
export function clock(ms) {
  const t = new Date(ms)
  if (Number.isNaN(t.getTime())) return "–"
  const today = new Date()
  const time = timeOfDay.format(t)
  if (t.getFullYear() !== today.getFullYear()) return `${dayOfYear.format(t)} ${time}`
  if (t.getMonth() !== today.getMonth() || t.getDate() !== today.getDate()) return `${day.format(t)} ${time}`
  return time
}

// cost is an amount of a currency; "≥" says that some tokens have no price.
export function cost(c) {
  if (!c || !Number.isFinite(c.amount)) return "–"
  const digits = c.amount === 0 || c.amount >= 1 ? 2 : 4
  return `${c.complete === false ? "≥ " : ""}${c.amount.toFixed(digits)} ${c.currency ?? ""}`.trim()
}

export const percent = part => (Number.isFinite(part) ? Math.round(part * 100) + " %" : "–")

// The words for what a job or a checkpoint is at. An unknown one stands for itself.
const words = {
  init: "started", proceeding: "running", processing: "running", completed: "completed",
  stoppedByInteractiveTool: "asks the user", requestInteractiveToolResult: "asks the user",
  stoppedByDelegate: "delegated", requestDelegateResult: "delegating",
  stoppedByExceededMaxSteps: "out of steps", exceededMaxSteps: "out of steps",
  stoppedByError: "failed", failed: "failed",
}
export const status = name => (Object.hasOwn(words, name) ? words[name] : String(name))

// word is what a step did: the kind of its action, or the tool where the kind says
// no more than that there was one.
export const word = (action, tool) => (tool && ["generalTool", "interactiveTool"].includes(action) ? tool : action || tool || "–")

// The colour that goes with a status.
const kinds = {
  completed: "good", stoppedByError: "bad", failed: "bad",
  stoppedByExceededMaxSteps: "warn", exceededMaxSteps: "warn",
  stoppedByInteractiveTool: "ask", requestInteractiveToolResult: "ask",
  stoppedByDelegate: "hand", requestDelegateResult: "hand", processing: "run", proceeding: "run", init: "run",
}
export const kind = name => (Object.hasOwn(kinds, name) ? kinds[name] : "plain")
