// Package browser proves in a real Chromium what pages do with the stream: that
// a plain EventSource with a ticket, on a page of another origin, sees every
// checkpoint once and in order over restarts of the server, stops for good when
// the job has ended, and is shown nothing if its origin was not named. The same
// for the viewer: what it shows of jobs of every size, to whom, and how fast.
//
// With the build tag pictures it makes those of docs/pictures; VIEWER_SCREENSHOTS
// names a directory for pictures of what the other tests see.
//
// It is a module of its own, so that the program never depends on a browser's
// driver. The tests build the program from the tree around them and start it as
// a process. They need Debian's package chromium, or another Chromium in the
// path, and install nothing.
package browser
