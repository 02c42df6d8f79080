package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// noteTrouble runs in each viewer before the page's own scripts: it notes what the
// policy had to stop and what nobody caught.
const noteTrouble = `window.trouble = [];
addEventListener("securitypolicyviolation", e => trouble.push("policy: " + e.violatedDirective + " " + e.blockedURI));
addEventListener("error", e => trouble.push("error: " + e.message));
addEventListener("unhandledrejection", e => trouble.push("rejection: " + e.reason))`

// axe is Deque's axe-core 4.14.1, unchanged, under the licence beside it.
//
//go:embed axe/axe.min.js
var axe string

// viewer is a tab that shows the pages of a server.
type viewer struct {
	*page
	server *server
}

// openViewer opens the viewer in a window that is high enough for some forty rows.
func openViewer(t *testing.T, s *server) *viewer {
	t.Helper()
	v := &viewer{openPage(t, "about:blank"), s}
	v.do(
		call(cdpage.AddScriptToEvaluateOnNewDocument, cdpage.AddScriptToEvaluateOnNewDocumentParams{Source: noteTrouble}),
		chromedp.EmulateViewport(1400, 1700),
		chromedp.Navigate("http://"+s.api+"/ui/"),
	)
	return v
}

// call is a command of the browser whose answer does not matter.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (v *viewer) do(actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, actions...); err != nil {
		v.t.Fatal(err)
	}
}

// until waits until an expression holds in the page.
func (v *viewer) until(expression string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, waitTime)
	defer cancel()
	wait := fmt.Sprintf(`new Promise(done => { const look = () => { (%s) ? done(true) : setTimeout(look, 20) }; look() })`, expression)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise)); err != nil {
		v.t.Fatalf("not in time: %s\n%v\nThe page shows:\n%.700s", expression, err, eval[string](v.page, `(document.querySelector(".panel:not([hidden])") ?? document.body).innerText`))
	}
}

// shows waits until the text of an element holds a text.
func (v *viewer) shows(selector, text string) {
	v.t.Helper()
	v.until(fmt.Sprintf("document.querySelector(%s)?.textContent.includes(%s)", js(selector), js(text)))
}

func (v *viewer) run(script string) {
	v.t.Helper()
	eval[bool](v.page, "(() => {"+script+"; return true})()")
}

func (v *viewer) click(selector string) {
	v.t.Helper()
	v.until(fmt.Sprintf("document.querySelector(%s)", js(selector)))
	v.run(fmt.Sprintf("document.querySelector(%s).click()", js(selector)))
}

func (v *viewer) signIn(key string) {
	v.t.Helper()
	v.until(`document.querySelector("#key")`)
	v.run(fmt.Sprintf(`document.querySelector("#key").value = %s; document.querySelector(".sign-in").requestSubmit()`, js(key)))
}

// open shows a job, as a click on it does.
func (v *viewer) open(job string) {
	v.t.Helper()
	v.click(fmt.Sprintf(`a[href="#/jobs/%s"]`, job))
	v.until(`document.querySelector(".timeline")`)
}

// sequences are those of the rows in the timeline, from the top down.
func (v *viewer) sequences() []string {
	v.t.Helper()
	return eval[[]string](v.page, `[...document.querySelectorAll(".checkpoint")].sort((a, b) => a.dataset.index - b.dataset.index)
		.map(r => r.querySelector(".sequence").textContent)`)
}

// wantSequences waits until the timeline has n checkpoints and checks that it shows
// each of them once.
func (v *viewer) wantSequences(n int) {
	v.t.Helper()
	v.until(fmt.Sprintf(`document.querySelectorAll(".checkpoint").length >= %d`, n))
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("#%d", i+1))
	}
	if got := v.sequences(); !slices.Equal(got, want) {
		v.t.Fatalf("the timeline shows %v", got)
	}
}

// quiet checks that nothing went wrong in the page, and that it asked nobody else.
func (v *viewer) quiet() {
	v.t.Helper()
	if trouble := eval[[]string](v.page, "trouble"); len(trouble) > 0 {
		v.t.Errorf("trouble in the page: %q", trouble)
	}
	for _, url := range eval[[]string](v.page, `performance.getEntriesByType("resource").map(e => e.name)`) {
		if !strings.HasPrefix(url, "http://"+v.server.api+"/") && !strings.HasPrefix(url, "data:") {
			v.t.Errorf("the page asked %s", url)
		}
	}
}

// picture keeps a picture of the page, if somebody wants to look at it.
func (v *viewer) picture(name string) {
	v.t.Helper()
	if dir := os.Getenv("VIEWER_SCREENSHOTS"); dir != "" {
		v.capture(dir, name, 1400, 900, func(png []byte) ([]byte, error) { return png, nil })
	}
}

// capture writes pictures of the page, light and dark, in a window of so many
// pixels. pack is what is done to each before it is written.
func (v *viewer) capture(dir, name string, width, height int64, pack func(png []byte) ([]byte, error)) {
	v.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		v.do(chromedp.EmulateViewport(width, height))
		v.emulate(scheme)
		png, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			png, err = pack(png)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), png, 0o644)
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	v.do(chromedp.EmulateViewport(1400, 1700))
}

// emulate shows the page as somebody sees it who prefers a scheme.
func (v *viewer) emulate(scheme string) {
	v.t.Helper()
	v.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}))
	v.until(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// accessible checks a page by axe-core, in light and in dark.
func (v *viewer) accessible(what string) {
	v.t.Helper()
	v.run("if (!window.axe) {" + axe + "}")
	for _, scheme := range []string{"light", "dark"} {
		v.emulate(scheme)
		for _, violation := range eval[[]string](v.page, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
			v => v.id + ": " + v.help + v.nodes.map(n => "\n\t" + n.html.slice(0, 200) + " " + (n.any[0]?.message ?? "")).join("")))`) {
			v.t.Errorf("%s, %s: %s", what, scheme, violation)
		}
	}
}

// step is a checkpoint as a runtime posts it.
type step struct {
	status, text, tool, expert, parent string
	tokens                             int
	messages                           []any
}

// message is one of the reference runtime's messages.
func message(id, kind string, parts ...any) map[string]any {
	return map[string]any{"id": id, "type": kind, "contents": parts}
}

func textPart(text string) map[string]any {
	return map[string]any{"id": "p", "type": "textPart", "text": text}
}

func (s step) body() string {
	if s.expert == "" {
		s.expert = "helper"
	}
	usage := map[string]any{"inputTokens": s.tokens, "outputTokens": 0, "reasoningTokens": 0, "totalTokens": s.tokens, "cachedInputTokens": 0}
	expert := map[string]any{"key": s.expert + "@1.0.0", "name": s.expert, "version": "1.0.0"}
	messages := s.messages
	if messages == nil {
		messages = []any{}
	}
	fresh := message("n", "expertMessage", textPart(s.text))
	checkpoint := map[string]any{
		"status": s.status, "stepNumber": 1, "messages": append(messages[:len(messages):len(messages)], fresh), "expert": expert, "usage": usage,
		"contextWindow": 200000, "contextWindowUsage": 0.25,
	}
	if s.parent != "" {
		checkpoint["delegatedBy"] = map[string]any{"expert": expert, "toolCallId": "call", "toolName": "delegate", "checkpointId": s.parent}
	}
	st := map[string]any{"stepNumber": 1, "newMessages": []any{fresh}, "usage": usage, "startedAt": 1766560657248, "finishedAt": 1766560658748}
	if s.tool != "" {
		st["toolCall"] = map[string]any{"id": "call", "skillName": "skill", "toolName": s.tool, "args": map[string]any{"path": s.text}}
		st["toolResult"] = map[string]any{"id": "call", "skillName": "skill", "toolName": s.tool, "result": []any{textPart(s.text)}}
	}
	return js(map[string]any{"checkpoint": checkpoint, "step": st})
}

// postStep adds a checkpoint and returns its id.
func (s *server) postStep(job string, st step) string {
	s.t.Helper()
	b, err := s.do("POST", checkpointsPath(job), st.body())
	if err != nil {
		s.t.Fatal(err)
	}
	var answer struct {
		Data struct{ Checkpoint struct{ ID string } }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Data.Checkpoint.ID
}

// A key that is not one is refused and not kept; nor is one kept after signing out.
func TestViewerRefusesAWrongKey(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	v := openViewer(t, s)
	v.signIn("a-key-that-nobody-has")
	v.shows(".problem", "Refused: Failed to authenticate")
	stored := func() int {
		return eval[int](v.page, "sessionStorage.length + localStorage.length + document.cookie.length")
	}
	if stored() != 0 {
		t.Error("the page keeps a key that was refused")
	}
	v.signIn(dashboardKey)
	v.shows(".notice", "No jobs yet")
	v.shows("#state", "Live")
	if stored() != 1 {
		t.Error("the key is not in the tab's storage alone")
	}
	v.click("#sign-out")
	v.until(`document.querySelector("#key")`)
	if stored() != 0 {
		t.Error("the page keeps the key after signing out")
	}
	v.run(`location.hash = "#/jobs/` + newJob("nowhere") + `"`)
	v.signIn(dashboardKey)
	v.shows("#state", "Not found")
	v.shows(".timeline .notice", "Expert job not found")
	v.quiet()
}

// Who watches with a key that is removed is asked for another one.
func TestViewerIsRefusedWhenItsKeyIsRemoved(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("removed")
	s.mustPost(job, "proceeding", 2)
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.open(job)
	v.wantSequences(2)
	b, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	kept, _, found := strings.Cut(string(b), "\n[[auth.keys]]\nname = \"dashboard\"")
	if !found {
		t.Fatalf("no such key in\n%s", b)
	}
	if err := os.WriteFile(s.config, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	v.shows("#state", "Refused: ")
	v.until(`document.querySelector("#key")`)
	if eval[int](v.page, "sessionStorage.length") != 0 {
		t.Error("the page keeps a key that was removed")
	}
	v.signIn(runtimeKey)
	v.wantSequences(2)
	v.quiet()
}

// The list shows jobs as they come and go on, and the page of one shows its
// checkpoints as a runtime writes them: over a kill of the server each once.
func TestViewerFollowsAJobOverAKill(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("viewer")
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.shows(".notice", "No jobs yet")
	s.mustPost(job, "proceeding", 3)
	v.shows(".jobs tbody", job)
	v.shows(".jobs tbody .pill", "running")
	v.open(job)
	v.shows("#state", "Live")
	v.wantSequences(3)
	s.mustPost(job, "proceeding", 2)
	v.wantSequences(5)

	written := make(chan struct{})
	go func() { // a runtime at work until the server is gone
		defer close(written)
		for range 12 {
			if _, err := s.post(job, "proceeding", 1<<10); err != nil {
				return
			}
		}
	}()
	v.until(`document.querySelectorAll(".checkpoint").length >= 8`)
	s.signal(syscall.SIGKILL)
	_ = s.wait()
	<-written
	v.shows("#state", "Reconnecting since")
	s.start()
	s.mustPost(job, "proceeding", 3) // perhaps before the page is back
	v.shows("#state", "Live")
	v.wantSequences(len(s.list(job)))
	s.mustPost(job, "completed", 1)
	n := len(s.list(job))
	v.wantSequences(n)
	v.shows("#state", "Ended: completed")

	// What has ended may go on.
	s.mustPost(job, "proceeding", 1)
	v.wantSequences(n + 1)
	v.shows("#state", "Live")
	v.quiet()
}

// One can go back in a job, see it happen again, and follow it live again.
func TestViewerScrubsReplaysAndCompares(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("replay")
	first := s.postStep(job, step{status: "proceeding", text: "first thought", tokens: 1000})
	s.postStep(job, step{status: "proceeding", text: "a delegate's thought", tokens: 1500, expert: "writer", parent: first})
	var messages []any
	for i := range 10 {
		messages = append(messages, message(fmt.Sprint("m", i), "userMessage", textPart(fmt.Sprint("old message ", i))))
		s.postStep(job, step{status: "proceeding", text: fmt.Sprint("thought ", i), tool: "readFile", tokens: 2000 + 500*i, messages: messages})
	}
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.open(job)
	v.wantSequences(12)

	// The delegate's run stands under its parent's.
	v.shows(".runs .depth-1", "writer@1.0.0")
	v.shows(".timeline .heading.depth-1", "delegated by #1")
	v.shows(".chart.tokens .chart-value", "6.5k at #12")

	v.run(`const r = document.querySelector(".player input"); r.value = 4; r.dispatchEvent(new Event("input"))`)
	v.until(`document.querySelectorAll(".checkpoint").length === 4`)
	v.wantSequences(4)
	v.shows(".place", "4 of 12")
	v.shows(".chart.tokens .chart-value", "2.5k at #4")
	s.postStep(job, step{status: "completed", text: "done", tokens: 9000, messages: messages})
	v.shows(".place", "4 of 13")
	v.click(".follow")
	v.wantSequences(13)

	// From the start, quickly.
	v.run(`const e = document.querySelector(".player select"); e.value = 50; e.dispatchEvent(new Event("change"))`)
	v.click(".player button")
	v.shows(".player button", "Pause")
	v.until(`!document.querySelector(".place").textContent.startsWith("13 ")`)
	v.shows(".player button", "Replay")
	v.shows(".place", "13 of 13")
	v.wantSequences(13)

	// By keyboard to the last but one, and open it.
	v.run(`document.querySelector(".timeline .list").focus()`)
	v.do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.Enter))
	v.until(`document.querySelector(".panel h2")?.textContent.startsWith("#12 ")`)
	v.shows(".content", "Against #11: 2 new messages, 1 gone")
	v.shows(".content", "old message 9")
	v.shows(".content", "thought 9")
	v.shows(".changes", "usage")
	if eval[bool](v.page, `document.querySelector(".content").textContent.includes("old message 8")`) {
		t.Error("an old message is shown as new")
	}
	v.picture("compare")
	v.run(`const a = document.querySelector(".against input"); a.value = 4; a.dispatchEvent(new Event("change"))`)
	v.shows(".content", "Against #4: ")
	v.shows(".content", "old message 8")
	v.click(`[role=tab]:nth-child(2)`)
	v.shows(".content", "old message 0")
	v.click(`[role=tab]:nth-child(3)`)
	v.shows(".content .raw", `"contextWindowUsage": 0.25`)

	// What is copied does not hold the key.
	v.run(`navigator.clipboard.writeText = t => { window.copied = t; return Promise.resolve() }`)
	v.click(".panel-tools > button")
	v.shows(".copied", "Copied")
	if copied := eval[string](v.page, "copied"); strings.Contains(copied, dashboardKey) || !strings.Contains(copied, "$MILEPOST_API_KEY") || !strings.Contains(copied, "http://"+s.api+checkpointsPath(job)) {
		t.Errorf("copied: %s", copied)
	}
	v.do(chromedp.KeyEvent(kb.Escape))
	v.quiet()
}

// Each page passes axe-core's checks.
func TestViewerIsAccessible(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("axe")
	first := s.postStep(job, step{status: "init", text: "start"})
	s.postStep(job, step{status: "proceeding", text: "thought", tool: "readFile", tokens: 100})
	s.postStep(job, step{status: "proceeding", text: "thought", tool: "readFile", tokens: 100, expert: "writer", parent: first,
		messages: []any{message("m", "userMessage", textPart("old")), message("m", "expertMessage", map[string]any{"type": "thinkingPart", "thinking": "hm"})}})
	s.postStep(job, step{status: "stoppedByError", text: "thought", tool: "readFile", tokens: 200})
	v := openViewer(t, s)
	v.until(`document.querySelector("#key")`)
	v.accessible("sign-in")
	v.signIn(dashboardKey)
	v.shows(".jobs tbody", job)
	v.accessible("jobs")
	v.open(job)
	v.wantSequences(4)
	v.shows("#state", "Ended: failed")
	v.shows(".chart.tokens .chart-value", "#4")
	v.accessible("job")
	v.click(".checkpoint")
	for i, tab := range []string{"new", "messages", "raw"} {
		v.click(fmt.Sprintf("[role=tab]:nth-child(%d)", i+1))
		v.until(`document.querySelector(".content:not(.stale)")?.children.length > 0`)
		v.accessible("checkpoint, " + tab)
	}
	v.quiet()
}

// Whatever a client wrote stays text, and makes the page ask nobody.
func TestViewerShowsHostileContentAsText(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("hostile")
	const attack = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script><svg onload="window.pwned=1">"'&lt;${pwned}`
	pixel := "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	s.postStep(job, step{status: "proceeding", text: attack, tool: attack, messages: []any{
		message(attack, "userMessage", textPart(attack), map[string]any{"type": attack, "x": attack}),
		message("m", attack, map[string]any{"type": "thinkingPart", "thinking": attack}),
		message("m", "__proto__", map[string]any{"type": "constructor"}),
		message("m", "expertMessage", map[string]any{"type": "toolCallPart", "toolName": attack, "args": map[string]any{attack: attack, "__proto__": attack}}),
		message("m", "toolMessage", map[string]any{"type": "toolResultPart", "toolName": attack, "contents": []any{
			textPart(attack),
			map[string]any{"type": "imageInlinePart", "mimeType": "image/png", "encodedData": pixel},
			map[string]any{"type": "imageInlinePart", "mimeType": "image/svg+xml", "encodedData": "PHN2Zy8+"},
			map[string]any{"type": "imageInlinePart", "mimeType": `image/png" onerror="window.pwned=1`, "encodedData": pixel},
			map[string]any{"type": "imageUrlPart", "url": "http://" + otherHost(namedOrigin) + "/spy.png"},
			map[string]any{"type": "imageUrlPart", "url": "javascript:window.pwned=1"},
		}}),
		"a message that is a string", nil, 7, []any{},
	}})
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.shows(".jobs tbody", "<img src=x")
	v.open(job)
	v.wantSequences(1)
	v.shows(".checkpoint .tool", attack)
	v.click(".checkpoint")
	v.shows(".panel .hint", attack)
	v.shows(".content", attack)
	v.click(`[role=tab]:nth-child(2)`)
	v.shows(".content", "A picture elsewhere, not loaded")
	v.until(`document.querySelector(".picture")?.complete`)
	v.picture("hostile")
	for what, want := range map[string]int{
		`document.querySelectorAll("main img").length`:                                                                1, // the one pixel that came with its message
		`document.querySelectorAll("main script, main svg[onload]").length`:                                           0,
		`[...document.querySelectorAll("*")].filter(e => e.getAttributeNames().some(n => n.startsWith("on"))).length`: 0,
		`document.querySelectorAll("a[href^=javascript], a[href^=http]").length`:                                      0,
		`window.pwned === undefined ? 0 : 1`:                                                                          0,
	} {
		if got := eval[int](v.page, what); got != want {
			t.Errorf("%s is %d, want %d", what, got, want)
		}
	}
	v.click(`[role=tab]:nth-child(3)`)
	v.shows(".content .raw", "window.pwned=1")
	v.quiet()
}

// otherHost is the host and port of an origin.
func otherHost(origin string) string { return strings.TrimPrefix(origin, "http://") }

// The parser of the stream sees the same events wherever the network cuts.
func TestViewerReadsAStreamCutAnywhere(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	v := openViewer(t, s)
	got := eval[[]string](v.page, `(async () => {
		const {Parser} = await import("/ui/sse.js")
		const text = ": hello\r\n\r\nid: a\ndata: {\"x\":\"ü😀\"}\n\nevent: complete\rdata:one\rdata\rdata: two\r\rid: b\r\ndata: last\r\n\r\ndata: never"
		const bytes = new TextEncoder().encode(text)
		const read = cuts => {
			const seen = []
			const p = new Parser(e => seen.push(e))
			let at = 0
			for (const c of [...cuts, bytes.length]) { p.push(bytes.subarray(at, c)); at = c }
			return JSON.stringify(seen)
		}
		const all = new Set([read([]), read([...bytes.keys()])])
		for (let i = 0; i <= bytes.length; i++) for (let j = i; j <= bytes.length; j++) all.add(read([i, j]))
		return [...all]
	})()`)
	want := `[{"event":"message","data":"{\"x\":\"ü😀\"}","id":"a"},{"event":"complete","data":"one\n\ntwo","id":"a"},{"event":"message","data":"last","id":"b"}]`
	if len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %s", got, want)
	}
}

// A job is called quiet when it is silent for far longer than its steps usually take.
func TestViewerTellsWhenAJobIsQuiet(t *testing.T) {
	t.Parallel()
	v := openViewer(t, startServer(t))
	for _, c := range []struct {
		name, status string
		steps        int // of 10 s each
		silence      int // s
		want         int
	}{
		{"a usual step", "processing", 30, 10, 0},
		{"a long step", "processing", 30, 50, 0},
		{"three minutes", "processing", 30, 180, 180},
		{"waiting for a delegate", "requestDelegateResult", 30, 180, 180},
		{"waiting for a person", "requestInteractiveToolResult", 30, 180, 0},
		{"ended", "completed", 30, 180, 0},
		{"one checkpoint", "processing", 1, 180, 180},
	} {
		got := eval[int](v.page, fmt.Sprintf(`import("/ui/jobs.js").then(m => m.quietFor({status: %q, checkpoints: %d,
			startedAt: new Date(0).toISOString(), lastAt: new Date(%d).toISOString()}, %d) / 1000)`,
			c.status, c.steps, (c.steps-1)*10_000, (c.steps-1)*10_000+c.silence*1000))
		if got != c.want {
			t.Errorf("%s: quiet for %d s, want %d", c.name, got, c.want)
		}
	}
}

// frames are the times from one frame of a page to the next, in milliseconds.
type frames struct{ Count, Median, P95, Max float64 }

// A job of 10,000 checkpoints is shown whole, in few elements, and without freezing
// the page while they come and while one scrolls through them.
//
// It has the machine for itself as far as this package goes: it measures.
func TestViewerShowsTenThousandCheckpointsWithoutFreezing(t *testing.T) {
	s := startServer(t)
	const total = 10_000
	job := newJob("many")
	var next atomic.Int64
	var writers sync.WaitGroup
	for range 32 {
		writers.Go(func() {
			for next.Add(1) <= total {
				if _, err := s.do("POST", checkpointsPath(job), step{status: "proceeding", text: "thought", tool: "readFile", tokens: 10}.body()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.until(`document.querySelector(".jobs tbody a")`)
	v.run(`window.frames_ = []
		let before = performance.now()
		const note = () => { const now = performance.now(); frames_.push(now - before); before = now; requestAnimationFrame(note) }
		requestAnimationFrame(note)
		window.measured = () => {
			const f = frames_.splice(0).sort((a, b) => a - b)
			return {count: f.length, median: f[f.length >> 1], p95: f[Math.floor(f.length * 0.95)], max: f.at(-1)}
		}`)
	began := eval[float64](v.page, "performance.now()")
	v.open(job)
	v.until(fmt.Sprintf(`document.querySelector(".place").textContent === "%d of %d"`, total, total))
	opening := eval[float64](v.page, "performance.now()") - began
	loading := eval[frames](v.page, "measured()")
	v.until(fmt.Sprintf(`[...document.querySelectorAll(".checkpoint .sequence")].some(e => e.textContent === "#%d")`, total))
	v.picture("many")

	eval[bool](v.page, "measured() && true")
	eval[bool](v.page, `new Promise(done => {
		const list = document.querySelector(".timeline .list"), frames = 120
		let i = 0
		const move = () => {
			list.scrollTop = list.scrollHeight * (i / frames)
			i++ < frames ? requestAnimationFrame(move) : done(true)
		}
		move()
	})`)
	scrolling := eval[frames](v.page, "measured()")
	elements := eval[int](v.page, `document.querySelectorAll("*").length`)
	t.Logf("%d checkpoints shown after %.0f ms; ms a frame meanwhile: %+v; while scrolling through them: %+v; %d elements", total, opening, loading, scrolling, elements)
	if elements > 2500 {
		t.Errorf("%d elements", elements)
	}
	for what, f := range map[string]frames{"loading": loading, "scrolling": scrolling} {
		// Without a graphics card, on cores that others use too: a freeze is what one
		// would feel all the same.
		if f.Count < 2 || f.Median > 100 || f.Max > 1000 {
			t.Errorf("%s: %+v", what, f)
		}
	}
	// Back to the first one, by keyboard.
	v.run(`document.querySelector(".timeline .list").focus()`)
	v.do(chromedp.KeyEvent(kb.Home))
	v.until(`document.querySelector(".checkpoint .sequence")?.textContent && [...document.querySelectorAll(".checkpoint .sequence")].some(e => e.textContent === "#1")`)
	v.quiet()
}
