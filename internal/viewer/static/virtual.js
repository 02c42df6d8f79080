import {h} from "./dom.js"

let lists = 0
const margin = 6 // rows drawn beyond what is seen

// VirtualList shows a list of any length by drawing only the rows in view. It is a
// listbox: one stop for the Tab key, arrows, Page Up and Down, Home and End move the
// choice, Enter opens it.
export class VirtualList {
  #rows = new Map()     // index to element
  #count = 0
  #active = -1
  #dirty = false
  #options
  #watch
  #id = "list" + ++lists
  #inner = h("div", {class: "list-inner", role: "presentation"})

  // draw(i) returns the element of a row; selectable(i) says whether it can be
  // chosen; choose(i) and open(i) are told what the person does, scrolled()
  // that the list was, resized() that there is more or less room.
  constructor(options) {
    this.#options = options
    this.element = h("div", {
      class: "list", role: "listbox", tabindex: "0", "aria-label": options.label,
      onscroll: () => {
        this.#later()
        options.scrolled?.()
      },
      onkeydown: e => this.#key(e),
    }, this.#inner)
    this.#inner.addEventListener("click", e => {
      // A row that was drawn anew between press and release is not the target.
      const row = e.target.closest(".row")
      const i = row ? +row.dataset.index : Math.floor((e.clientY - this.#inner.getBoundingClientRect().top) / options.height)
      if (i < 0 || i >= this.#count || !options.selectable(i)) return
      this.choose(i)
      options.open?.(i)
    })
    this.#watch = new ResizeObserver(() => {
      options.resized?.()
      this.#later()
    })
    this.#watch.observe(this.element)
  }

  close() { this.#watch.disconnect() }

  // set says how many rows there are; again, that those drawn must be drawn anew.
  set(count, again) {
    if (again) this.#drop()
    if (count < this.#count) for (const i of [...this.#rows.keys()]) if (i >= count) this.#remove(i)
    if (count !== this.#count) this.#inner.style.height = count * this.#options.height + "px"
    this.#count = count
    if (this.#active >= count) this.#active = -1
    this.#later()
  }

  // mark makes a row the active one without telling anybody.
  mark(i) {
    if (i === this.#active) return
    const before = this.#rows.get(this.#active)
    this.#active = i
    if (before) before.setAttribute("aria-selected", "false")
    this.#rows.get(i)?.setAttribute("aria-selected", "true")
    this.#name()
  }

  choose(i) {
    this.mark(i)
    this.reveal(i)
    this.#options.choose?.(i)
  }

  // reveal scrolls a row into view if it is not.
  reveal(i) {
    const {height} = this.#options, top = i * height, e = this.element
    if (top < e.scrollTop + height) e.scrollTop = Math.max(0, top - height) // under the heading
    else if (top + height > e.scrollTop + e.clientHeight) e.scrollTop = top + height - e.clientHeight
    this.#later()
  }

  toEnd() { this.element.scrollTop = this.#count * this.#options.height }

  get atEnd() {
    const e = this.element
    return e.scrollTop + e.clientHeight >= this.#count * this.#options.height - 2 * this.#options.height
  }

  #later() {
    if (this.#dirty) return
    this.#dirty = true
    requestAnimationFrame(() => {
      this.#dirty = false
      this.#render()
    })
  }

  #render() {
    const {height} = this.#options, {scrollTop, clientHeight} = this.element
    const first = Math.max(0, Math.floor(scrollTop / height) - margin)
    const last = Math.min(this.#count, Math.ceil((scrollTop + clientHeight) / height) + margin)
    for (const i of [...this.#rows.keys()]) if (i < first || i >= last) this.#remove(i)
    const fresh = []
    for (let i = first; i < last; i++) {
      if (this.#rows.has(i)) continue
      const row = this.#options.draw(i)
      row.classList.add("row")
      row.dataset.index = i
      row.style.transform = `translateY(${i * height}px)`
      if (this.#options.selectable(i)) {
        row.id = `${this.#id}-${i}`
        row.setAttribute("role", "option")
        row.setAttribute("aria-setsize", this.#count)
        row.setAttribute("aria-posinset", i + 1)
        row.setAttribute("aria-selected", i === this.#active ? "true" : "false")
      } else {
        row.setAttribute("role", "presentation")
      }
      this.#rows.set(i, row)
      fresh.push(row)
    }
    if (fresh.length > 0) this.#inner.append(...fresh)
    this.#name()
  }

  // name says which row is active, if it is drawn: the attribute must not name
  // what is not there.
  #name() {
    if (this.#rows.has(this.#active)) this.element.setAttribute("aria-activedescendant", `${this.#id}-${this.#active}`)
    else this.element.removeAttribute("aria-activedescendant")
  }

  #remove(i) {
    this.#rows.get(i).remove()
    this.#rows.delete(i)
  }

  #drop() {
    this.#rows.clear()
    this.#inner.replaceChildren()
  }

  #key(e) {
    if (e.altKey || e.ctrlKey || e.metaKey) return
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#options.height) - 1)
    const from = this.#active
    let to
    switch (e.key) {
      case "ArrowDown": to = this.#next(from + 1, 1); break
      case "ArrowUp": to = this.#next(from < 0 ? this.#count - 1 : from - 1, -1); break
      case "PageDown": to = this.#next(Math.min(this.#count - 1, from + page), 1) ?? this.#next(this.#count - 1, -1); break
      case "PageUp": to = this.#next(Math.max(0, from - page), -1) ?? this.#next(0, 1); break
      case "Home": to = this.#next(0, 1); break
      case "End": to = this.#next(this.#count - 1, -1); break
      case "Enter": case " ":
        if (from >= 0) this.#options.open?.(from)
        e.preventDefault()
        return
      default: return
    }
    e.preventDefault()
    if (to !== undefined) this.choose(to)
  }

  // next finds a row that can be chosen, from i on.
  #next(i, by) {
    while (i >= 0 && i < this.#count) {
      if (this.#options.selectable(i)) return i
      i += by
    }
  }
}
