const near = 50         // checkpoints before the end that the stream brings, with all they say
const page = 1000       // of the timeline; the most that the server gives
const patience = 20_000 // ms for a page

// history reads the timeline of a job, which is its checkpoints without their
// bodies, from behind the last known one to near the end. each is told of them in
// order. What cannot be read is left to the stream, which says why.
export async function history(jobPath, authorization, last, each) {
  // The first look is only for how much there is.
  for (let take = 1; ; take = page) {
    let timeline, meta
    try {
      const response = await fetch(`${jobPath}/timeline?take=${take}&skip=${last}`, {
        headers: {Authorization: authorization, Accept: "application/json"},
        credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", cache: "no-store", signal: AbortSignal.timeout(patience),
      })
      if (!response.ok) return
      ;({data: {timeline}, meta} = await response.json())
    } catch {
      return
    }
    // The copy of an upstream's job may lack some, which the stream fetches.
    if (meta.complete !== true || meta.total - last <= near) return
    if (take < page) continue
    const far = timeline.filter(c => c.sequence <= meta.total - near)
    far.forEach(each)
    last += far.length
    if (far.length < page) return
  }
}
