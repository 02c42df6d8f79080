import {h, put} from "./dom.js"
import {forget, key} from "./session.js"
import {showState} from "./state.js"
import {signIn} from "./signin.js"
import {jobsPage} from "./jobs.js"
import {jobPage} from "./job.js"

const main = document.getElementById("main")
const trail = document.getElementById("trail")
const signOut = document.getElementById("sign-out")

let page = null // {close, select?}
let shown = ""

// route shows what the address says: #/jobs, #/jobs/JOB or #/jobs/JOB/CHECKPOINT.
function route() {
  const [, , job = "", checkpoint = ""] = location.hash.split("/").map(decode)
  if (key() && page?.select && shown === job) return page.select(checkpoint)
  page?.close()
  page = null
  showState(null)
  signOut.hidden = !key()
  put(main)
  main.className = ""
  if (!key()) {
    put(trail)
    document.title = "Sign in – Milepost"
    page = signIn(main, route)
    return
  }
  shown = job
  document.title = job ? `${job} – Milepost` : "Jobs – Milepost"
  put(trail, h("a", {href: "#/jobs", "aria-current": job ? null : "page"}, "Jobs"), job && h("span", {class: "id", "aria-current": "page"}, job))
  page = job ? jobPage(main, job, checkpoint, refused) : jobsPage(main, refused)
  main.focus({preventScroll: true}) // as after loading a page: reading begins here
}

function decode(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

// refused is told by a page that the server does not take the key (any more).
function refused(reason) {
  page?.close()
  forget()
  showState("refused", {reason})
  put(main)
  put(trail)
  main.className = ""
  signOut.hidden = true
  page = signIn(main, route, reason)
}

signOut.addEventListener("click", () => {
  forget()
  location.hash = "#/jobs"
  route()
})
document.querySelector(".skip").addEventListener("click", e => {
  e.preventDefault() // the fragment is the address of what is shown
  main.focus()
})
addEventListener("hashchange", route)
route()
