import {h, say} from "./dom.js"
import {cost, count, kind, status, whole} from "./format.js"
import {VirtualList} from "./virtual.js"

const plural = n => `${whole(n)} checkpoint${n === 1 ? "" : "s"}`

// runList is the delegation tree of a job. choose is told the id of the run that
// was chosen, null for all of them. It hides itself while there is one run only.
export function runList(timeline, choose) {
  let tree = []
  let costs = new Map() // run id to its cost, as the server has it
  const list = new VirtualList({
    label: "Runs", height: 62, draw, selectable: () => true,
    choose: i => choose(i === 0 ? null : tree[i - 1].id),
  })
  const title = h("h2", null, "Runs")
  const element = h("section", {class: "runs", "aria-label": "Runs", hidden: true}, title, list.element)

  function draw(i) {
    if (i === 0) return h("div", {class: "run"}, h("span", {class: "expert"}, "All runs"), h("span", {class: "hint"}, `${plural(timeline.all.length)}`))
    const r = tree[i - 1], price = costs.get(r.id)
    return h("div", {class: `run run-${r.colour} depth-${Math.min(r.depth, 8)}`},
      h("span", {class: "expert", title: r.expert}, h("span", {class: "dot", "data-kind": kind(r.status)}), h("span", null, r.expert)),
      h("span", {class: "hint"}, `${status(r.status)} · ${plural(r.count)}`),
      h("span", {class: "hint"}, `${count(r.tokens)} tokens${price ? " · " + cost(price) : ""}`))
  }

  return {
    element,
    draw() {
      tree = timeline.tree()
      element.hidden = tree.length < 2
      say(title, `Runs (${tree.length})`)
      if (!element.hidden) list.set(tree.length + 1, true)
    },
    // know takes the runs as the server counts them.
    know(runs) { costs = new Map(runs.filter(r => r.cost).map(r => [r.id, r.cost])) },
    close: () => list.close(),
  }
}
