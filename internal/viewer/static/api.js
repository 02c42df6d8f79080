import {key} from "./session.js"

// Refused is an answer other than 2xx; its message is the server's reason.
export class Refused extends Error {
  constructor(status, reason) {
    super(reason)
    this.status = status
  }
  // final says that asking again with the same key is no use.
  get final() { return this.status === 401 || this.status === 403 }
}

let skew = 0

// now is the server's time in milliseconds: ages are told against its clock.
export const now = () => Date.now() + skew

// reasonOf reads an error's body.
export async function reasonOf(response) {
  try {
    const {error, reason} = await response.json()
    if (typeof reason === "string") return reason
    if (Array.isArray(reason)) return reason.map(f => `${f.path}: ${f.message}`).join("; ")
    if (error) return String(error)
  } catch {
    // Something between us and the server spoke.
  }
  return `The server answered ${response.status}`
}

async function ask(path, signal) {
  const response = await fetch(path, {
    headers: {Authorization: "Bearer " + key(), Accept: "application/json"},
    credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal,
  })
  const date = Date.parse(response.headers.get("Date") ?? "")
  // The header has whole seconds; half of one is its expected error.
  if (!Number.isNaN(date) && Math.abs(date + 500 - Date.now() - skew) > 1500) skew = date + 500 - Date.now()
  if (!response.ok) throw new Refused(response.status, await reasonOf(response))
  return response
}

const root = "../api/milepost/v1/"

export const checkpointsPath = job => `../api/studio/v1/expert_jobs/${encodeURIComponent(job)}/checkpoints/`

// jobs returns a page of jobs: {jobs, total, complete}.
export async function jobs({take = 50, skip = 0, sort = "lastAt", order = "desc", filter = "", statuses = []}, signal) {
  const query = new URLSearchParams({take, skip, sort, order})
  if (filter) query.set("filter", filter)
  for (const s of statuses) query.append("status", s)
  const {data, meta} = await (await ask(`${root}jobs?${query}`, signal)).json()
  return {jobs: data?.jobs ?? [], total: meta?.total ?? 0, complete: meta?.complete !== false}
}

// job returns one job with its runs: {job, runs}.
export async function job(id, signal) {
  const {data} = await (await ask(`${root}jobs/${encodeURIComponent(id)}`, signal)).json()
  return {job: data?.job ?? {}, runs: data?.runs ?? []}
}

// checkpoint returns a checkpoint as the text that the server sent.
export async function checkpoint(job, id, signal) {
  return (await ask(checkpointsPath(job) + encodeURIComponent(id), signal)).text()
}

// diff compares two checkpoints.
export async function diff(job, from, to, signal) {
  const query = new URLSearchParams({from, to})
  const {data} = await (await ask(`${root}jobs/${encodeURIComponent(job)}/diff?${query}`, signal)).json()
  return data.diff
}
