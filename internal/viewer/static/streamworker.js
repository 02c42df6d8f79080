// The worker follows one job: it reads the timeline up to near its end and then the
// stream, comes back by itself when the connection or the server goes, and passes
// summaries on in batches. Bodies never reach the page, and those of what is long
// past not even the worker, so however large they are it stays quick.
import {Parser} from "./sse.js"
import {history} from "./history.js"
import {summarize} from "./summary.js"

const batchTime = 100          // ms between two batches
const silence = 45_000         // ms without a byte, three heartbeats: the connection is dead
const retryMin = 500, retryMax = 5000
const recheck = 5000           // ms between two looks at whether an ended job goes on

let last = 0, lastID = ""      // the last checkpoint that is known
let batch = []
let since = 0                  // when the stream broke

const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
const tell = (state, more) => postMessage({state, since, ...more})

function flush() {
  if (batch.length > 0) postMessage({checkpoints: batch})
  batch = []
}

onmessage = ({data}) => {
  setInterval(flush, batchTime)
  follow(data)
}

async function follow({path, key, jobPath}) {
  const headers = {Authorization: "Bearer " + key, Accept: "text/event-stream"}
  tell("connecting")
  for (let attempt = 0; ;) {
    await history(jobPath, headers.Authorization, last, know)
    flush()
    const end = await read(path + "stream", headers, () => { attempt = 0 })
    flush()
    if (end.final) return tell("refused", {status: end.status, reason: end.reason})
    if (end.ended) {
      since = 0
      tell("ended", {status: end.jobStatus})
      if (!await goesOn(jobPath, headers)) since = Date.now()
      continue
    }
    since ||= Date.now()
    tell("reconnecting", {reason: end.reason})
    const back = Math.min(retryMax, retryMin * 2 ** Math.min(attempt++, 8))
    await wait(back * (0.5 + Math.random() / 2))
  }
}

// read follows the stream once and tells how it ended.
async function read(path, headers, opened) {
  const abort = new AbortController()
  let timer
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(() => abort.abort(), silence)
  }
  const end = {}
  alive()
  try {
    const response = await fetch(path, {
      headers: lastID ? {...headers, "Last-Event-ID": lastID} : headers,
      credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", cache: "no-store", signal: abort.signal,
    })
    if (response.status === 204) return {ended: true}
    if (!response.ok) {
      const {reason} = await response.json().catch(() => ({}))
      return {
        final: [401, 403, 404, 422].includes(response.status), status: response.status,
        reason: typeof reason === "string" ? reason : `The server answered ${response.status}`,
      }
    }
    since = 0
    opened()
    tell("live")
    const parser = new Parser(e => take(e, end))
    for (const chunks = response.body.getReader(); ;) {
      const {done, value} = await chunks.read()
      if (done) break
      alive()
      parser.push(value)
    }
    if (!end.ended && !end.final) end.reason ??= "The stream ended"
  } catch (e) {
    end.ended = end.ended && !(e instanceof SyntaxError)
    if (!end.ended && !end.final) {
      end.reason ??= e instanceof SyntaxError ? "What came cannot be read" : abort.signal.aborted ? "The server has gone quiet" : "The server cannot be reached"
    }
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
  return end
}

// know takes a checkpoint, unless it came before: after an id that the server does
// not know, a stream begins anew.
function know(checkpoint) {
  const c = summarize(checkpoint)
  if (!(c.sequence > last)) return false
  last = c.sequence
  lastID = c.id
  batch.push(c)
  return true
}

function take({event, data}, end) {
  if (event === "message") {
    if (know(JSON.parse(data))) end.ended = false
  } else if (event === "complete") {
    end.ended = true
    end.jobStatus = JSON.parse(data).status
  } else if (event === "error") {
    const {type, message} = JSON.parse(data)
    end.reason = message || String(type).replaceAll("_", " ")
    if (type === "revoked") Object.assign(end, {final: true, status: 401, reason: "The key was removed"})
  }
}

// goesOn waits until an ended job has been continued, and returns false if the
// server is away meanwhile.
async function goesOn(path, headers) {
  for (;;) {
    await wait(recheck)
    try {
      const response = await fetch(path, {headers: {Authorization: headers.Authorization}, credentials: "omit", cache: "no-store"})
      if (!response.ok) return response.status !== 503
      const {data} = await response.json()
      if (data?.job?.checkpoints > last) return true
    } catch {
      return false
    }
  }
}
