package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// redrawEvery is how often a line of progress is drawn at most.
const redrawEvery = 200 * time.Millisecond

// Progress is one line on a terminal that is drawn again and again, and lines
// beside it that stay. It is safe for concurrent use.
type Progress struct {
	w       io.Writer
	animate bool

	mu    sync.Mutex
	drawn time.Time
	shown bool
}

// NewProgress returns a line on w. Unless animate is set (w is a terminal), the
// line is not drawn, and only notes are written.
func NewProgress(w io.Writer, animate bool) *Progress { return &Progress{w: w, animate: animate} }

// Draw shows the text instead of what was shown before, unless that was drawn
// just now.
func (p *Progress) Draw(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.animate || time.Since(p.drawn) < redrawEvery {
		return
	}
	p.drawn, p.shown = time.Now(), true
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", Clean(text))
}

// Note writes a line that stays.
func (p *Progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
	_, _ = fmt.Fprintf(p.w, "milepost: %s\n", Clean(text))
}

// Bar renders how far something is: [#######-------] 52%.
func Bar(done, total int) string {
	const width = 24
	if total <= 0 {
		return ""
	}
	n := width * min(done, total) / total
	b := make([]byte, width)
	for i := range b {
		b[i] = '-'
		if i < n {
			b[i] = '#'
		}
	}
	return fmt.Sprintf("[%s] %d%%", b, 100*min(done, total)/total)
}
