import {h, say} from "./dom.js"

const longest = 5000, shortest = 40 // ms that a step takes in a replay at speed 1

// Player moves the place in a job at which the page looks: by hand, by replaying
// what happened, or along with what comes.
export class Player {
  place = 0             // checkpoints shown
  following = true
  #total = 0
  #timer = 0
  #speed = 10
  #seen = true
  #times
  #moved
  #range = h("input", {type: "range", min: "0", max: "0", value: "0", step: "1", "aria-label": "Place in the job", oninput: () => this.#scrub(+this.#range.value)})
  #label = h("output", {class: "place"})
  #play = h("button", {type: "button", onclick: () => this.#toggle()}, "▶ Replay")
  #follow = h("button", {type: "button", class: "follow", "aria-pressed": "true", onclick: () => this.follow()}, "Follow live")

  // times(i) is when checkpoint i was stored; moved() is told of every move.
  constructor(times, moved) {
    this.#times = times
    this.#moved = moved
    const speeds = h("select", {"aria-label": "Speed of the replay", onchange: e => { this.#speed = +e.target.value }},
      ...[1, 2, 5, 10, 50, 500].map(v => h("option", {value: v, selected: v === 10}, v + "×")))
    this.element = h("div", {class: "player", role: "group", "aria-label": "Replay"},
      this.#play, speeds, this.#range, this.#label, this.#follow)
    this.#show()
  }

  get playing() { return this.#timer !== 0 }

  // grow says how many checkpoints there are.
  grow(total) {
    this.#total = total
    this.#range.max = total
    if (this.following) this.place = total
    this.#show()
  }

  // follow goes to the end and stays there.
  follow() {
    this.#stop()
    this.following = this.#seen = true
    this.place = this.#total
    this.#show()
    this.#moved()
  }

  // inView says whether the end is in view: only then the page really follows.
  inView(yes) {
    if (this.#seen === yes) return
    this.#seen = yes
    this.#show()
  }

  // go moves to a place.
  go(place) {
    this.#stop()
    this.#scrub(place)
  }

  close() { this.#stop() }

  #scrub(place) {
    this.following = false
    this.place = Math.max(0, Math.min(this.#total, place))
    this.#show()
    this.#moved()
  }

  #toggle() {
    if (this.playing) {
      this.#stop()
      this.#show()
      return
    }
    this.following = false
    if (this.place >= this.#total) this.place = 0
    this.#timer = requestAnimationFrame(t => this.#step(t, t))
    this.#show()
  }

  // step shows as many checkpoints as have become due since the last frame.
  #step(now, due) {
    const before = this.place
    while (this.place < this.#total && due <= now) {
      this.place++
      const gap = this.#times(this.place) - this.#times(this.place - 1)
      due += Math.min(longest, Math.max(shortest, gap || 0)) / this.#speed
    }
    if (this.place >= this.#total) this.#timer = 0
    else this.#timer = requestAnimationFrame(t => this.#step(t, due))
    if (this.place !== before) {
      this.#show()
      this.#moved()
    }
  }

  #stop() {
    cancelAnimationFrame(this.#timer)
    this.#timer = 0
    this.#show()
  }

  #show() {
    this.#range.value = this.place
    this.#range.setAttribute("aria-valuetext", `checkpoint ${this.place} of ${this.#total}`)
    say(this.#label, `${this.place} of ${this.#total}`)
    say(this.#play, this.playing ? "❚❚ Pause" : "▶ Replay")
    this.#play.disabled = this.#total === 0
    this.#follow.setAttribute("aria-pressed", String(this.following && this.#seen))
  }
}
