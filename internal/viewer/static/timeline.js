// Timeline is what the page knows of one job: a summary of each checkpoint in the
// order of their sequence, and the tree of runs that they belong to.
export class Timeline {
  all = []
  runs = new Map()      // by id, in the order of their first checkpoints
  #byID = new Map()     // checkpoint id to its place in all

  // add takes the checkpoints that follow those there are.
  add(checkpoints) {
    for (const c of checkpoints) {
      const before = this.all.at(-1)
      // Usage adds up over the whole job; where it falls, the job began anew.
      c.used = before && c.tokens >= before.tokens ? c.tokens - before.tokens : c.tokens
      const run = this.#runOf(c)
      c.before = run.lastID // the one before it in its run
      run.lastID = c.id
      run.last = c.sequence
      run.status = c.status
      run.count++
      if (c.used > 0) run.tokens += c.used
      if (c.took > 0) run.took += c.took
      this.#byID.set(c.id, this.all.length)
      this.all.push(c)
    }
  }

  #runOf(c) {
    let run = this.runs.get(c.run)
    if (run) return run
    const by = this.find(c.parent)
    const parent = by && this.runs.get(by.run)
    run = {
      id: c.run, expert: c.expert, parent, by, depth: parent ? parent.depth + 1 : 0, children: [],
      first: c.sequence, last: c.sequence, lastID: "", count: 0, tokens: 0, took: 0, status: c.status,
      colour: this.runs.size % 6,
    }
    parent?.children.push(run)
    this.runs.set(c.run, run)
    return run
  }

  // find returns the checkpoint of an id, undefined if it is not (yet) there.
  find(id) { return this.all[this.#byID.get(id)] }

  // place returns where the checkpoint of an id stands in all, -1 if it does not.
  place(id) { return this.#byID.get(id) ?? -1 }

  // tree lists the runs, each before those that it delegated to.
  tree() {
    const list = []
    const stack = [...this.runs.values()].filter(r => !r.parent).reverse()
    for (let r; (r = stack.pop());) {
      list.push(r)
      for (let i = r.children.length - 1; i >= 0; i--) stack.push(r.children[i])
    }
    return list
  }
}

// Rows are the lines of the list: the checkpoints up to a place, of one run or of
// all, with a heading wherever another run takes over.
export class Rows {
  list = []             // {run} is a heading, {checkpoint, run} a checkpoint
  #timeline
  #upTo = 0
  #only = null
  #rowOf = new Map()    // checkpoint id to its row

  constructor(timeline) { this.#timeline = timeline }

  // show returns whether rows that were there have changed, not only been added.
  show(upTo, only) {
    const again = upTo < this.#upTo || only !== this.#only
    if (again) {
      this.list = []
      this.#rowOf.clear()
      this.#upTo = 0
    }
    for (let i = this.#upTo; i < upTo; i++) {
      const checkpoint = this.#timeline.all[i]
      if (only && checkpoint.run !== only) continue
      const run = this.#timeline.runs.get(checkpoint.run)
      if (this.list.at(-1)?.run !== run) this.list.push({run, resumed: checkpoint.sequence !== run.first})
      this.#rowOf.set(checkpoint.id, this.list.length)
      this.list.push({run, checkpoint})
    }
    this.#upTo = upTo
    this.#only = only
    return again
  }

  // row returns the row of a checkpoint, -1 if it is not shown.
  row(id) { return this.#rowOf.get(id) ?? -1 }
}
