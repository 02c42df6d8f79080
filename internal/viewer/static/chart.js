import {h, s, say} from "./dom.js"

const width = 400, height = 72, most = 400 // points drawn

// Chart draws one number of each checkpoint over the steps, as an area or as bars.
// With more checkpoints than there is room for, a point is the highest of several.
export class Chart {
  #options
  #path = s("path", {class: "chart-line", "vector-effect": "non-scaling-stroke"})
  #area = s("path", {class: "chart-area"})
  #cursor = s("line", {class: "chart-cursor", y1: 0, y2: height, "vector-effect": "non-scaling-stroke"})
  #svg
  #value = h("output", {class: "chart-value"})
  #scale = h("span", {class: "chart-scale"})
  #points = []
  #at = -1

  // value(c) is the number, format writes it, top is the least end of the scale.
  // pick(i) is told which checkpoint was clicked.
  constructor(options) {
    this.#options = options
    this.#svg = s("svg", {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": options.title},
      this.#area, this.#path, this.#cursor)
    const plot = h("div", {
      class: "chart-plot",
      onpointermove: e => this.#hover(e), onpointerleave: () => this.#show(this.#at),
      onclick: e => { if (this.#points.length > 0) options.pick(this.#under(e)) },
    }, this.#svg)
    this.element = h("figure", {class: "chart " + options.name}, h("figcaption", null, h("span", null, options.title, " ", this.#scale), this.#value), plot)
  }

  #under(e) {
    const box = this.#svg.getBoundingClientRect()
    const share = (e.clientX - box.left) / Math.max(1, box.width)
    return Math.max(0, Math.min(this.#points.length - 1, Math.floor(share * this.#points.length)))
  }

  #hover(e) {
    if (this.#points.length > 0) this.#show(this.#under(e))
  }

  #show(i) {
    const n = this.#points.length
    this.#cursor.setAttribute("visibility", i >= 0 && i < n && n > 1 ? "visible" : "hidden")
    if (i < 0 || i >= n) return say(this.#value, "–")
    const x = ((i + 0.5) / n) * width
    this.#cursor.setAttribute("x1", x)
    this.#cursor.setAttribute("x2", x)
    say(this.#value, `${this.#options.format(this.#options.value(this.#points[i]))} at #${this.#points[i].sequence}`)
  }

  // draw shows the checkpoints, with the cursor at one of them.
  draw(points, at) {
    const {value, format, top = 0, bars} = this.#options
    this.#points = points
    this.#at = at
    const n = points.length, size = Math.max(1, Math.ceil(n / most))
    const tops = []
    let peak = top
    for (let i = 0; i < n; i += size) {
      let v = NaN
      for (let j = i; j < Math.min(n, i + size); j++) {
        const w = value(points[j])
        if (w >= 0 && !(w <= v)) v = w
      }
      tops.push(v)
      if (v > peak) peak = v
    }
    const w = n > 0 ? (width * size) / n : width
    const y = v => (height - (peak > 0 ? v / peak : 0) * (height - 4)).toFixed(1)
    let line = "", area = ""
    tops.forEach((v, i) => {
      const x = i * w, right = Math.min(width, x + w)
      if (!(v >= 0)) return
      if (bars) {
        const gap = w > 4 ? w * 0.15 : 0
        area += `M${(x + gap).toFixed(1)} ${height}V${y(v)}H${(right - gap).toFixed(1)}V${height}Z`
        return
      }
      line += `${i > 0 && tops[i - 1] >= 0 ? "L" : "M"}${x.toFixed(1)} ${y(v)}H${right.toFixed(1)}`
      area += `M${x.toFixed(1)} ${height}V${y(v)}H${right.toFixed(1)}V${height}Z`
    })
    this.#path.setAttribute("d", line)
    this.#area.setAttribute("d", area)
    say(this.#scale, peak > 0 ? "0–" + format(peak) : "")
    this.#svg.setAttribute("aria-label",
      n === 0 ? `${this.#options.title}: nothing yet` : `${this.#options.title} over ${n} checkpoints, at most ${format(peak)}`)
    this.#show(at)
  }
}
