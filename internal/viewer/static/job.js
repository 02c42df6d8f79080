import {every, h, put, say} from "./dom.js"
import {checkpointsPath, job as askJob, now} from "./api.js"
import {key} from "./session.js"
import {age, clock, cost, count, duration, kind, percent, status, whole} from "./format.js"
import {Chart} from "./chart.js"
import {checkpointPanel} from "./checkpoint.js"
import {Player} from "./player.js"
import {quietFor} from "./jobs.js"
import {runList} from "./runs.js"
import {showState} from "./state.js"
import {Rows, Timeline} from "./timeline.js"
import {VirtualList} from "./virtual.js"

const rowHeight = 30
const chartPause = 250 // ms between two drawings of the charts while checkpoints pour in

// jobPage shows one job: how it stands, charts, the timeline, and beside it the
// checkpoint that was chosen. It holds summaries only.
export function jobPage(main, id, selected, refused) {
  const timeline = new Timeline()
  const rows = new Rows(timeline)
  let only = null         // the one run that is shown
  let stick = true        // the end of the list is in view
  let moved = false       // the player went to another place since the last drawing
  let info = {}           // the job as the server counts it
  let opening = selected  // a checkpoint to be shown when it is there
  let asking = null, closed = false

  const facts = new Map(["Status", "Expert", "Steps", "Tokens", "Cost", "Duration", "Context", "Last checkpoint"]
    .map(name => [name, h("dd", null, "–")]))
  const pill = h("span", {class: "pill"})
  put(facts.get("Status"), pill)
  const strip = h("dl", {class: "facts"}, ...[...facts].map(([name, dd]) => h("div", null, h("dt", null, name), dd)))

  const pick = i => player.go(i + 1)
  const charts = [
    new Chart({name: "tokens", title: "Tokens used", value: c => c.tokens, format: count, pick}),
    new Chart({name: "context", title: "Context window", value: c => c.context, format: percent, top: 1, pick}),
    new Chart({name: "time", title: "Step time", value: c => c.took, format: duration, bars: true, pick}),
  ]
  const player = new Player(i => timeline.all[i]?.at, () => {
    moved = true
    later()
  })
  const list = new VirtualList({
    label: "Checkpoints", height: rowHeight,
    draw: i => drawRow(rows.list[i]), selectable: i => rows.list[i]?.checkpoint !== undefined,
    choose: i => select(rows.list[i].checkpoint.id, false), open: i => select(rows.list[i].checkpoint.id, true),
    scrolled: () => {
      stick = list.atEnd
      player.inView(stick)
    },
    resized: () => { if (stick) list.toEnd() },
  })
  const runs = runList(timeline, run => {
    only = run
    later()
  })
  const panel = checkpointPanel(id, timeline, {close: () => select("", true), refused, go: c => select(c.id, true)})
  const empty = h("p", {class: "notice"}, "Nothing to see yet.")
  main.className = "job"
  main.append(h("h1", {class: "unseen"}, `Job ${id}`), strip,
    h("div", {class: "charts", role: "group", "aria-label": "Charts"}, charts.map(c => c.element)), player.element,
    h("div", {class: "panes"}, runs.element, h("section", {class: "timeline", "aria-label": "Timeline"}, empty, list.element), panel.element))

  // Everything that changes is drawn in the next frame, once.
  let frame = 0, drawn = 0, late = 0
  const later = () => { frame ||= requestAnimationFrame(draw) }
  function draw(at) {
    frame = 0
    const again = rows.show(player.place, only)
    list.set(rows.list.length, again)
    if (again) list.mark(rows.row(panel.id))
    if (moved) stick = true
    if (stick) list.toEnd()
    player.inView(stick)
    const shown = rows.list.at(-1)?.checkpoint
    if (moved && panel.id && shown) show(shown.id)
    moved = false
    const current = timeline.all[player.place - 1]
    if (at - drawn >= chartPause || !player.following) {
      drawn = at
      for (const c of charts) c.draw(timeline.all, player.place - 1)
      runs.draw()
    } else {
      late ||= setTimeout(() => { late = 0; later() }, chartPause)
    }
    showFacts(current)
  }

  function showFacts(c) {
    const end = player.following ? info.status ?? c?.status : c?.status
    say(pill, end ? status(end) : "–")
    pill.dataset.kind = end ? kind(end) : ""
    say(facts.get("Expert"), c?.expert || "–")
    say(facts.get("Steps"), c ? whole(c.step) : "–")
    say(facts.get("Tokens"), c ? count(c.tokens) : "–")
    facts.get("Tokens").title = c ? whole(c.tokens) : ""
    say(facts.get("Cost"), cost(info.cost))
    const first = timeline.all[0]
    say(facts.get("Duration"), c ? duration(c.at - first.at) : "–")
    say(facts.get("Context"), c ? percent(c.context) : "–")
    const quiet = player.following ? quietFor(info, now()) : 0
    say(facts.get("Last checkpoint"), !c ? "–" : !player.following ? clock(c.at) : quiet ? `quiet for ${age(quiet)}` : age(now() - c.at) === "now" ? "now" : age(now() - c.at) + " ago")
    facts.get("Last checkpoint").classList.toggle("quiet", quiet > 0)
  }

  // show opens a checkpoint beside the list; the address follows it without an
  // entry in the history.
  function show(checkpoint) {
    panel.show(checkpoint)
    main.classList.toggle("detail", checkpoint !== "")
    list.mark(rows.row(checkpoint))
    const hash = `#/jobs/${encodeURIComponent(id)}${checkpoint ? "/" + checkpoint : ""}`
    if (location.hash !== hash) history.replaceState(null, "", hash)
  }

  function select(checkpoint, clearly) {
    opening = ""
    if (clearly || panel.id) show(checkpoint)
    if (!checkpoint) list.element.focus()
  }

  const worker = new Worker("streamworker.js", {type: "module"})
  worker.onmessage = ({data}) => {
    if (closed) return
    if (data.checkpoints) {
      const watching = panel.id && panel.id === timeline.all.at(-1)?.id && player.following
      timeline.add(data.checkpoints)
      empty.hidden = true
      player.grow(timeline.all.length)
      if (watching) show(timeline.all.at(-1).id)
      if (opening && timeline.find(opening)) {
        const wanted = opening
        opening = ""
        requestAnimationFrame(() => {
          show(wanted)
          if (timeline.all.at(-1).id !== wanted) {
            stick = false
            list.reveal(rows.row(wanted))
          }
        })
      }
      later()
      return
    }
    if (data.state === "refused" && (data.status === 401 || data.status === 403)) return refused(data.reason)
    if (data.state === "refused") {
      showState("missing")
      main.classList.add("missing")
      say(empty, `${data.reason}. The id may be wrong, the job may be another organization's, or it may have been deleted.`)
    } else {
      showState(data.state, {since: data.since, reason: data.reason, status: data.status && status(data.status)})
      say(empty, data.state === "live" ? "No checkpoint yet." : "Nothing to see yet.")
    }
    empty.hidden = timeline.all.length > 0
    look()
  }
  worker.onerror = () => showState("refused", {reason: "This browser cannot run the reader of streams"})
  worker.postMessage({path: checkpointsPath(id), jobPath: `../api/milepost/v1/jobs/${encodeURIComponent(id)}`, key: key()})

  // look asks for what is not in the checkpoints: cost and status.
  async function look() {
    if (asking) return
    const mine = asking = new AbortController()
    const timeout = setTimeout(() => mine.abort(), 15_000)
    try {
      const {job, runs: known} = await askJob(id, mine.signal)
      info = job
      runs.know(known)
      if (!closed) later()
    } catch (e) {
      if (e.final && !closed) refused(e.message)
      // Anything else the stream tells as well.
    } finally {
      clearTimeout(timeout)
      asking = null
    }
  }
  const poll = every(5000, look)
  const tick = every(1000, () => showFacts(timeline.all[player.place - 1]))
  later()
  return {
    select(checkpoint) {
      if (checkpoint === panel.id) return
      if (checkpoint && !timeline.find(checkpoint)) opening = checkpoint
      else select(checkpoint, true)
    },
    close() {
      closed = true
      worker.terminate()
      asking?.abort()
      poll()
      tick()
      cancelAnimationFrame(frame)
      clearTimeout(late)
      player.close()
      list.close()
      runs.close()
      panel.close()
    },
  }
}

// drawRow makes a line of the timeline, of as few elements as will do.
function drawRow({run, checkpoint: c, resumed}) {
  const indent = Math.min(run.depth, 8)
  if (!c) {
    return h("div", {class: `heading run-${run.colour} depth-${indent}`}, h("span", {class: "expert"}, run.expert),
      h("span", {class: "hint"}, resumed ? "goes on" : run.by ? `delegated by #${run.by.sequence}` : run.first === 1 ? "the job begins" : "a new run"))
  }
  const what = c.delegateTo ? `→ ${c.delegateTo}` : c.note
  const tool = c.tool && c.tool !== c.label ? c.tool : ""
  const used = c.used > 0 ? "+" + count(c.used) : ""
  return h("div", {class: `checkpoint run-${run.colour} depth-${indent}`},
  h("span", {class: "sequence"}, "#" + c.sequence),
  h("span", {class: "dot", "data-kind": c.label === "error" && c.status === "proceeding" ? "warn" : kind(c.status), role: "img", "aria-label": status(c.status), title: status(c.status)}),
  h("span", {class: "action"}, c.label || "–"),
  h("span", {class: "tool"}, tool, what && h("span", {class: "hint"}, " " + what)),
  h("span", {class: "number tokens"}, used),
  h("span", {class: "number took"}, duration(c.took)),
  h("span", {class: "number time"}, clock(c.at)))
}
