package browser

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// suiteTime is how long all tests together may take; it also ends what they
// started. They take about 30 s on two cores.
const suiteTime = 150 * time.Second

var (
	// suite ends with the last test.
	suite context.Context
	// binary is the program under test.
	binary string
	// chromium is the context of the browser, in which each page has a profile
	// of its own.
	chromium context.Context

	// namedOrigin is one of server.cors_origins, otherOrigin is not. Both serve
	// pageHTML, as hosts that the browser itself resolves to this machine.
	namedOrigin, otherOrigin string
)

//go:embed page.html
var pageHTML []byte

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "milepost-browser")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "milepost")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", binary, "./cmd/milepost")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}

	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(pageHTML)
	}))
	defer pages.Close()
	_, port, err := net.SplitHostPort(pages.Listener.Addr().String())
	if err != nil {
		return 0, err
	}
	namedOrigin, otherOrigin = "http://dash.localhost:"+port, "http://other.localhost:"+port

	var cancel context.CancelFunc
	suite, cancel = context.WithTimeout(context.Background(), suiteTime)
	defer cancel()
	allocator, cancel := chromedp.NewExecAllocator(suite, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-sandbox", true), // which root cannot have
		chromedp.Flag("no-proxy-server", true),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
	)...)
	defer cancel()
	chromium, cancel = chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(chromium); err != nil {
		return 0, fmt.Errorf("cannot start Chromium (Debian: apt-get install chromium): %w", err)
	}
	code := m.Run()
	return code, chromedp.Cancel(chromium)
}
